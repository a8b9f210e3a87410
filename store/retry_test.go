package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// operations are the calls of a store, each with a request to be answered first.
var operations = map[string]func(context.Context, *Store) error{
	"GetRow":        func(ctx context.Context, s *Store) error { _, _, err := s.Get(ctx, "node"); return err },
	"BatchGetRow":   func(ctx context.Context, s *Store) error { _, err := s.GetMany(ctx, []string{"node", "b"}); return err },
	"PutRow":        func(ctx context.Context, s *Store) error { return s.Set(ctx, "node", []byte("value"), NoTTL) },
	"DeleteRow":     func(ctx context.Context, s *Store) error { return s.Delete(ctx, "node") },
	"BatchWriteRow": func(ctx context.Context, s *Store) error { return s.DeleteMany(ctx, []string{"node", "b"}) },
	"GetRange":      func(ctx context.Context, s *Store) error { _, err := s.Cleanup(ctx, s.now()); return err },
}

// withoutPauses makes pauses take no time.
func withoutPauses(s *Store) (pauses *[]time.Duration) {
	pauses = new([]time.Duration)
	s.sleep = func(ctx context.Context, d time.Duration) error { *pauses = append(*pauses, d); return ctx.Err() }
	return pauses
}

func TestRetryableFailuresAreRepeated(t *testing.T) {
	faults := map[string]local.Fault{
		"busy":              {Action: local.ActionError, Code: "OTSServerBusy"},
		"partition":         {Action: local.ActionError, Code: "OTSPartitionUnavailable"},
		"timeout":           {Action: local.ActionError, Code: "OTSTimeout"},
		"internal":          {Action: local.ActionError, Code: "OTSInternalServerError"},
		"unavailable":       {Action: local.ActionError, Code: "OTSServerUnavailable"},
		"throttled":         {Action: local.ActionError, Code: "OTSFlowControl"},
		"not ready":         {Action: local.ActionError, Code: "OTSTableNotReady"},
		"conflict":          {Action: local.ActionError, Code: "OTSRowOperationConflict"},
		"lost before":       {Action: local.ActionDropBefore},
		"lost after":        {Action: local.ActionDropAfter},
		"truncated":         {Action: local.ActionTruncate},
		"corrupt body":      {Action: local.ActionCorruptBody},
		"corrupt MD5":       {Action: local.ActionCorruptMD5},
		"corrupt signature": {Action: local.ActionCorruptSignature},
		"empty answer":      {Action: local.ActionRaw},
	}
	for name, fault := range faults {
		for operation, call := range operations {
			t.Run(name+" in "+operation, func(t *testing.T) {
				s, server, _ := newStore(t)
				withoutPauses(s)
				if err := server.SetFaults(local.Rule{Operation: operation, Fault: fault, Count: local.Times(2)}); err != nil {
					t.Fatal(err)
				}
				if err := call(t.Context(), s); err != nil {
					t.Error(err)
				}
				if hits := server.Faults()[0].Hits; hits != 2 {
					t.Errorf("%d faults met", hits)
				}
			})
		}
	}
}

func TestFinalFailuresAreNotRepeated(t *testing.T) {
	codes := map[string]Kind{
		"OTSAuthFailed": KindAuthentication, "OTSNoPermissionAccess": KindPermission, "OTSParameterInvalid": KindService,
		"OTSObjectNotExist": KindTableMissing, "OTSInvalidPK": KindService,
	}
	for code, kind := range codes {
		for operation, call := range operations {
			t.Run(code+" in "+operation, func(t *testing.T) {
				s, server, _ := newStore(t)
				err := server.SetFaults(local.Rule{Operation: operation, Fault: local.Fault{Code: code}, Count: local.Times(-1)})
				if err != nil {
					t.Fatal(err)
				}
				e := failure(t, call(t.Context(), s), kind)
				if e.Code != code || e.RequestID == "" || e.HTTPStatus == 0 || e.Table != "nodestore" || e.Operation == "" {
					t.Errorf("error %+v", e)
				}
				if hits := server.Faults()[0].Hits; hits != 1 {
					t.Errorf("%d requests", hits)
				}
			})
		}
	}
}

func TestMissingTable(t *testing.T) {
	server := local.RunT(t)
	s := openStore(t, optionsFor(server))
	for operation, call := range operations {
		failure(t, call(t.Context(), s), KindTableMissing)
		if t.Failed() {
			t.Fatal(operation)
		}
	}
}

func TestFailuresOfSingleRows(t *testing.T) {
	s, server, _ := newStore(t)
	withoutPauses(s)
	ids := []string{"a", "b", "c", "d"}
	values := [][]byte{[]byte("a"), []byte("b"), []byte("c"), []byte("d")}
	for _, operation := range []string{"BatchWriteRow", "BatchGetRow"} {
		err := server.SetFaults(local.Rule{Operation: operation, Fault: local.Fault{Code: "OTSServerBusy", Rows: []int{1, 2}}, Count: local.Times(2)})
		if err != nil {
			t.Fatal(err)
		}
		if operation == "BatchWriteRow" {
			err = s.SetMany(t.Context(), ids, values, NoTTL)
		} else {
			var got [][]byte
			got, err = s.GetMany(t.Context(), ids)
			if !slices.EqualFunc(got, values, func(a, b []byte) bool { return string(a) == string(b) }) {
				t.Errorf("got %q", got)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", operation, err)
		}
	}
	for i, id := range ids {
		want(t, s, id, values[i])
	}

	final := local.Rule{Operation: "BatchWriteRow", Fault: local.Fault{Code: "OTSParameterInvalid", Rows: []int{1}}}
	if err := server.SetFaults(final); err != nil {
		t.Fatal(err)
	}
	e := failure(t, s.DeleteMany(t.Context(), ids), KindService)
	if len(e.Failures) != 1 || e.Failures[0].ID != "b" || e.Failures[0].Code != "OTSParameterInvalid" {
		t.Errorf("failures %+v", e.Failures)
	}
	want(t, s, "a", nil)
	want(t, s, "b", []byte("b"))
	want(t, s, "d", nil)

	// A row that cannot be read is an error, whatever the others are.
	final.Operation = "BatchGetRow"
	if err := server.SetFaults(final); err != nil {
		t.Fatal(err)
	}
	_, err := s.GetMany(t.Context(), ids)
	failure(t, err, KindService)
}

func TestDifferentFailuresOfRowsArePartial(t *testing.T) {
	s, _, _ := newStore(t)
	mustSet(t, s, "a", []byte("a"))
	putRaw(t, s, "b", tablestore.Column{Name: columnData, Value: []byte("x")}, tablestore.Column{Name: columnFlags, Value: int64(1)})
	e := failure(t, s.batchFailed("get_many", []string{"a", "b"}, []error{
		&tablestore.Error{Kind: tablestore.Service, Code: "OTSAuthFailed"}, corrupt("b", "damaged"),
	}), KindPartial)
	if len(e.Failures) != 2 || e.Code != "" || e.Failures[0].Kind != KindAuthentication || e.Failures[1].Kind != KindCorruptRow {
		t.Errorf("error %+v", e)
	}
}

func TestDifferentTemporaryFailuresOfRowsAreTemporary(t *testing.T) {
	s, _, _ := newStore(t)
	throttled := &tablestore.Error{Kind: tablestore.Service, Code: "OTSServerBusy"}
	late := &tablestore.Error{Kind: tablestore.Deadline}
	e := failure(t, s.batchFailed("delete_many", []string{"a", "b", "c"}, []error{throttled, late, throttled}), KindUnavailable)
	if len(e.Failures) != 3 || e.Code != "" || e.Failures[0].Kind != KindThrottled || e.Failures[1].Kind != KindTimeout {
		t.Errorf("error %+v", e)
	}
	failure(t, s.batchFailed("delete_many", []string{"a", "b", "c"}, []error{throttled, late, corrupt("c", "damaged")}), KindPartial)
	failure(t, s.batchFailed("delete_many", []string{"a", "b", "c"}, []error{corrupt("a", "damaged"), throttled, late}), KindPartial)
}

func TestThrottlingUntilTheDeadline(t *testing.T) {
	s, server, _ := newStore(t, func(o *Options) { o.TimeoutMillis = 500 })
	for operation, call := range operations {
		err := server.SetFaults(local.Rule{Operation: operation, Fault: local.Fault{Code: "OTSServerBusy"}, Count: local.Times(-1)})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		err = call(t.Context(), s)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s took %v", operation, took)
		}
		e := failure(t, err, KindThrottled)
		if e.Code != "OTSServerBusy" || !strings.Contains(e.Message, "gave up after") {
			t.Errorf("%s: %+v", operation, e)
		}
		if hits := server.Faults()[0].Hits; hits < 2 {
			t.Errorf("%s: %d attempts", operation, hits)
		}
	}
}

func TestNoAnswerUntilTheDeadline(t *testing.T) {
	s, server, _ := newStore(t, func(o *Options) { o.TimeoutMillis = 200 })
	for operation, call := range operations {
		err := server.SetFaults(local.Rule{Operation: operation, Fault: local.Fault{Action: local.ActionDelay, DelayMS: 1500}, Count: local.Times(-1)})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		failure(t, call(t.Context(), s), KindTimeout)
		if took := time.Since(began); took > 1200*time.Millisecond {
			t.Errorf("%s took %v", operation, took)
		}
	}
}

func TestUnreachable(t *testing.T) {
	s := openStore(t, Options{
		Endpoint: "http://127.0.0.1:1", Instance: "sentry", Table: "nodestore", AccessKeyID: "id", AccessKeySecret: "hush-hush",
		TimeoutMillis: 200, MaxConnection: 4,
	})
	for _, call := range operations {
		e := failure(t, call(t.Context(), s), KindConnection)
		if !strings.Contains(e.Message, "end_point") {
			t.Errorf("message %q does not say what to check", e.Message)
		}
	}
}

func TestPausesGrow(t *testing.T) {
	s, server, _ := newStore(t)
	pauses := withoutPauses(s)
	if err := server.SetFaults(local.Rule{Fault: local.Fault{Code: "OTSInternalServerError"}, Count: local.Times(6)}); err != nil {
		t.Fatal(err)
	}
	want(t, s, "node", nil)
	if len(*pauses) != 6 {
		t.Fatalf("pauses %v", *pauses)
	}
	for i, pause := range *pauses {
		full := firstPause << i
		if pause < full/2 || pause > full {
			t.Errorf("pause %d is %v, not between %v and %v", i, pause, full/2, full)
		}
	}
}

func TestBatchesThatAreTooLargeAreHalved(t *testing.T) {
	// The race detector makes checksums of 120 MB slow.
	s, server, _ := newStore(t, func(o *Options) { o.TimeoutMillis = 60_000 })
	var ids []string
	var values [][]byte
	for i := range 60 {
		ids = append(ids, fmt.Sprint(i))
		values = append(values, noise(2_000_000))
	}
	// 120 MB in one answer exceed what the client takes.
	if err := s.SetMany(t.Context(), ids, values, NoTTL); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetMany(t.Context(), ids)
	if err != nil || firstPresent(got) != 0 || slices.ContainsFunc(got, func(v []byte) bool { return len(v) != 2_000_000 }) {
		t.Errorf("get many: %v", err)
	}
	tooLarge := local.Fault{Code: "OTSParameterInvalid", Message: "The total data size of BatchWriteRow request exceeds the limit, limit size: 4194304, data size: 5000000."}
	if err := server.SetFaults(local.Rule{Operation: "BatchWriteRow", Fault: tooLarge, Count: local.Times(3)}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMany(t.Context(), ids); err != nil {
		t.Error(err)
	}
}

// panicking is a client with a defect.
type panicking struct {
	tablestore.Client
	calls atomic.Int32
}

func (p *panicking) BatchGetRow(context.Context, *tablestore.BatchGetRowRequest) ([]tablestore.RowResult, error) {
	if p.calls.Add(1) == 1 {
		panic("defect")
	}
	return make([]tablestore.RowResult, 100), nil
}

func (p *panicking) Close() {}

func TestPanicInAGoroutineIsAnError(t *testing.T) {
	options := Options{Endpoint: "http://127.0.0.1:1", Instance: "i", Table: "nodestore", AccessKeyID: "a", AccessKeySecret: "s", TimeoutMillis: 1000, MaxConnection: 4}
	s, err := New(options, &panicking{})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 200)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	_, err = s.GetMany(t.Context(), ids)
	failure(t, err, KindInternal)
	if _, err = s.GetMany(t.Context(), ids); err != nil {
		t.Errorf("the next call: %v", err)
	}
}
