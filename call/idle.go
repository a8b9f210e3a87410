package call

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// IdleInterval is how often a process looks whether it is idle.
	IdleInterval = 15 * time.Second
	// idleBytes is what a process may allocate in an interval that counts as idle: a handful of calls.
	idleBytes = 256 << 10
	// worthBytes is what must have been allocated since memory was last given back: a collection costs a millisecond or two.
	worthBytes = 4 << 20
)

// GiveBackWhenIdle gives memory back to the system after an interval without calls. Most of Sentry's processes wait most of the time,
// and the collector, which runs only when there is much to collect, would let each of them keep what its last burst of calls took.
func GiveBackWhenIdle(ticks <-chan time.Time) {
	last, given := allocated(), uint64(0)
	for range ticks {
		now := allocated()
		if now-last < idleBytes && now-given >= worthBytes {
			debug.FreeOSMemory()
			now = allocated()
			given = now
		}
		last = now
	}
}

// allocated is how many bytes this process has ever allocated on Go's heap.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
