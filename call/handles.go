package call

import (
	"sync"
	"sync/atomic"
)

// Handles gives numbers to things that C holds. A number is never used twice, so a stale one is
// found to be so. The zero Handles is ready for use.
type Handles[T any] struct {
	last   atomic.Uint64
	things sync.Map
}

// Add gives a thing its number, which is never 0.
func (h *Handles[T]) Add(thing T) uint64 {
	handle := h.last.Add(1)
	h.things.Store(handle, thing)
	return handle
}

// Get finds a thing by its number.
func (h *Handles[T]) Get(handle uint64) (thing T, ok bool) {
	found, ok := h.things.Load(handle)
	if ok {
		thing = found.(T)
	}
	return thing, ok
}

// Remove forgets a number and returns what it stood for, if it was known.
func (h *Handles[T]) Remove(handle uint64) (thing T, ok bool) {
	found, ok := h.things.LoadAndDelete(handle)
	if ok {
		thing = found.(T)
	}
	return thing, ok
}

// Len is how many numbers are in use.
func (h *Handles[T]) Len() (n int) {
	h.things.Range(func(any, any) bool { n++; return true })
	return n
}
