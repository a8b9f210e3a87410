package tablestore

import (
	"context"
	"fmt"
	"runtime/debug"
)

// Sender is a [Client] that can send a request of one row and leave the waiting to its caller, who waits for the
// connection outside of Go. A C thread that calls Go and waits there costs several switches of threads; one
// that waits by itself costs none.
type Sender interface {
	// CanSend reports whether a request could be sent now.
	CanSend() bool

	// SendGetRow and SendWriteRow send what GetRow and WriteRow would. The result is nil when that takes
	// waiting, for a connection for example, and nothing was sent then. What they are given is not needed longer than they take.
	SendGetRow(ctx context.Context, request *GetRowRequest) *Flight
	SendWriteRow(ctx context.Context, table string, change *RowChange) *Flight
}

// Flight is a request on its way. It is for one goroutine at a time. Each is to be ended, by Row or Written.
type Flight struct {
	exchange *exchange
	decode   func(*exchange, []byte) error
	ended    bool
	row      *Row
	err      error
}

// CanSend is a method of [Sender].
func (c *client) CanSend() bool {
	return len(c.slots) < cap(c.slots) && !c.transport.pool.empty()
}

// SendGetRow is a method of [Sender].
func (c *client) SendGetRow(ctx context.Context, request *GetRowRequest) *Flight {
	f := &Flight{}
	f.decode = func(_ *exchange, body []byte) (err error) {
		f.row, err = rowOf(request, body)
		return err
	}
	if !c.launch(ctx, f, "GetRow", request.Table, func() ([]byte, error) { return encodeGetRow(request), nil }) {
		return nil
	}
	return f
}

// SendWriteRow is a method of [Sender].
func (c *client) SendWriteRow(ctx context.Context, table string, change *RowChange) *Flight {
	f := &Flight{decode: written}
	if !c.launch(ctx, f, change.Kind.operation(), table, func() ([]byte, error) { return encodeChange(table, change) }) {
		return nil
	}
	return f
}

// launch sends a request on an idle connection, and reports whether it did.
func (c *client) launch(ctx context.Context, f *Flight, operation, table string, encode func() ([]byte, error)) (launched bool) {
	id := c.keys.identity()
	if id == nil {
		return false
	}
	select {
	case c.slots <- struct{}{}:
	default:
		return false
	}
	defer func() {
		if !launched {
			<-c.slots
		}
	}()
	conn := c.transport.pool.take()
	if conn == nil {
		return false
	}
	x := &exchange{client: c, ctx: ctx, operation: operation, table: table, use: decodeAnswer, identity: id, conn: conn}
	f.exchange = x
	defer func() {
		if !launched {
			x.hangUp()
		}
	}()
	body, err := encode()
	if err != nil {
		return false // GetRow or WriteRow says why
	}
	x.begin(body, c.appendSigned)
	conn.socket.try()
	if err := x.send(conn); err != nil {
		x.broken = err
	}
	return true
}

// Poll tells what to wait for: that the descriptor can be read or, if write is true, written.
func (f *Flight) Poll() (fd int, write bool) {
	s := f.exchange.conn.socket
	return s.fd, len(s.out) > 0
}

// Step goes on as far as it can without waiting. It reports whether there is no more to poll for:
// the flight has ended, or it goes on only by Row or Written, which wait.
func (f *Flight) Step() (over bool) {
	x := f.exchange
	if f.ended || x.broken != nil || x.conn == nil {
		return true
	}
	defer func() {
		if value := recover(); value != nil {
			x.broken, over = &panicError{value: value, stack: debug.Stack()}, true
			if f.ended {
				// Its result is taken from now on: without an error it would be a missing row, or a write that was acknowledged.
				f.err = x.client.fail(&Error{Kind: Internal, Operation: x.operation, Table: x.table, Message: "panic: " + x.client.redact.foreign(fmt.Sprint(value))})
			}
		}
	}()
	// What is wrong with the connection shows when it is read.
	_ = x.conn.socket.flush()
	switch err := x.conn.receive(&x.answer); err {
	case errNotYet:
		return false
	case nil:
		x.whole = true
		_ = f.end(x.ctx)
	case errMustWait:
	default:
		x.broken = err
	}
	return true
}

// Ended reports whether Row and Written answer at once.
func (f *Flight) Ended() bool { return f.ended }

// Row is the result of a GetRow. It waits for it, if it must, as GetRow does.
func (f *Flight) Row(ctx context.Context) (*Row, error) {
	if err := f.end(ctx); err != nil {
		return nil, err
	}
	return f.row, nil
}

// Written is the result of a WriteRow. It waits for it, if it must, as WriteRow does.
func (f *Flight) Written(ctx context.Context) error { return f.end(ctx) }

func (f *Flight) end(ctx context.Context) error {
	if f.ended {
		return f.err
	}
	x := f.exchange
	x.ctx = ctx
	f.ended = true
	defer func() { <-x.client.slots }()
	f.err = x.client.finish(x, x.end(f.decode))
	return f.err
}
