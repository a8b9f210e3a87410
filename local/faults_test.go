package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

func TestFaultRules(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	if err := s.SetFaults(
		Rule{Operation: "GetRow", Skip: 1, Count: Times(2), Fault: Fault{Code: "OTSServerBusy"}},
		Rule{Operation: "GetRow", Skip: 1, Count: Times(-1), Fault: Fault{Code: "OTSSomethingNew", Status: 418, Message: "teapot"}},
	); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 6 {
		a := s.send(t, s.request(t, "GetRow", mustMarshal(getRequest(idKey("a")))))
		e := a.error(t)
		got = append(got, fmt.Sprint(a.status, e.GetCode(), e.GetMessage(), a.signed))
	}
	want := "200 true, 503 OTSServerBusy Server is busy. true, 503 OTSServerBusy Server is busy. true, " +
		"418 OTSSomethingNew teapot true, 418 OTSSomethingNew teapot true, 418 OTSSomethingNew teapot true"
	if got := strings.ReplaceAll(strings.Join(got, ", "), "  ", " "); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if rules := s.Faults(); rules[0].Hits != 2 || rules[1].Hits != 3 {
		t.Errorf("hits: %d and %d", rules[0].Hits, rules[1].Hits)
	}
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1))) // another operation
	if err := s.SetFaults(); err != nil {
		t.Fatal(err)
	}
	s.must(t, "GetRow", getRequest(idKey("a")))
	for _, r := range []Rule{
		{Fault: Fault{Action: "explode"}}, {Fault: Fault{Action: ActionError}},
		{Fault: Fault{Code: "X", Status: 99}}, {Fault: Fault{Code: "X", Status: 600}}, {Fault: Fault{Action: ActionRaw, Status: -1}},
	} {
		if err := s.SetFaults(r); err == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
}

func TestFaultyRows(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	if err := s.SetFaults(Rule{Fault: Fault{Code: "OTSServerBusy", Rows: []int{0, 2}}}); err != nil {
		t.Fatal(err)
	}
	s.must(t, "ListTable", &otsprotocol.ListTableRequest{}) // has no rows, and does not use the rule up
	got := fmt.Sprintf("%q", s.write(t, batch(batchPut("a", cell("x", 1)), batchPut("b", cell("x", 1)), batchPut("c", cell("x", 1)))))
	if want := `["OTSServerBusy" "" "OTSServerBusy"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if rows, _ := s.scan(t, allRange()); ids(rows) != "b" {
		t.Errorf("rows %s", ids(rows))
	}
}

func TestBrokenAnswers(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", strings.Repeat("long ", 5000))))
	for _, tt := range []struct {
		fault  Fault
		broken string // what a client notices
	}{
		{Fault{Action: ActionTruncate}, "body"}, {Fault{Action: ActionCorruptBody}, "MD5"}, {Fault{Action: ActionCorruptMD5}, "MD5"},
		{Fault{Action: ActionCorruptChecksum}, "checksum"}, {Fault{Action: ActionCorruptSignature}, "signature"}, {Fault{Action: ActionDropBefore}, "connection"}, {Fault{Action: ActionDropAfter}, "connection"},
		{Fault{Action: ActionRaw, Body: []byte("anything")}, ""}, {Fault{Action: ActionDelay, DelayMS: 1}, ""},
	} {
		t.Run(string(tt.fault.Action), func(t *testing.T) {
			if err := s.SetFaults(Rule{Operation: "GetRow", Fault: tt.fault}); err != nil {
				t.Fatal(err)
			}
			got := notice(t, s, s.request(t, "GetRow", mustMarshal(getRequest(idKey("a")))))
			if got != tt.broken {
				t.Errorf("a client notices %q", got)
			}
		})
	}
}

// notice sends a request and says what is wrong with the answer.
func notice(t *testing.T, s *TestServer, r *http.Request) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return "connection"
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "body"
	}
	var m otsprotocol.GetRowResponse
	var row plainbuffer.Row
	switch {
	case md5Header(body) != response.Header.Get("x-ots-contentmd5"):
		return "MD5"
	case !s.verify(r, response.Header):
		return "signature"
	case response.StatusCode == http.StatusOK && unmarshal(body, &m) == nil && errors.Is(plainbuffer.DecodeRow(m.Row, &row), plainbuffer.ErrChecksum):
		return "checksum"
	}
	return ""
}

func TestDroppedWrites(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	for action, applied := range map[Action]bool{ActionDropBefore: false, ActionDropAfter: true} {
		if err := s.SetFaults(Rule{Operation: "PutRow", Fault: Fault{Action: action}}); err != nil {
			t.Fatal(err)
		}
		if got := notice(t, s, s.request(t, "PutRow", mustMarshal(putRequest(idKey(string(action)), cell("x", 1))))); got != "connection" {
			t.Errorf("%s: a client notices %q", action, got)
		}
		if row, _ := s.get(t, getRequest(idKey(string(action)))); (row != nil) != applied {
			t.Errorf("%s: applied: %t", action, row != nil)
		}
	}
}

func TestControl(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	var seen atomic.Int32
	s.Control(func(operation string, body []byte) *Fault {
		if operation != "GetRow" || !bytes.Contains(body, []byte("bad")) {
			return nil
		}
		seen.Add(1)
		return &Fault{Code: "OTSTimeout"}
	})
	s.must(t, "GetRow", getRequest(idKey("good")))
	s.refused(t, "GetRow", getRequest(idKey("bad")), "OTSTimeout", "Operation timeout.")
	s.Control(nil)
	s.must(t, "GetRow", getRequest(idKey("bad")))
	if seen.Load() != 1 {
		t.Errorf("the hook was called %d times for the row", seen.Load())
	}
}

func TestProbability(t *testing.T) {
	s := RunT(t)
	if err := s.SetFaults(Rule{Probability: 0.5, Count: Times(-1), Fault: Fault{Code: "OTSServerBusy"}}); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		s.call(t, "ListTable", nil)
	}
	if hits := s.Faults()[0].Hits; hits < 50 || hits > 150 {
		t.Errorf("%d of 200 requests met a fault of probability 0.5", hits)
	}
}

func admin(t *testing.T, s *TestServer, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestAdminRequests(t *testing.T) {
	s := RunT(t, func(o *Options) { o.Faults = true }, fixedClock)
	if status, body := admin(t, s, "POST", "/_faults", `[{"operation":"ListTable","code":"OTSServerBusy","count":1}]`); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if _, code, _ := s.call(t, "ListTable", nil); code != "OTSServerBusy" {
		t.Errorf("code %q", code)
	}
	if _, body := admin(t, s, "GET", "/_faults", ""); !strings.Contains(body, `"hits":1`) {
		t.Error(body)
	}
	if status, _ := admin(t, s, "DELETE", "/_faults", ""); status != 200 || len(s.Faults()) != 0 {
		t.Errorf("%d, %d rules", status, len(s.Faults()))
	}
	if status, body := admin(t, s, "POST", "/_clock", `{"advance_ms": 90000}`); status != 200 || strings.TrimSpace(body) != `{"offset_ms":90000}` {
		t.Errorf("%d %s", status, body)
	}
	if now := s.now(); !now.Equal(start.Add(90 * time.Second)) {
		t.Errorf("the clock shows %s", now)
	}
	for _, bad := range [][3]string{{"POST", "/_faults", `{`}, {"POST", "/_faults", `[{"kode":"x"}]`}, {"POST", "/_faults", `[{"action":"x"}]`}, {"PUT", "/_clock", ""}, {"POST", "/_other", ""}} {
		if status, body := admin(t, s, bad[0], bad[1], bad[2]); status != 400 || !strings.Contains(body, "error") {
			t.Errorf("%v: %d %s", bad, status, body)
		}
	}
	if status, _ := admin(t, RunT(t), "GET", "/_faults", ""); status != 405 {
		t.Errorf("without the option: %d", status)
	}
}

// A page in somebody's browser may send a POST to any address of the machine.
func TestFaultsAreNotForBrowsers(t *testing.T) {
	s := RunT(t, func(o *Options) { o.Faults = true })
	for _, path := range []string{"/_faults", "/_clock"} {
		r, err := http.NewRequest(http.MethodPost, s.URL+path, strings.NewReader(`{"advance_ms":86400000}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://example.invalid")
		r.Header.Set("Content-Type", "text/plain")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusForbidden || s.clockOffset.Load() != 0 {
			t.Errorf("%s: status %d, clock moved by %d", path, response.StatusCode, s.clockOffset.Load())
		}
	}
}
