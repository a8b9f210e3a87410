// Package call is a call of the engine as C sees it: started, waited for in slices so that the
// caller can look after its signals in between, given up if need be, and released.
//
// The work runs in a goroutine of its own. So a caller that gives up leaves it to finish
// or to reach its deadline by itself, and a panic in it fails the call, not the process.
//
// A call on one node begins on the caller's thread, if a connection is free: the thread sends the request, leaves Go and waits
// for the connection by itself (Poll), and comes back to take the answer. Nothing then
// wakes another thread. Whatever takes more than that goes on in a goroutine.
package call

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"time"
	"unsafe"

	"github.com/PMExtra/sentry-tablestore/v2/store"
)

// Result is what a call's work returns: bytes for the caller, and a number whose
// meaning is the call's.
type Result struct {
	Data   []byte
	Values [][]byte // of a batch, in the place of Data; nil for an absent one
	Count  int64
}

// Call is one call. Its fields are to be read after Wait returned true.
type Call struct {
	Result Result
	Err    error
	Logs   []byte // records for the caller to emit, or nil
	Counts store.Counts

	log     *store.Log
	pending *store.Pending // not nil: the caller is to wait for it
	done    chan struct{}
	cancel  context.CancelFunc
	overdue time.Time // when to stop waiting even if the work does not end; zero: never
	pinner  runtime.Pinner
}

// grace is how long after its deadline a call may take to say so, before Wait says it.
const grace = 500 * time.Millisecond

// Start runs work in a goroutine. The work keeps to its own deadline of about timeout; 0 means
// that it has none.
func Start(log *store.Log, timeout time.Duration, work func(context.Context) (Result, error)) *Call {
	c := newCall(log, timeout)
	c.run(work)
	return c
}

// Send begins a call on one node with start, on this thread. Where that is not possible, start and Send give nil.
func Send(log *store.Log, timeout time.Duration, start func(context.Context) *store.Pending) *Call {
	c := newCall(log, timeout)
	if c.pending = start(store.WithLog(context.Background(), log)); c.pending == nil {
		return nil
	}
	return c
}

func newCall(log *store.Log, timeout time.Duration) *Call {
	c := &Call{log: log}
	if timeout > 0 {
		c.overdue = time.Now().Add(timeout + grace)
	}
	return c
}

// run makes a goroutine do the work.
func (c *Call) run(work func(context.Context) (Result, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	c.done, c.cancel = make(chan struct{}), cancel
	go func() {
		defer close(c.done)
		defer cancel()
		c.do(ctx, work)
	}()
}

// do does the work here.
func (c *Call) do(ctx context.Context, work func(context.Context) (Result, error)) {
	defer func() { c.Logs, c.Counts = c.log.Take(), c.log.Counts() }()
	defer func() {
		if p := recover(); p != nil {
			c.Result, c.Err = Result{}, store.Panicked(p)
		}
	}()
	c.Result, c.Err = work(store.WithLog(ctx, c.log))
}

// Poll tells what the caller has to wait for before it calls Wait: that a descriptor can be read or, if write is true, written, or
// that the time is over. Without such a thing polled is false, and Wait waits.
func (c *Call) Poll() (fd int, write bool, left time.Duration, polled bool) {
	if c.pending == nil {
		return 0, false, 0, false
	}
	fd, write, until := c.pending.Poll()
	return fd, write, max(time.Until(until), 0), true
}

// step goes on with a pending call. If there is more to it than to wait for the connection, a goroutine does that.
func (c *Call) step() {
	switch {
	case !c.pending.Step():
	case c.pending.Quick():
		c.do(context.Background(), c.finish())
		c.done = isDone
	default:
		c.run(c.finish())
	}
}

// finish is the rest of a pending call, which is pending no longer.
func (c *Call) finish() func(context.Context) (Result, error) {
	pending := c.pending
	c.pending = nil
	return func(ctx context.Context) (r Result, err error) {
		var found bool
		if r.Data, found, err = pending.Finish(ctx); found {
			r.Count = 1
		}
		return r, err
	}
}

// isDone is closed.
var isDone = func() chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}()

// Failed is a call that failed before it began.
func Failed(err error) *Call {
	return &Call{done: isDone, Err: err}
}

// ErrOverdue ends a call whose work did not end by its deadline.
var ErrOverdue = &store.Error{Kind: store.KindTimeout, Operation: "wait", Message: "the call did not end by its deadline; it goes on in the background"}

// Wait waits for at most slice, or not at all when there is something to poll for, and says whether the call is over. An overdue call is over
// with ErrOverdue, and its work abandoned: then over is a new call to look at.
func (c *Call) Wait(slice time.Duration) (over *Call) {
	if c.pending != nil {
		if c.step(); c.pending != nil {
			return nil
		}
	}
	if c.over() {
		return c
	}
	timer := time.NewTimer(slice)
	defer timer.Stop()
	select {
	case <-c.done:
		return c
	case <-timer.C:
	}
	if c.over() {
		return c
	}
	if !c.overdue.IsZero() && time.Now().After(c.overdue) {
		c.cancel()
		return Failed(ErrOverdue)
	}
	return nil
}

func (c *Call) over() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Abandon tells a call without a deadline that nobody waits for it. One with a deadline goes on
// until then: to cut a write short would gain nothing.
func (c *Call) Abandon() {
	if c.pending != nil {
		c.run(c.finish())
		return
	}
	if c.overdue.IsZero() {
		c.cancel()
	}
}

// Outcome is the call's data for C: the result's bytes, or the error as a JSON object.
func (c *Call) Outcome() (failed bool, data []byte, count int64) {
	if c.Err == nil {
		return false, c.Result.Data, c.Result.Count
	}
	var failure *store.Error
	if !errors.As(c.Err, &failure) {
		failure = &store.Error{Kind: store.KindInternal, Message: c.Err.Error()}
	}
	text, err := json.Marshal(failure)
	if err != nil {
		text = []byte(`{"kind":"internal","message":"an error could not be put into JSON"}`)
	}
	return true, text, 0
}

// Pin keeps bytes where they are for C until Release.
func (c *Call) Pin(data []byte) unsafe.Pointer {
	if len(data) == 0 {
		return nil
	}
	c.pinner.Pin(unsafe.SliceData(data))
	return unsafe.Pointer(unsafe.SliceData(data))
}

// Release ends the life of what was pinned.
func (c *Call) Release() { c.pinner.Unpin() }

// Lent is a value where C finds it, as ots_bytes of engine.h.
type Lent struct {
	Data   unsafe.Pointer
	Length uintptr
}

// Absent is the length of a value that is not there.
const Absent = ^uintptr(0)

// PinValues keeps the values of a batch where they are for C until Release. The values of large batches are many megabytes, which to
// copy into one block would take an eighth of the CPU of the call.
func (c *Call) PinValues() []Lent {
	lent := make([]Lent, len(c.Result.Values))
	for i, value := range c.Result.Values {
		lent[i] = Lent{c.Pin(value), uintptr(len(value))}
		if value == nil {
			lent[i].Length = Absent
		}
	}
	if len(lent) > 0 {
		c.pinner.Pin(unsafe.SliceData(lent))
	}
	return lent
}
