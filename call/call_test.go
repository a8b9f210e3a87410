package call

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
	"unsafe"

	"github.com/PMExtra/sentry-tablestore/v2/store"
)

func quiet() *store.Log { return &store.Log{ProjectLevel: 99, ClientLevel: 99} }

func TestCallThatEndsWithinTheSlice(t *testing.T) {
	c := Start(quiet(), time.Second, func(context.Context) (Result, error) { return Result{Data: []byte("value"), Count: 1}, nil })
	over := c.Wait(time.Minute)
	if over == nil {
		t.Fatal("not over")
	}
	if failed, data, count := over.Outcome(); failed || string(data) != "value" || count != 1 {
		t.Errorf("outcome %v %q %d", failed, data, count)
	}
}

func TestCallThatTakesSlices(t *testing.T) {
	release := make(chan struct{})
	c := Start(quiet(), time.Minute, func(context.Context) (Result, error) { <-release; return Result{Count: 7}, nil })
	if c.Wait(time.Millisecond) != nil {
		t.Fatal("over before its work is")
	}
	close(release)
	if over := c.Wait(time.Minute); over == nil || over.Result.Count != 7 {
		t.Errorf("over %v", over)
	}
}

func TestPanicFailsTheCallOnly(t *testing.T) {
	c := Start(quiet(), time.Minute, func(context.Context) (Result, error) { panic("defect") })
	failed, data, _ := c.Wait(time.Minute).Outcome()
	var e store.Error
	if err := json.Unmarshal(data, &e); err != nil || !failed || e.Kind != store.KindInternal {
		t.Errorf("failed %v, error %s", failed, data)
	}
}

func TestWorkThatIgnoresItsDeadlineIsAbandoned(t *testing.T) {
	cancelled := make(chan struct{})
	c := Start(quiet(), time.Minute, func(ctx context.Context) (Result, error) {
		<-ctx.Done()
		close(cancelled)
		return Result{}, ctx.Err()
	})
	c.overdue = time.Now()
	over := c.Wait(time.Millisecond)
	if over == nil || !errors.Is(over.Err, ErrOverdue) {
		t.Fatalf("over %v", over)
	}
	<-cancelled
}

func TestAbandonEndsACallWithoutADeadline(t *testing.T) {
	c := Start(quiet(), 0, func(ctx context.Context) (Result, error) { <-ctx.Done(); return Result{}, ctx.Err() })
	c.Abandon()
	if over := c.Wait(time.Minute); over == nil || !errors.Is(over.Err, context.Canceled) {
		t.Errorf("over %v", over)
	}
}

func TestPinValues(t *testing.T) {
	c := Failed(nil)
	c.Result.Values = [][]byte{[]byte("ab"), nil, {}, []byte("c")}
	lent := c.PinValues()
	defer c.Release()
	if len(lent) != 4 || lent[1] != (Lent{nil, Absent}) || lent[2] != (Lent{}) {
		t.Fatalf("got %v", lent)
	}
	for i, want := range map[int]string{0: "ab", 3: "c"} {
		if got := unsafe.String((*byte)(lent[i].Data), lent[i].Length); got != want {
			t.Errorf("value %d is %q", i, got)
		}
	}
}

func TestStaleHandlesAreFoundToBeSo(t *testing.T) {
	var handles Handles[string]
	first := handles.Add("first")
	if thing, ok := handles.Remove(first); !ok || thing != "first" {
		t.Error("not found")
	}
	if handles.Add("second") == first {
		t.Error("a number was used twice")
	}
	if _, ok := handles.Get(first); ok || handles.Len() != 1 {
		t.Error("the stale number still means something")
	}
}

func TestStoresAreSharedByTheTextOfTheirOptions(t *testing.T) {
	const text = `{"end_point":"http://127.0.0.1:1","instance":"sentry","table":"nodestore","access_key_id":"id","access_key_secret":"secret","timeout_ms":1000,"max_connection":4}`
	var stores Stores
	first, err := stores.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	second, err := stores.Open(text)
	if err != nil || second != first {
		t.Errorf("opened %d and %d, %v", first, second, err)
	}
	stores.Close(first)
	if _, ok := stores.Get(first); !ok {
		t.Error("closed under its second user")
	}
	stores.Close(first)
	stores.Close(first)
	if _, ok := stores.Get(first); ok {
		t.Error("still open")
	}
	if third, err := stores.Open(text); err != nil || third == first {
		t.Errorf("opened %d again, %v", third, err)
	}
	if _, err := stores.Open("{}"); err == nil {
		t.Error("options that are missing were taken")
	}
}
