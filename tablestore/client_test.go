package tablestore

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/local"
)

func TestRequestsInFlightAreBounded(t *testing.T) {
	const limit, calls = 3, 30
	var now, most atomic.Int32
	full := make(chan struct{})
	client := open(t, serve(t, func(*http.Request, []byte) answer {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if n == limit {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-full
		return goodAnswer(t)
	}).URL, func(o *Options) { o.MaxConnections = limit })

	var done sync.WaitGroup
	for range calls {
		done.Add(1)
		go func() {
			defer done.Done()
			if _, err := client.GetRow(context.Background(), getA1); err != nil {
				t.Error(err)
			}
		}()
	}
	done.Wait()
	if n := most.Load(); n != limit {
		t.Errorf("%d requests at once, want %d", n, limit)
	}
	if n := len(client.idle); n > limit {
		t.Errorf("%d sessions are kept, limit %d", n, limit)
	}
}

func TestWaitingForAConnectionEndsWithTheContext(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	client := open(t, serve(t, func(*http.Request, []byte) answer {
		close(reached)
		<-release
		return goodAnswer(t)
	}).URL, func(o *Options) { o.MaxConnections = 1 })
	done := make(chan error)
	go func() {
		_, err := client.GetRow(context.Background(), getA1)
		done <- err
	}()
	<-reached

	observer := &recorder{}
	ctx, cancel := context.WithCancel(WithObserver(t.Context(), observer))
	waiting := make(chan error)
	go func() {
		_, err := client.GetRow(ctx, getA1)
		waiting <- err
	}()
	cancel()
	failure := failureOf(t, <-waiting)
	wantKind(t, failure, Deadline, "the call was cancelled")
	if !errors.Is(failure, context.Canceled) {
		t.Error("the cause is lost")
	}
	_, err := client.GetRow(ctx, getA1)
	wantKind(t, failureOf(t, err), Deadline, "the call was cancelled before it began")
	if len(observer.exchanges) != 0 {
		t.Errorf("a request that was not made was reported: %+v", observer.exchanges)
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the call that had the connection: %v", err)
	}
}

func TestManyGoroutinesShareAClient(t *testing.T) {
	client, server := withTable(t, func(o *Options) { o.Region = "cn-hangzhou" })
	server.Control(func(operation string, body []byte) *local.Fault {
		if len(body)%7 == 0 {
			return &local.Fault{Action: local.ActionCorruptBody}
		}
		return nil
	})
	var done sync.WaitGroup
	for g := range 16 {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := range 30 {
				id := strings.Repeat("x", g) + string(rune('a'+i%26))
				value := strings.Repeat(id, 100)
				err := client.WriteRow(context.Background(), "nodestore", &RowChange{Kind: Put, PrimaryKey: key(id), Columns: []Column{{Name: "data", Value: value}}})
				row, err2 := client.GetRow(context.Background(), &GetRowRequest{Table: "nodestore", PrimaryKey: key(id)})
				for _, err := range []error{err, err2} {
					var failure *Error
					if err != nil && (!errors.As(err, &failure) || failure.Kind != Corrupt) {
						t.Error(err)
					}
				}
				if err == nil && err2 == nil && (row == nil || row.Columns[0].Value != value) {
					t.Errorf("%s: another value", id)
				}
			}
		}()
	}
	done.Wait()
}

// What the server can do wrong comes out as a failure of the right kind, and every call after it works.
func TestFaultsOfTheServer(t *testing.T) {
	client, server := withTable(t)
	put(t, client, "a", Column{Name: "data", Value: "x"})
	for _, test := range []struct {
		fault     local.Fault
		kind      Kind
		retryable bool
	}{
		{local.Fault{Code: "OTSServerBusy"}, Service, true},
		{local.Fault{Code: "OTSTimeout"}, Service, true},
		{local.Fault{Code: "OTSParameterInvalid"}, Service, false},
		{local.Fault{Action: local.ActionTruncate}, Lost, true},
		{local.Fault{Action: local.ActionCorruptBody}, Corrupt, true},
		{local.Fault{Action: local.ActionCorruptMD5}, Corrupt, true},
		{local.Fault{Action: local.ActionCorruptSignature}, Corrupt, true},
		{local.Fault{Action: local.ActionRaw, Body: []byte{}}, Corrupt, true},
	} {
		if err := server.SetFaults(local.Rule{Fault: test.fault}); err != nil {
			t.Fatal(err)
		}
		_, err := client.GetRow(t.Context(), &GetRowRequest{Table: "nodestore", PrimaryKey: key("a")})
		failure := failureOf(t, err)
		if failure == nil || failure.Kind != test.kind || failure.Retryable() != test.retryable || failure.Code != test.fault.Code {
			t.Errorf("%+v: %v", test.fault, err)
		}
		if read(t, client, "a") == nil {
			t.Error("the row is gone")
		}
	}
	// An answer dropped on an idle connection is asked for again on a new one, once.
	if err := server.SetFaults(local.Rule{Fault: local.Fault{Action: local.ActionDropAfter}}); err != nil {
		t.Fatal(err)
	}
	if read(t, client, "a") == nil {
		t.Error("the row is gone")
	}
}

func TestAuthentication(t *testing.T) {
	_, server := withTable(t)
	for _, region := range []string{"", "cn-hangzhou"} {
		for part, change := range map[string]func(*Options){
			"Signature mismatch": func(o *Options) { o.AccessKeySecret = "wrong" },
			"AccessKeyID":        func(o *Options) { o.AccessKeyID = "unknown" },
			"instance":           func(o *Options) { o.Instance = "other" },
		} {
			other := open(t, server.URL, func(o *Options) {
				o.Instance, o.AccessKeyID, o.AccessKeySecret, o.Region = server.Instance, server.AccessKeyID, server.AccessKeySecret, region
				change(o)
			})
			failure := get(t, other)
			wantKind(t, failure, Service, part)
			if !failure.Authentication() || failure.Retryable() {
				t.Errorf("%+v", failure)
			}
		}
	}
}

func TestClose(t *testing.T) {
	client := open(t, serve(t, always(goodAnswer(t))).URL)
	if failure := get(t, client); failure != nil {
		t.Fatal(failure)
	}
	client.Close()
	if failure := get(t, client); failure != nil {
		t.Errorf("a call after Close: %v", failure)
	}
}

type recorder struct{ exchanges []Exchange }

func (r *recorder) Exchanged(e Exchange) { r.exchanges = append(r.exchanges, e) }

func TestObserver(t *testing.T) {
	var next answer
	client := open(t, serve(t, func(*http.Request, []byte) answer { return next }).URL)
	call := func() Exchange {
		t.Helper()
		observer := &recorder{}
		_, _ = client.GetRow(WithObserver(t.Context(), observer), getA1)
		if len(observer.exchanges) != 1 {
			t.Fatalf("%d exchanges", len(observer.exchanges))
		}
		return observer.exchanges[0]
	}

	next = goodAnswer(t)
	e := call()
	if e.Operation != "GetRow" || e.Table != "nodestore" || e.HTTPStatus != 200 || e.RequestID != "00061f-test-request" ||
		e.ResponseBytes != len(next.body) || e.RequestBytes < 20 || e.Duration <= 0 || e.Err != nil {
		t.Errorf("good: %+v", e)
	}
	next = answer{status: 503, body: failed(t, "OTSServerBusy", "Server is busy.")}
	if e = call(); e.HTTPStatus != 503 || e.RequestID == "" || failureOf(t, e.Err).Code != "OTSServerBusy" {
		t.Errorf("error: %+v", e)
	}
	next = answer{body: gotRow(t, row("a2", nil))}
	if e = call(); e.HTTPStatus != 200 || failureOf(t, e.Err).Kind != Corrupt {
		t.Errorf("another row: %+v", e)
	}
	client = open(t, "http://127.0.0.1:1")
	if e = call(); e.HTTPStatus != 0 || e.RequestID != "" || failureOf(t, e.Err).Kind != NotSent {
		t.Errorf("refused: %+v", e)
	}
}
