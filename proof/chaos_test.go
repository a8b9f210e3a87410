package proof

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/store"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
)

// atOnce is how many cases run at the same time: nearly all of a case is waiting, so they may be more than cores.
const atOnce = 12

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "matrix")
	if err == nil {
		defer os.RemoveAll(folder)
		err = trust(trusted, folder)
	}
	if err == nil {
		err = resolver.serve()
	}
	if err != nil {
		panic(err)
	}
	return m.Run()
}

// full is whether every code and the long outages are tried, as `make chaos` does, or some of each kind.
var full = os.Getenv("TABLESTORE_CHAOS") == "full"

// outcome is what a fault must lead to.
type outcome int

const (
	succeeds outcome = iota // the call overcomes it
	fails                   // the call says so at once
	expires                 // the call tries until its deadline and says so
	either                  // the call succeeds or says so by its deadline
)

// A call may end this much after its deadline: the goroutines of many cases share the machine. What a run really saw is
// printed at its end.
const overrun = 3 * time.Second

// fault is something that goes wrong. It begins before the call and is over after it, or after its time.
type fault struct {
	name  string
	leads outcome
	begin func(*world)
	end   func(*world)
	lasts time.Duration // how long the fault goes on by itself, calls being made all the time; 0: for one call
	dir   bool          // needs a server with a folder
	skip  func(operation) bool
}

// host is a server that one case after the other uses: opening one takes longer than most cases.
type host struct {
	t      *testing.T // of the matrix
	server *local.Server
	http   *http.Server
	addr   string
	folder string // "": in memory
}

// world is one case's server, network and store.
type world struct {
	*host
	t      *testing.T
	proxy  *proxy
	direct *store.Store // past all network faults, for setting up and looking after
	store  *store.Store
	name   string // that the store knows the server by, where that is the fault
	front  *front // the same for the server's TLS
}

const (
	patience   = 10 * time.Second // timeout of a store whose calls must overcome a fault
	impatience = time.Second      // and of one whose calls must end by their deadline
)

func newHost(t *testing.T, folder string) *host {
	h := &host{t: t, folder: folder}
	h.start("127.0.0.1:0")
	t.Cleanup(h.stop)
	return h
}

func newWorld(t *testing.T, h *host, f fault) *world {
	w := &world{host: h, t: t}
	w.proxy = newProxy(t, w.addr)
	w.direct = w.open("http://"+w.addr, patience)
	timeout := patience
	if f.leads == expires || f.leads == either {
		timeout = impatience
	}
	w.store = w.open(w.proxy.url(), timeout)
	if err := w.direct.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.reset()
	for { // leaves a connection that a call may begin on
		if _, _, err := w.store.Get(t.Context(), "node"); err == nil || t.Context().Err() != nil {
			break
		}
	}
	return w
}

func (h *host) start(address string) {
	options := local.Options{Dir: h.folder, Memory: h.folder == "", Instance: "proof", AccessKeyID: "id", AccessKeySecret: "secret"}
	server, err := local.Open(options)
	if err != nil {
		h.t.Error(err)
		return
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		h.t.Error(err)
		return
	}
	h.server, h.addr = server, listener.Addr().String()
	h.http = &http.Server{Handler: server, ReadHeaderTimeout: time.Minute}
	go func(s *http.Server) { _ = s.Serve(listener) }(h.http) // ends with Close
}

func (h *host) stop() {
	_ = h.http.Close()
	if err := h.server.Close(); err != nil {
		h.t.Error(err)
	}
}

func (w *world) open(endpoint string, timeout time.Duration) *store.Store {
	s, err := store.Open(store.Options{
		Endpoint: endpoint, Instance: "proof", Table: "nodestore", AccessKeyID: "id", AccessKeySecret: "secret",
		Compression: "zstd", TimeoutMillis: timeout.Milliseconds(), MaxConnection: 16,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(s.Close)
	return s
}

// reset puts every node back to what it is at the beginning.
func (w *world) reset() {
	w.t.Helper()
	err := w.direct.SetMany(w.t.Context(), append([]string{"node", "large"}, many...), append([][]byte{before, largeBefore}, values(len(many), before)...), store.NoTTL)
	if err == nil {
		err = w.direct.DeleteMany(w.t.Context(), prefixed("imported-", many))
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// rule makes the server answer so many requests with a fault, -1 all.
func rule(count int, f local.Fault) func(*world) {
	return func(w *world) {
		if err := w.server.SetFaults(local.Rule{Fault: f, Count: local.Times(count)}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func heal(w *world) {
	if err := w.server.SetFaults(); err != nil {
		w.t.Fatal(err)
	}
	w.proxy.set(wireFaults{})
}

func network(f wireFaults) func(*world) { return func(w *world) { w.proxy.set(f) } }

// isDestroy says whether an operation removes the table. It gets a server of its own: a request that was given up may arrive late, when
// another case has made the table again.
func isDestroy(o operation) bool { return o.name == "destroy" }

// isPatient says whether an operation waits for minutes when the service asks to come back later.
func isPatient(o operation) bool { return o.name == "bootstrap" }

// usesConditions says whether an operation takes a failed condition for what it means: another write came first.
func usesConditions(o operation) bool { return o.name == "set of a split node" || o.name == "import" }

// faults are the columns of the matrix.
func faults() (all []fault) {
	add := func(f fault) { all = append(all, f) }
	for _, code := range errorcode.All() {
		common := slices.Contains([]string{errorcode.ServerBusy, errorcode.Timeout, errorcode.AuthFailed, errorcode.ParameterInvalid}, code.Code)
		if !full && !common {
			continue
		}
		answer := local.Fault{Code: code.Code}
		if code.RetryIdempotentWrite() {
			add(fault{name: code.Code + " twice", leads: succeeds, begin: rule(2, answer)})
			add(fault{name: code.Code + " for ever", leads: expires, begin: rule(-1, answer), skip: isPatient})
			continue
		}
		add(fault{name: code.Code, leads: fails, begin: rule(-1, answer), skip: func(o operation) bool {
			return code.Code == errorcode.ConditionCheckFail && usesConditions(o) ||
				code.Code == errorcode.ObjectNotExist && isDestroy(o) // that is what it is to bring about
		}})
	}
	add(fault{name: "throttled for 3 s", leads: succeeds, lasts: 3 * time.Second, begin: rule(-1, local.Fault{Code: errorcode.FlowControl})})
	add(fault{name: "rows of batches fail twice", leads: succeeds, begin: rule(2, local.Fault{Code: errorcode.PartitionUnavailable, Rows: []int{0, 7, 99}})})
	add(fault{name: "a row of batches fails for good", leads: fails, begin: rule(-1, local.Fault{Code: errorcode.ParameterInvalid, Rows: []int{7}}),
		skip: func(o operation) bool {
			return !slices.Contains([]string{"get many", "set many", "delete many", "cleanup", "import"}, o.name)
		}})

	add(fault{name: "slow first byte", leads: succeeds, begin: network(wireFaults{first: 200 * time.Millisecond})})
	add(fault{name: "first byte after the deadline", leads: expires, begin: network(wireFaults{first: 1500 * time.Millisecond})})
	add(fault{name: "slow request in the service", leads: expires, begin: rule(-1, local.Fault{DelayMS: 1500})})
	add(fault{name: "slow body", leads: either, begin: network(wireFaults{drip: time.Millisecond})})
	for _, action := range []local.Action{
		local.ActionTruncate, local.ActionCorruptBody, local.ActionCorruptMD5, local.ActionCorruptSignature, local.ActionDropBefore, local.ActionDropAfter,
	} {
		add(fault{name: string(action) + " twice", leads: succeeds, begin: rule(2, local.Fault{Action: action})})
		if full {
			add(fault{name: string(action) + " for ever", leads: expires, begin: rule(-1, local.Fault{Action: action}), skip: func(o operation) bool {
				// The body of what answers a DeleteTable is empty.
				return isDestroy(o) && (action == local.ActionTruncate || action == local.ActionCorruptBody)
			}})
		}
	}
	// Only rows have checksums, and one bit in the few bytes of another answer may change nothing that counts.
	withoutRows := func(o operation) bool {
		return !strings.HasPrefix(o.name, "get") && o.name != "scan" || o.name == "get of a missing node"
	}
	add(fault{name: "corrupt_checksum twice", leads: succeeds, begin: rule(2, local.Fault{Action: local.ActionCorruptChecksum}), skip: withoutRows})
	add(fault{name: "corrupt_checksum for ever", leads: expires, begin: rule(-1, local.Fault{Action: local.ActionCorruptChecksum}), skip: withoutRows})
	add(fault{name: "connection reset in the answer, twice", leads: succeeds, begin: network(wireFaults{reset: 2})})
	add(fault{name: "connections refused", leads: expires, begin: network(wireFaults{refuse: true})})
	add(fault{name: "black hole", leads: expires, begin: network(wireFaults{blackhole: true})})
	outage := 2 * time.Second
	if full {
		outage = 30 * time.Second
	}
	add(fault{name: fmt.Sprintf("%v outage, refused", outage), leads: either, lasts: outage, begin: network(wireFaults{refuse: true})})
	add(fault{name: fmt.Sprintf("%v outage, black hole", outage), leads: either, lasts: outage, begin: network(wireFaults{blackhole: true})})
	add(fault{name: "server restart", leads: succeeds, dir: true, begin: func(w *world) {
		w.stop()
		restarted := make(chan struct{})
		go func() {
			defer close(restarted)
			time.Sleep(300 * time.Millisecond)
			w.start(w.addr)
		}()
		w.t.Cleanup(func() { <-restarted })
	}, end: func(*world) {}})
	add(fault{name: "name that does not resolve", leads: expires, begin: func(w *world) {
		w.name = resolver.unique()
		resolver.forget(w.name, true)
		_, port, _ := net.SplitHostPort(w.proxy.listener.Addr().String())
		w.store = w.open("http://"+net.JoinHostPort(w.name, port), impatience)
	}, end: func(w *world) { resolver.forget(w.name, false) }})
	return append(all, certificateFaults()...)
}

// What was acknowledged is there; what raised is old or new, never anything else; nothing that exists is reported missing; each call
// ends within its deadline; and when the fault is over, the same store works again.
func TestFaultMatrix(t *testing.T) {
	total := newTally()
	t.Run("cases", func(t *testing.T) {
		hosts := make(chan *host, atOnce)
		for range atOnce {
			hosts <- newHost(t, "")
		}
		for _, f := range faults() {
			for _, o := range operations {
				if f.skip != nil && f.skip(o) {
					continue
				}
				t.Run(f.name+"/"+o.name, func(t *testing.T) {
					t.Parallel()
					if isDestroy(o) && !f.dir {
						newWorld(t, newHost(t, ""), f).prove(f, o, total)
						return
					}
					h := <-hosts
					defer func() { hosts <- h }()
					if f.dir {
						newWorld(t, newHost(t, t.TempDir()), f).prove(f, o, total)
						return
					}
					newWorld(t, h, f).prove(f, o, total)
				})
			}
		}
	})
	fmt.Println(total) // to the reader of a run that passed, too
	if err := total.save(!t.Failed()); err != nil {
		t.Error(err)
	}
}

func (w *world) prove(f fault, o operation, total *tally) {
	t := w.t
	f.begin(w)
	over := time.Now().Add(f.lasts)
	if f.leads == succeeds && f.lasts > 0 { // one call that outlasts the fault
		timer := time.AfterFunc(f.lasts, func() { heal(w) })
		defer timer.Stop()
		over = time.Now()
	}
	for {
		err := w.call(f, o, total)
		w.look(o, err)
		if t.Failed() || !time.Now().Before(over) {
			break
		}
	}
	if f.end != nil {
		f.end(w)
	} else {
		heal(w)
	}
	if t.Failed() {
		return
	}
	if !isDestroy(o) {
		w.reset()
	}
	began := time.Now()
	err := o.call(t.Context(), w.store)
	took := time.Since(began)
	if err != nil {
		total.needsAnother()
	}
	// A call may still find what the fault left behind, such as connections that are dead, and one with little patience may run out of
	// time on a busy machine.
	for err != nil && time.Since(began) < patience {
		err = o.call(t.Context(), w.store)
	}
	if err != nil {
		t.Errorf("after the fault: %v", err)
	}
	w.look(o, err)
	total.recovered(f.name, t.Name(), took)
}

// call makes one call under the fault and judges how it ended.
func (w *world) call(f fault, o operation, total *tally) error {
	t := w.t
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a hanging call fails its case, not the run
	defer cancel()
	began := time.Now()
	err := o.call(ctx, w.store)
	took := time.Since(began)
	deadline := w.store.Timeout()
	if isPatient(o) && f.leads != expires {
		deadline = 3 * time.Minute
	}
	if strings.HasPrefix(o.name, "cleanup") || isPatient(o) {
		deadline *= 4 // each of its requests has a deadline of its own
	}
	total.called(f.name, t.Name(), err, took-deadline)
	var failure *store.Error
	switch {
	case took > deadline+overrun:
		t.Errorf("took %v, the deadline is %v: %v", took, deadline, err)
	case errors.Is(err, errWrong):
		t.Error(err)
	case err != nil && !errors.As(err, &failure):
		t.Errorf("error %T: %v", err, err)
	case err != nil && (failure.Operation == "" || failure.Table == "" || failure.Message == "" || failure.Kind == store.KindInternal):
		t.Errorf("error %+v", failure)
	case f.leads == succeeds && err != nil:
		t.Errorf("did not overcome it: %v", err)
	case f.leads == fails && err == nil, f.leads == expires && err == nil:
		t.Error("did not fail")
	case f.leads == fails && took > patience/2:
		t.Errorf("took %v to say what was final at once: %v", took, err)
	}
	return err
}

// look checks what is in the table after a call that ended with err.
func (w *world) look(o operation, err error) {
	w.t.Helper()
	if len(o.done) == 0 {
		return
	}
	ids := make([]string, 0, len(o.done))
	for id := range o.done {
		ids = append(ids, id)
	}
	// Not through the fault: the server's rules are for every client.
	rules := w.server.Faults()
	if failure := w.server.SetFaults(); failure != nil {
		w.t.Fatal(failure)
	}
	if isDestroy(o) {
		if !w.isDestroyed() && err == nil {
			w.t.Error("the table is still there")
		}
		w.restore(rules)
		return
	}
	got, failure := w.direct.GetMany(w.t.Context(), ids)
	if failure != nil {
		w.t.Fatalf("look at the table: %v", failure)
	}
	w.restore(rules)
	for i, id := range ids {
		isDone := same(got[i], o.done[id])
		if isDone || err != nil && same(got[i], o.undone[id]) {
			continue
		}
		w.t.Errorf("%q holds %d bytes after the error %v; before it held %d, it was to hold %d", id, len(got[i]), err, len(o.undone[id]), len(o.done[id]))
		return
	}
}

func (w *world) restore(rules []local.Rule) {
	w.t.Helper()
	if err := w.server.SetFaults(rules...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) isDestroyed() bool {
	_, err := w.direct.Describe(w.t.Context())
	var failure *store.Error
	return errors.As(err, &failure) && failure.Code == errorcode.ObjectNotExist
}

func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
