package store

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

func TestCleanupDeletesWhatIsOld(t *testing.T) {
	s, _, c := newStore(t)
	mustSet(t, s, "old", []byte("value"))
	mustSet(t, s, "old and large", noise(5_000_000))
	mustSet(t, s, "rewritten", []byte("value"))
	putRaw(t, s, "old, of 1.0", tablestore.Column{Name: columnData, Value: "value"})
	if err := s.Set(t.Context(), "old, with a ttl", []byte("value"), 20*day); err != nil {
		t.Fatal(err)
	}
	c.advance(10 * day)
	if err := s.Set(t.Context(), "expired", []byte("value"), time.Hour); err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "rewritten", []byte("again"))
	mustSet(t, s, "new", []byte("value"))
	mustSet(t, s, "new and large", noise(4_100_000))
	putRaw(t, s, "new, of 1.0", tablestore.Column{Name: columnData, Value: "value"})
	c.advance(day)

	deleted, err := s.Cleanup(t.Context(), c.Now().Add(-5*day))
	if err != nil {
		t.Fatal(err)
	}
	if deleted != 5 {
		t.Errorf("deleted %d nodes, want 5", deleted)
	}
	for _, id := range []string{"old", "old and large", "old, of 1.0", "old, with a ttl", "expired"} {
		if columns := rawRowNames(t, s, id); len(columns) != 0 {
			t.Errorf("%s still has columns %v", id, columns)
		}
	}
	want(t, s, "rewritten", []byte("again"))
	want(t, s, "new", []byte("value"))
	want(t, s, "new, of 1.0", []byte("value"))
	want(t, s, "new and large", noise(4_100_000))
	if deleted, err := s.Cleanup(t.Context(), c.Now().Add(-5*day)); deleted != 0 || err != nil {
		t.Errorf("the second cleanup deleted %d, %v", deleted, err)
	}
}

func TestCleanupWithAutomaticExpirySendsNothing(t *testing.T) {
	s, server, c := newStore(t, ttl(7*day, true))
	seen := watched(server)
	if deleted, err := s.Cleanup(t.Context(), c.Now()); deleted != 0 || err != nil || len(seen()) != 0 {
		t.Errorf("deleted %d, %v", deleted, err)
	}
}

func TestCleanupKeepsWhatIsWrittenInBetween(t *testing.T) {
	for name, value := range map[string][]byte{"small": []byte("new"), "large": noise(3_000_000)} {
		t.Run(name, func(t *testing.T) {
			s, server, c := newStore(t)
			writer := openStore(t, optionsFor(server))
			mustSet(t, s, "node", []byte("old"))
			c.advance(2 * day)
			var once atomic.Bool
			server.Control(func(operation string, _ []byte) *local.Fault {
				if operation == "BatchWriteRow" && !once.Swap(true) {
					if err := writer.Set(t.Context(), "node", value, NoTTL); err != nil {
						t.Error(err)
					}
				}
				return nil
			})
			if _, err := s.Cleanup(t.Context(), c.Now().Add(-day)); err != nil {
				t.Fatal(err)
			}
			if !once.Load() {
				t.Fatal("nothing was deleted")
			}
			want(t, s, "node", value)
		})
	}
}

func TestCleanupOfManyNodes(t *testing.T) {
	s, _, c := newStore(t)
	const n = 6000 // more than one GetRange gives
	var ids []string
	var values [][]byte
	for i := range n {
		ids = append(ids, fmt.Sprint(i))
		values = append(values, []byte("value"))
	}
	if err := s.SetMany(t.Context(), ids, values, NoTTL); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * day)
	if deleted, err := s.Cleanup(t.Context(), c.Now()); deleted != n || err != nil {
		t.Errorf("deleted %d of %d, %v", deleted, n, err)
	}
}

func TestCleanupThatFailsSaysSoAndGoesOnLater(t *testing.T) {
	s, server, c := newStore(t)
	mustSet(t, s, "a", []byte("value"))
	mustSet(t, s, "b", []byte("value"))
	c.advance(2 * day)
	fault := local.Fault{Code: "OTSParameterInvalid", Rows: []int{1}}
	if err := server.SetFaults(local.Rule{Operation: "BatchWriteRow", Fault: fault}); err != nil {
		t.Fatal(err)
	}
	deleted, err := s.Cleanup(t.Context(), c.Now())
	if e := failure(t, err, KindService); deleted != 1 || len(e.Failures) != 1 || e.Failures[0].ID != "b" {
		t.Errorf("deleted %d, failures %+v", deleted, e.Failures)
	}
	if deleted, err := s.Cleanup(t.Context(), c.Now()); deleted != 1 || err != nil {
		t.Errorf("then deleted %d, %v", deleted, err)
	}
}
