package local

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
)

// Action is what a [Fault] does.
type Action string

// The actions. All but the first three act on the way of the answer, after the request was carried out.
const (
	// ActionError answers Code with Status and Message; the request is not carried out.
	ActionError Action = "error"
	// ActionRows fails the Rows of a BatchGetRow or BatchWriteRow with Code; the others are carried out. Requests of other operations
	// do not meet it.
	ActionRows Action = "rows"
	// ActionDropBefore closes the connection without an answer; the request is not carried out.
	ActionDropBefore Action = "drop_before"
	// ActionDropAfter carries the request out and closes the connection without an answer.
	ActionDropAfter Action = "drop_after"
	// ActionDelay does nothing but wait for Delay, as every other action does before it acts.
	ActionDelay Action = "delay"
	// ActionTruncate sends half of the body under the length of the whole and closes the connection.
	ActionTruncate Action = "truncate"
	// ActionCorruptBody changes a bit in the middle of the body; MD5 and signature are those of the right one.
	ActionCorruptBody Action = "corrupt_body"
	// ActionCorruptMD5 sends a wrong MD5 header, rightly signed.
	ActionCorruptMD5 Action = "corrupt_md5"
	// ActionCorruptChecksum changes a bit in the middle of the body; MD5 and signature are those of the changed one, so that only the
	// checksums within rows tell.
	ActionCorruptChecksum Action = "corrupt_checksum"
	// ActionCorruptSignature sends a wrong signature.
	ActionCorruptSignature Action = "corrupt_signature"
	// ActionRaw answers Body with Status, signed; the request is not carried out.
	ActionRaw Action = "raw"
)

var actions = []Action{
	ActionError, ActionRows, ActionDropBefore, ActionDropAfter, ActionDelay, ActionTruncate, ActionCorruptBody, ActionCorruptMD5,
	ActionCorruptChecksum, ActionCorruptSignature, ActionRaw,
}

// Fault is something that goes wrong with one request. Requests that fail authentication meet no faults.
type Fault struct {
	// Action is what happens. Empty means "rows" if Rows is given, "error" if only Code is, and "delay" otherwise.
	Action Action `json:"action,omitempty"`
	// Code, Status and Message are the error. Status and Message default to what the table of error codes says.
	Code    string `json:"code,omitempty"`
	Status  int    `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	// DelayMS is how long to wait, in ms, before the request is carried out.
	DelayMS int64 `json:"delay_ms,omitempty"`
	// Rows are the rows of a batch that fail, counted from 0 through all its tables.
	Rows []int `json:"rows,omitempty"`
	// Body is the answer of ActionRaw.
	Body []byte `json:"body_base64,omitempty"`
}

// Rule makes some requests meet a fault. The first rule that applies to a request is the only one.
type Rule struct {
	// Operation is the operation to which the rule applies, such as "GetRow"; "" for any.
	Operation string `json:"operation,omitempty"`
	Fault
	// Count is how many requests meet the fault: -1 for any number. A missing one means 1.
	Count *int `json:"count,omitempty"`
	// Skip is how many requests pass before the first that meets it.
	Skip int `json:"skip,omitempty"`
	// Probability is the chance of each request to meet it; 0 means always. Requests that are spared do not count.
	Probability float64 `json:"probability,omitempty"`
	// Hits says how many requests met the fault; it is only for reading.
	Hits int `json:"hits"`
}

// Times returns n as a [Rule.Count].
func Times(n int) *int { return &n }

type faults struct {
	mu      sync.Mutex
	rules   []Rule
	control func(operation string, body []byte) *Fault
}

// SetFaults replaces the rules by which requests fail; hit counts start at 0.
func (s *Server) SetFaults(rules ...Rule) error {
	rules = slices.Clone(rules)
	for i := range rules {
		r := &rules[i]
		r.Hits = 0
		if err := r.Fault.complete(); err != nil {
			return fmt.Errorf("rule %d: %w", i, err)
		}
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = rules
	return nil
}

// Faults returns the rules with their hit counts.
func (s *Server) Faults() []Rule {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	return slices.Clone(s.faults.rules)
}

// Control calls f with the operation and the protobuf body of every authenticated request. A fault that it returns happens; nil lets
// the request go on to the rules. A nil f ends it. f may be called from many requests at once.
func (s *Server) Control(f func(operation string, body []byte) *Fault) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.control = f
}

// complete fills in what a fault leaves to defaults.
func (f *Fault) complete() error {
	if f.Action == "" {
		switch {
		case len(f.Rows) > 0:
			f.Action = ActionRows
		case f.Code != "":
			f.Action = ActionError
		default:
			f.Action = ActionDelay
		}
	}
	if !slices.Contains(actions, f.Action) {
		return fmt.Errorf("unknown action %q, there are %q", f.Action, actions)
	}
	if f.Code == "" && (f.Action == ActionError || f.Action == ActionRows) {
		return fmt.Errorf("action %q needs a code", f.Action)
	}
	known, _ := errorcode.Lookup(f.Code)
	if f.Status == 0 {
		f.Status = known.HTTPStatus
		if f.Action == ActionRaw {
			f.Status = http.StatusOK
		} else if f.Status == 0 {
			f.Status = http.StatusInternalServerError
		}
	}
	if f.Status < 200 || f.Status > 599 {
		return fmt.Errorf("status %d is none of an answer: give one from 200 to 599", f.Status)
	}
	if f.Message == "" {
		f.Message = known.Message
	}
	return nil
}

// nextFault returns what a request meets, or nil.
func (s *Server) nextFault(operation string, body []byte) *Fault {
	s.faults.mu.Lock()
	control := s.faults.control
	s.faults.mu.Unlock()
	if control != nil {
		if f := control(operation, body); f != nil {
			own := *f
			if err := own.complete(); err != nil {
				own = Fault{Action: ActionError, Code: errorcode.InternalServerError, Status: 500, Message: err.Error()}
			}
			return &own
		}
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for i := range s.faults.rules {
		r := &s.faults.rules[i]
		count := 1
		if r.Count != nil {
			count = *r.Count
		}
		switch {
		case r.Operation != "" && r.Operation != operation, count >= 0 && r.Hits >= count:
			continue
		case r.Action == ActionRows && operation != "BatchGetRow" && operation != "BatchWriteRow": // there are no rows to fail
			continue
		case r.Skip > 0:
			r.Skip--
			continue
		case r.Probability > 0 && rand.Float64() >= r.Probability: //nolint:gosec // chance, not secrecy
			continue
		}
		r.Hits++
		f := r.Fault
		return &f
	}
	return nil
}

// before does what happens before the request is carried out; done means that it is not.
func (f *Fault) before(c *call, r *http.Request) (done bool, err error) {
	if f.DelayMS > 0 {
		timer := time.NewTimer(time.Duration(f.DelayMS) * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	switch f.Action {
	case ActionError:
		return true, f.error()
	case ActionDropBefore:
		return true, nil
	case ActionRaw:
		c.status = f.Status
		c.out = append(c.out[:0], f.Body...)
		return true, nil
	}
	return false, nil
}

func (f *Fault) error() *serviceError { return &serviceError{f.Status, f.Code, f.Message} }

// rowError returns the error with which row i of a batch fails, or nil.
func (f *Fault) rowError(i int) *serviceError {
	if f == nil || f.Action != ActionRows || !slices.Contains(f.Rows, i) {
		return nil
	}
	return f.error()
}

func (f *Fault) corruptsChecksum() bool { return f != nil && f.Action == ActionCorruptChecksum }

func (f *Fault) corruptsMD5() bool { return f != nil && f.Action == ActionCorruptMD5 }

// writeBroken sends the answer as the fault wants it; false leaves that to the caller.
func (f *Fault) writeBroken(c *call, w http.ResponseWriter, _ *http.Request) bool {
	switch f.Action {
	case ActionDropBefore, ActionDropAfter:
		panic(http.ErrAbortHandler) // net/http closes the connection, silently
	case ActionTruncate:
		w.WriteHeader(c.status)
		_, _ = w.Write(c.out[:len(c.out)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case ActionCorruptBody:
		if len(c.out) > 0 {
			c.out[len(c.out)/2] ^= 0x10
		}
	case ActionCorruptSignature:
		w.Header()["Authorization"] = []string{"OTS " + c.server.options.AccessKeyID + ":AAAAAAAAAAAAAAAAAAAAAAAAAAA="}
	}
	return false
}

// serveAdmin answers /_faults and /_clock, which are there only with [Options.Faults]:
//
//	GET    /_faults                        the rules as JSON, with hits
//	POST   /_faults  [{"operation": "GetRow", "code": "OTSServerBusy", "count": 2}]   replaces the rules
//	DELETE /_faults                        removes them
//	POST   /_clock   {"advance_ms": 60000} moves the clock; the answer tells how far it is from the real one
func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Origin") != "" {
		// Every page that is open on this machine can reach a loopback address through its browser, which says so.
		http.Error(w, "not from a browser", http.StatusForbidden)
		return
	}
	var answer any
	err := fmt.Errorf("%s %s is not a request that is understood here", r.Method, r.URL.Path)
	switch r.Method + " " + r.URL.Path {
	case "GET /_faults":
		answer, err = s.Faults(), nil
	case "DELETE /_faults":
		err = s.SetFaults()
	case "POST /_faults":
		var rules []Rule
		if err = decodeAdmin(r, &rules); err == nil {
			err = s.SetFaults(rules...)
		}
	case "POST /_clock":
		var move struct {
			AdvanceMS int64 `json:"advance_ms"`
		}
		if err = decodeAdmin(r, &move); err == nil {
			s.AdvanceClock(time.Duration(move.AdvanceMS) * time.Millisecond)
			answer = map[string]int64{"offset_ms": s.clockOffset.Load() / int64(time.Millisecond)}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		answer = map[string]string{"error": err.Error()}
	}
	if answer == nil {
		answer = struct{}{}
	}
	_ = json.NewEncoder(w).Encode(answer) // the client went away
}

func decodeAdmin(r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("read the JSON body: %w", err)
	}
	return nil
}
