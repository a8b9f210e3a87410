package proof

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/call"
	"github.com/PMExtra/sentry-tablestore/v2/store"
	"github.com/PMExtra/sentry-tablestore/v2/tests/poll"
)

// slice is the C module's.
const slice = 50 * time.Millisecond

// sent makes a call on one node as Python does on a connection that is free: this thread sends the request, waits for the connection
// outside of Go, and takes the answer. Where no connection is free, it is the call instead, in a goroutine.
func sent(s *store.Store, start func(context.Context) *store.Pending, instead func(context.Context) (call.Result, error)) (call.Result, error) {
	log := &store.Log{ProjectLevel: 99, ClientLevel: 99}
	c := call.Send(log, s.Timeout(), start)
	if c == nil {
		c = call.Start(log, s.Timeout(), instead)
	}
	for {
		if fd, write, left, polled := c.Poll(); polled {
			poll.Wait(fd, write, min(left, slice))
		}
		if over := c.Wait(slice); over != nil {
			return over.Result, over.Err
		}
	}
}

func getSent(_ context.Context, s *store.Store) error {
	got, err := sent(s, func(ctx context.Context) *store.Pending { return s.StartGet(ctx, "node") }, func(ctx context.Context) (r call.Result, err error) {
		var found bool
		if r.Data, found, err = s.Get(ctx, "node"); found {
			r.Count = 1
		}
		return r, err
	})
	if err == nil && (got.Count != 1 || !bytes.Equal(got.Data, before)) {
		return fmt.Errorf("%w: get, sent: found %d, %d bytes instead of %d", errWrong, got.Count, len(got.Data), len(before))
	}
	return err
}

func setSent(_ context.Context, s *store.Store) error {
	_, err := sent(s, func(ctx context.Context) *store.Pending { return s.StartSet(ctx, "node", after, store.NoTTL) },
		func(ctx context.Context) (call.Result, error) {
			return call.Result{}, s.Set(ctx, "node", after, store.NoTTL)
		})
	return err
}

func deleteSent(_ context.Context, s *store.Store) error {
	_, err := sent(s, func(ctx context.Context) *store.Pending { return s.StartDelete(ctx, "node") },
		func(ctx context.Context) (call.Result, error) { return call.Result{}, s.Delete(ctx, "node") })
	return err
}
