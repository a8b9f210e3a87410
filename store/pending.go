package store

import (
	"bytes"
	"context"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Pending is a Get, Set or Delete whose request was sent by the thread of the caller, who waits for the connection
// outside of Go: see [tablestore.Sender]. It is for one goroutine at a time, and each is to be finished.
type Pending struct {
	store  *Store
	flight *tablestore.Flight
	began  time.Time
	limit  time.Time // until when the first attempt may last
	finish func(context.Context) ([]byte, bool, error)
}

// maxSentAtOnce bounds what a caller's thread compresses before it can look after its signals.
const maxSentAtOnce = 256 << 10

// StartGet sends the request of a Get. Like the others here it gives nil, having sent nothing, when that is not
// possible without waiting, or when there is something wrong: Get says what.
func (s *Store) StartGet(ctx context.Context, id string) *Pending {
	if !s.canSend(id) {
		return nil
	}
	request := s.rowRequest(id, nodeColumns)
	p := s.pending(s.sender.SendGetRow(observed(ctx, 1), request))
	if p == nil {
		return nil
	}
	p.finish = func(ctx context.Context) (value []byte, found bool, err error) {
		var row *tablestore.Row
		err = p.retry(ctx, func(ctx context.Context) error {
			row, err = p.flight.Row(ctx)
			return err
		}, func(ctx context.Context) error {
			row, err = s.client.GetRow(ctx, request)
			return err
		})
		if err == nil && row != nil {
			value, found, err = s.valueOf(ctx, row)
		}
		if err == nil && !found {
			count(ctx, Missing, 1)
		}
		return value, found, s.failed("get", err, id)
	}
	return p
}

// StartSet sends the request of a Set. The value is not needed any more when it returns.
func (s *Store) StartSet(ctx context.Context, id string, value []byte, ttl time.Duration) *Pending {
	if !s.canSend(id) || len(value) > maxSentAtOnce {
		return nil
	}
	expires, err := s.expiry(ttl)
	if err != nil {
		return nil
	}
	if s.compression == 0 {
		value = bytes.Clone(value) // for further attempts
	}
	e, err := s.encode(context.Background(), value, expires)
	if err != nil {
		return nil
	}
	p := s.startWrite(ctx, "set", id, e.put(id), e.release)
	if p == nil {
		e.release()
		return nil
	}
	s.tellCapped(ctx, ttl) // not before: what is logged by a call that is not sent is lost
	e.counted(ctx, len(value))
	return p
}

// StartDelete sends the request of a Delete.
func (s *Store) StartDelete(ctx context.Context, id string) *Pending {
	if !s.canSend(id) {
		return nil
	}
	return s.startWrite(ctx, "delete", id, removal(id), func() {})
}

// startWrite sends the request of a write; release is called when that needs no repetition any more.
func (s *Store) startWrite(ctx context.Context, operation, id string, change *tablestore.RowChange, release func()) *Pending {
	p := s.pending(s.sender.SendWriteRow(observed(ctx, 1), s.options.Table, change))
	if p == nil {
		return nil
	}
	p.finish = func(ctx context.Context) ([]byte, bool, error) {
		defer release()
		err := p.retry(ctx, p.flight.Written, func(ctx context.Context) error {
			return s.client.WriteRow(ctx, s.options.Table, change)
		})
		return nil, false, s.failed(operation, err, id)
	}
	return p
}

func (s *Store) canSend(id string) bool {
	return s.sender != nil && !s.closed.Load() && checkID(id) == nil && s.sender.CanSend()
}

func (s *Store) pending(flight *tablestore.Flight) *Pending {
	if flight == nil {
		return nil
	}
	began, timeout := time.Now(), s.options.timeout()
	return &Pending{store: s, flight: flight, began: began, limit: began.Add(attemptLimit(timeout, timeout))}
}

// retry is that of a call whose first attempt is under way.
func (p *Pending) retry(ctx context.Context, first, attempt func(context.Context) error) error {
	limited, cancel := ctx, func() {}
	if !p.flight.Ended() {
		limited, cancel = context.WithDeadline(observed(ctx, 1), p.limit)
	}
	err := first(limited)
	cancel()
	if err == nil {
		return nil
	}
	r := retrier{store: p.store, began: p.began, attempts: 1}
	if err := r.again(ctx, err); err != nil {
		return err
	}
	return r.run(ctx, attempt)
}

// Poll tells what the caller has to wait for, and until when: that the descriptor can be read or, if write is
// true, written. Then it calls Step.
func (p *Pending) Poll() (fd int, write bool, until time.Time) {
	fd, write = p.flight.Poll()
	return fd, write, p.limit
}

// Step goes on without waiting. It reports whether there is no more to poll for, but to Finish.
func (p *Pending) Step() (over bool) { return p.flight.Step() || !time.Now().Before(p.limit) }

// Quick reports whether Finish will neither wait nor work for long: a signal that comes meanwhile is held back when the caller's
// thread does it.
func (p *Pending) Quick() bool {
	if !p.flight.Ended() {
		return false
	}
	row, err := p.flight.Row(context.Background())
	return err == nil && isQuick(row)
}

// Finish gives the result, as Get, Set or Delete does, within the time of the call, which began with the request.
// It must be called once.
func (p *Pending) Finish(ctx context.Context) (value []byte, found bool, err error) {
	if p.Quick() {
		return p.finish(ctx)
	}
	ctx, cancel := context.WithDeadline(ctx, p.began.Add(p.store.options.timeout()))
	defer cancel()
	return p.finish(ctx)
}

// isQuick reports whether the value of a row can be had without another request and without much work.
func isQuick(row *tablestore.Row) bool {
	if row == nil {
		return true
	}
	var flags int64
	var data []byte
	for i := range row.Columns {
		switch column := &row.Columns[i]; column.Name {
		case columnFlags:
			flags, _ = column.Value.(int64)
		case columnData:
			switch value := column.Value.(type) {
			case []byte:
				data = value
			case string:
				data = []byte(value)
			}
		}
	}
	return flags&flagSplit == 0 && decompressesAtOnce(data, flags)
}
