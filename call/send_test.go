package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/store"
	"github.com/PMExtra/sentry-tablestore/v2/tests/poll"
)

func newStore(t *testing.T) (*store.Store, *local.TestServer) {
	t.Helper()
	server := local.RunT(t)
	s, err := store.Open(store.Options{
		Endpoint: server.URL, Instance: server.Instance, Table: "nodestore", AccessKeyID: server.AccessKeyID,
		AccessKeySecret: server.AccessKeySecret, TimeoutMillis: 10_000, MaxConnection: 16,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, server
}

// end waits for a call as the C module does.
func end(c *Call) *Call {
	for {
		if fd, write, left, polled := c.Poll(); polled {
			poll.Wait(fd, write, left)
		}
		if over := c.Wait(50 * time.Millisecond); over != nil {
			return over
		}
	}
}

func TestSentCallsOfManyThreads(t *testing.T) {
	s, _ := newStore(t)
	var threads sync.WaitGroup
	for n := range 8 {
		threads.Go(func() {
			id := fmt.Sprint(n)
			for round := range 50 {
				value := []byte(fmt.Sprint(n, round))
				set := Send(quiet(), s.Timeout(), func(ctx context.Context) *store.Pending { return s.StartSet(ctx, id, value, store.NoTTL) })
				if set == nil {
					if err := s.Set(t.Context(), id, value, store.NoTTL); err != nil {
						t.Error(err)
					}
				} else if set = end(set); set.Err != nil {
					t.Error(set.Err)
				}
				get := Send(quiet(), s.Timeout(), func(ctx context.Context) *store.Pending { return s.StartGet(ctx, id) })
				if get == nil {
					continue
				}
				if get = end(get); get.Err != nil || get.Result.Count != 1 || !bytes.Equal(get.Result.Data, value) {
					t.Errorf("got %q, %v; want %q", get.Result.Data, get.Err, value)
				}
			}
		})
	}
	threads.Wait()
}

func TestASentCallThatIsAbandonedGoesOn(t *testing.T) {
	s, server := newStore(t)
	if _, _, err := s.Get(t.Context(), "node"); err != nil { // a connection is free then
		t.Fatal(err)
	}
	if err := server.SetFaults(local.Rule{Fault: local.Fault{Code: "OTSServerBusy"}, Count: local.Times(1)}); err != nil {
		t.Fatal(err)
	}
	set := Send(quiet(), s.Timeout(), func(ctx context.Context) *store.Pending {
		return s.StartSet(ctx, "node", []byte("value"), store.NoTTL)
	})
	set.Abandon()
	if set = end(set); set.Err != nil {
		t.Error(set.Err)
	}
	if value, _, err := s.Get(t.Context(), "node"); err != nil || string(value) != "value" {
		t.Errorf("got %q, %v", value, err)
	}
}

func TestASentCallFailsWithItsError(t *testing.T) {
	s, server := newStore(t)
	if _, _, err := s.Get(t.Context(), "node"); err != nil {
		t.Fatal(err)
	}
	if err := server.SetFaults(local.Rule{Fault: local.Fault{Code: "OTSAuthFailed"}}); err != nil {
		t.Fatal(err)
	}
	get := end(Send(quiet(), s.Timeout(), func(ctx context.Context) *store.Pending { return s.StartGet(ctx, "node") }))
	var failure *store.Error
	if !errors.As(get.Err, &failure) || failure.Code != "OTSAuthFailed" || failure.Operation != "get" {
		t.Errorf("error %v", get.Err)
	}
}
