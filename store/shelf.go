package store

import "sync"

// shelf keeps things that are costly to make, for one user at a time. The one that came back last is the first to go. What an
// encoder works with fills most of a core's cache: where threads take turns with as many encoders as there are threads, each
// finds the cache filled by another and takes twice the time. Measured, a set with 8 threads takes a quarter less CPU than with a
// sync.Pool, which keeps one for each P; to let no more than there are cores be in use costs more than it gains, for threads
// of C that wait in Go are slow to wake.
type shelf[T any] struct {
	make  func() T
	mu    sync.Mutex
	free  []T
	spare sync.Pool // of those that only a crowd needs, for the garbage collector to take
}

func newShelf[T any](make func() T) *shelf[T] { return &shelf[T]{make: make} }

// with lends a thing to f. It does not come back from a panic.
func (s *shelf[T]) with(f func(T)) {
	thing := s.take()
	f(thing)
	s.put(thing)
}

func (s *shelf[T]) take() T {
	s.mu.Lock()
	if n := len(s.free); n > 0 {
		thing := s.free[n-1]
		s.free = s.free[:n-1]
		s.mu.Unlock()
		return thing
	}
	s.mu.Unlock()
	if thing, ok := s.spare.Get().(T); ok {
		return thing
	}
	return s.make()
}

func (s *shelf[T]) put(thing T) {
	s.mu.Lock()
	full := len(s.free) == 2*cores
	if !full {
		s.free = append(s.free, thing)
	}
	s.mu.Unlock()
	if full {
		s.spare.Put(thing)
	}
}
