package local

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"google.golang.org/protobuf/protoadapt"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// crashShared is the number of rows that all clients of TestKill and TestPowerCut put and delete, often at the same time.
const crashShared = 2

// sharedRows is what was done to the rows that all clients write. Which of two requests at the same time came last nobody knows; but
// what was acknowledged before another one began is older than that.
type sharedRows struct {
	mu     sync.Mutex
	clock  int64
	number int
	writes map[string][]*sharedWrite
}

// sharedWrite is a put with a number of its own, or a delete, for which it is 0.
type sharedWrite struct {
	id           string
	number       int
	began, ended int64 // by the clock of sharedRows; never, if it was not acknowledged
}

const never = math.MaxInt64

func newSharedRows() *sharedRows {
	s := &sharedRows{writes: map[string][]*sharedWrite{}}
	for i := range crashShared {
		id := fmt.Sprint("shared", i)
		s.writes[id] = []*sharedWrite{{id: id}} // it is not there
	}
	return s
}

// begin makes the next write.
func (s *sharedRows) begin() *sharedWrite {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	w := &sharedWrite{id: fmt.Sprint("shared", rand.IntN(crashShared)), began: s.clock, ended: never}
	if rand.IntN(2) == 0 {
		s.number++
		w.number = s.number
	}
	s.writes[w.id] = append(s.writes[w.id], w)
	return w
}

func (s *sharedRows) acknowledge(w *sharedWrite) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	w.ended = s.clock
}

func (w *sharedWrite) request() (string, protoadapt.MessageV1) {
	if w.number == 0 {
		return "DeleteRow", deleteRequest(idKey(w.id))
	}
	return "PutRow", putRequest(idKey(w.id), cell("number", w.number))
}

// check says which row is not as any of its writes that may have been the last left it, and takes the shared rows out of stored.
func (s *sharedRows) check(stored map[string]plainbuffer.Row) error {
	for id, writes := range s.writes {
		number := 0
		if row, found := stored[id]; found {
			number = int(row.Get("number").Value.Int())
		}
		delete(stored, id)
		began := int64(0) // when the last began of those that were acknowledged
		for _, w := range writes {
			if w.ended != never {
				began = max(began, w.began)
			}
		}
		explained := false
		for _, w := range writes {
			explained = explained || w.number == number && w.ended >= began
		}
		if !explained {
			return fmt.Errorf("row %s is as put %d (0: a delete) left it, which others followed that were acknowledged: %s", id, number, history(writes))
		}
		s.writes[id] = []*sharedWrite{{id: id, number: number}}
	}
	s.clock = 0
	return nil
}

func history(writes []*sharedWrite) (text string) {
	for _, w := range writes {
		ended := fmt.Sprint(w.ended)
		if w.ended == never {
			ended = "?"
		}
		text += fmt.Sprintf(" %d[%d-%s]", w.number, w.began, ended)
	}
	return text
}
