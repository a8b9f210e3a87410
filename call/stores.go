package call

import (
	"sync"

	"github.com/PMExtra/sentry-tablestore/v2/store"
)

// Stores are the open stores of a process, one for each distinct text of options: every thread and every
// object with the same options shares its connections. The zero Stores is ready for use.
type Stores struct {
	handles Handles[*store.Store]
	mu      sync.Mutex
	open    map[string]*shared
}

type shared struct {
	handle uint64
	store  *store.Store
	users  int
}

// Open gives the number of the store with these options, in the JSON form of store.Options.
func (s *Stores) Open(text string) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.open[text]; ok {
		known.users++
		return known.handle, nil
	}
	options, err := store.ParseOptions([]byte(text))
	if err != nil {
		return 0, err
	}
	opened, err := store.Open(options)
	if err != nil {
		return 0, err
	}
	if s.open == nil {
		s.open = make(map[string]*shared)
	}
	handle := s.handles.Add(opened)
	s.open[text] = &shared{handle: handle, store: opened, users: 1}
	return handle, nil
}

// Get finds an open store.
func (s *Stores) Get(handle uint64) (*store.Store, bool) { return s.handles.Get(handle) }

// Close is called once for each Open; the last one closes the store. A stale number is ignored.
func (s *Stores) Close(handle uint64) {
	s.mu.Lock()
	var last *store.Store
	for text, known := range s.open {
		if known.handle != handle {
			continue
		}
		if known.users--; known.users == 0 {
			last = known.store
			delete(s.open, text)
			s.handles.Remove(handle)
		}
	}
	s.mu.Unlock()
	if last != nil {
		last.Close()
	}
}
