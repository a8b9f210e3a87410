// Package poll lets tests wait for a connection on their own thread, outside of Go's poller, as the C module does.
package poll

import (
	"syscall"
	"time"
	"unsafe"
)

// Wait returns when the descriptor can be read from, or written to, and after limit at the latest.
func Wait(fd int, write bool, limit time.Duration) {
	events := int16(1) // POLLIN
	if write {
		events |= 4 // POLLOUT
	}
	polled := struct {
		fd              int32
		events, revents int16
	}{int32(fd), events, 0}
	_, _, _ = syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&polled)), 1, uintptr(max(limit.Milliseconds()+1, 0)))
}
