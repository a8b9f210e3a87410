package store

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestShelfLendsAThingToOneAtATime(t *testing.T) {
	var used atomic.Int64
	s := newShelf(func() *atomic.Int64 { return new(atomic.Int64) })
	var done sync.WaitGroup
	for range 50 {
		done.Add(1)
		go func() {
			defer done.Done()
			for range 100 {
				s.with(func(users *atomic.Int64) {
					if users.Add(1) != 1 {
						t.Error("lent to two at once")
					}
					used.Add(1)
					users.Add(-1)
				})
			}
		}()
	}
	done.Wait()
	if used.Load() != 5000 {
		t.Errorf("used %d times", used.Load())
	}
}

func TestShelfGivesTheLastOneFirstAndKeepsFew(t *testing.T) {
	made := 0
	s := newShelf(func() int { made++; return made })
	for range 3 * cores {
		s.put(s.make())
	}
	if len(s.free) != 2*cores {
		t.Errorf("%d are kept", len(s.free))
	}
	for want := 2 * cores; want > 0; want-- {
		if got := s.take(); got != want {
			t.Errorf("got %d, not %d", got, want)
		}
	}
}

// A thing in whose use there was a panic may be broken.
func TestShelfAfterAPanic(t *testing.T) {
	made := 0
	s := newShelf(func() int { made++; return made })
	func() {
		defer func() { _ = recover() }()
		s.with(func(int) { panic("broken") })
	}()
	s.with(func(thing int) {
		if thing != 2 {
			t.Errorf("got the broken %d", thing)
		}
	})
}
