package store

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tests/poll"
)

// awaitPending waits for a call on this thread, outside of Go's poller, as the C module does.
func awaitPending(p *Pending) {
	for !p.Step() {
		fd, write, until := p.Poll()
		poll.Wait(fd, write, time.Until(until))
	}
}

// fail makes the next requests meet these faults, one each.
func fail(t *testing.T, server *local.TestServer, faults ...local.Fault) {
	t.Helper()
	var rules []local.Rule
	for _, fault := range faults {
		rules = append(rules, local.Rule{Fault: fault})
	}
	if err := server.SetFaults(rules...); err != nil {
		t.Fatal(err)
	}
}

// pendingGet is a Get on the caller's thread.
func pendingGet(t *testing.T, s *Store, id string) (p *Pending, value []byte, found bool) {
	t.Helper()
	if p = s.StartGet(t.Context(), id); p == nil {
		t.Fatal("no connection was free")
	}
	awaitPending(p)
	value, found, err := p.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p, value, found
}

func TestPendingCalls(t *testing.T) {
	for _, name := range []string{"", "zlib", "zstd"} {
		t.Run("compression "+name, func(t *testing.T) {
			s, _, _ := newStore(t, compression(name))
			if _, _, found := pendingGet(t, s, "node"); found {
				t.Error("it is there before it was written")
			}
			for _, size := range []int{0, 1, 10_000, maxSentAtOnce} {
				value := text(size)
				lent := bytes.Clone(value)
				set := s.StartSet(t.Context(), "node", lent, NoTTL)
				clear(lent) // the caller's memory is not looked at any more
				awaitPending(set)
				if _, _, err := set.Finish(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, got, found := pendingGet(t, s, "node"); !found || !bytes.Equal(got, value) {
					t.Errorf("found %v, %d bytes of %d", found, len(got), size)
				}
			}
			removal := s.StartDelete(t.Context(), "node")
			awaitPending(removal)
			if _, _, err := removal.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			want(t, s, "node", nil)
		})
	}
}

// What takes long would hold back the signals of the caller's thread.
func TestPendingGetIsQuickUnlessThereIsMuchToDecompress(t *testing.T) {
	small, large := bytes.Repeat([]byte("{}"), 4000), bytes.Repeat([]byte("{}"), 10<<20)
	for name, c := range map[string]struct {
		compression string
		value       []byte
		quick       bool
	}{
		"small, zlib": {"zlib", small, true}, "small, zstd": {"zstd", small, true}, "small": {"", small, true},
		"20 MiB in a cell, zlib": {"zlib", large, false}, "20 MiB in a cell, zstd": {"zstd", large, false},
		"2 MB, not compressed": {"", large[:2_000_000], true}, "split": {"", large[:3_000_000], false},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, _ := newStore(t, compression(c.compression))
			mustSet(t, s, "node", c.value)
			p, value, _ := pendingGet(t, s, "node")
			if p.Quick() != c.quick || !bytes.Equal(value, c.value) {
				t.Errorf("quick %v, want %v; %d bytes", p.Quick(), c.quick, len(value))
			}
		})
	}
}

func TestPendingCallsGoOnAfterTheirFirstAttempt(t *testing.T) {
	for _, fault := range []local.Fault{
		{Action: local.ActionDropBefore}, {Action: local.ActionDropAfter}, {Action: local.ActionTruncate}, {Action: local.ActionCorruptBody},
		{Action: local.ActionCorruptChecksum}, {Code: "OTSServerBusy"},
	} {
		t.Run(string(fault.Action)+fault.Code, func(t *testing.T) {
			s, server, _ := newStore(t)
			mustSet(t, s, "node", []byte("value"))
			fail(t, server, fault)
			if _, value, _ := pendingGet(t, s, "node"); string(value) != "value" {
				t.Errorf("got %q", value)
			}
			fail(t, server, fault)
			set := s.StartSet(t.Context(), "node", []byte("other"), NoTTL)
			if set == nil {
				t.Fatal("no connection was free")
			}
			awaitPending(set)
			if _, _, err := set.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			want(t, s, "node", []byte("other"))
		})
	}
}

func TestPendingCallsEndByTheTimeout(t *testing.T) {
	s, server, _ := newStore(t, func(o *Options) { o.TimeoutMillis = 300 })
	mustSet(t, s, "node", []byte("value"))
	for name, start := range map[string]func(context.Context) *Pending{
		"get":    func(ctx context.Context) *Pending { return s.StartGet(ctx, "node") },
		"set":    func(ctx context.Context) *Pending { return s.StartSet(ctx, "node", []byte("other"), NoTTL) },
		"delete": func(ctx context.Context) *Pending { return s.StartDelete(ctx, "node") },
	} {
		t.Run(name, func(t *testing.T) {
			fail(t, server)
			if _, _, err := s.Get(t.Context(), "node"); err != nil { // a connection is free then
				t.Fatal(err)
			}
			fail(t, server, local.Fault{DelayMS: 5000})
			began := time.Now()
			p := start(t.Context())
			awaitPending(p)
			_, _, err := p.Finish(t.Context())
			failure(t, err, KindTimeout)
			if took := time.Since(began); took < 300*time.Millisecond || took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestPendingCallsOfManyThreads(t *testing.T) {
	s, _, _ := newStore(t, compression("zstd"))
	failures := parallel(8, 8, func(n int) error {
		id := fmt.Sprint(n)
		for round := range 50 {
			value := []byte(fmt.Sprint(n, round))
			set := s.StartSet(t.Context(), id, value, NoTTL)
			if set == nil {
				if err := s.Set(t.Context(), id, value, NoTTL); err != nil {
					return err
				}
			} else {
				awaitPending(set)
				if _, _, err := set.Finish(t.Context()); err != nil {
					return err
				}
			}
			get := s.StartGet(t.Context(), id)
			if get == nil {
				continue
			}
			awaitPending(get)
			if got, _, err := get.Finish(t.Context()); err != nil || !bytes.Equal(got, value) {
				return fmt.Errorf("got %q, %v; want %q", got, err, value)
			}
		}
		return nil
	})
	if err := firstOf(failures); err != nil {
		t.Error(err)
	}
}

// What a call logs that is not sent is lost: it must not be what is said only once.
func TestACapThatCouldNotBeToldIsToldByTheNextCall(t *testing.T) {
	_, server, _ := newStore(t)
	s := openStore(t, optionsFor(server, ttl(3*day, true)))
	log := &Log{ProjectLevel: levelDebug, ClientLevel: 99}
	if s.StartSet(t.Context(), "node", []byte("value"), 14*day) != nil {
		t.Fatal("sent before there is a connection")
	}
	for range 2 {
		if err := s.Set(WithLog(t.Context(), log), "node", []byte("value"), 14*day); err != nil {
			t.Fatal(err)
		}
	}
	if text := string(log.Take()); strings.Count(text, "capped") != 1 {
		t.Errorf("log %s", text)
	}
}
