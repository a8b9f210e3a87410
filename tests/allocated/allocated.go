// Package allocated lets tests bound the memory that something takes.
package allocated

import "runtime"

// By calls f, and gives how many bytes it took in all, those of other goroutines meanwhile included.
func By(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
