package tablestore

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// socket is a TCP connection that is read and written in one of two ways. To wait is Go's usual way: the
// goroutine sleeps on Go's poller. To try is for a thread of the caller that waits for the socket by itself, outside of Go: nothing
// ever waits, and what is not there yet is errNotYet.
//
// In the second way the socket is unknown to Go's poller, which would otherwise wake a thread of its own for each answer
// that comes. So the poller gets a duplicate of the descriptor, for as long as it is needed.
//
// One goroutine at a time uses a socket, but any may Close it or interrupt it.
type socket struct {
	fd     int
	addr   net.Addr
	closed atomic.Bool

	waits *os.File // the duplicate; nil while the socket tries
	out   []byte   // what could not be sent yet
}

// notYetError is what a socket that tries says instead of waiting. To crypto/tls it is an error
// after which a connection goes on.
type notYetError struct{}

func (notYetError) Error() string   { return "not yet" }
func (notYetError) Timeout() bool   { return true }
func (notYetError) Temporary() bool { return true }

var errNotYet net.Error = notYetError{}

// newSocket takes over a connection that was just made; it waits.
func newSocket(conn *net.TCPConn) (*socket, error) {
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{addr: conn.RemoteAddr()}
	var failed error
	if err := raw.Control(func(fd uintptr) { s.fd, failed = duplicate(int(fd)) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	if err := s.wait(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func duplicate(fd int) (int, error) {
	n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return -1, os.NewSyscallError("fcntl", errno)
	}
	return int(n), nil
}

// wait makes the socket wait from now on.
func (s *socket) wait() error {
	if s.waits != nil {
		return nil
	}
	fd, err := duplicate(s.fd)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), "connection")
	// An error tells that Go's poller does not know the descriptor, and then a read could not be interrupted.
	if err := file.SetDeadline(time.Time{}); err != nil {
		file.Close()
		return err
	}
	s.waits = file
	return nil
}

// try makes the socket try from now on.
func (s *socket) try() {
	if s.waits != nil {
		s.waits.Close()
		s.waits = nil
	}
}

// interrupter gives a function that ends all waiting on the socket from now on, for any goroutine to call.
func (s *socket) interrupter() func() {
	file := s.waits
	return func() { _ = file.SetDeadline(time.Unix(1, 0)) }
}

// Read is a method of [net.Conn].
func (s *socket) Read(p []byte) (int, error) {
	if s.waits != nil {
		return s.waits.Read(p)
	}
	for {
		n, errno := rawCall(syscall.SYS_RECVFROM, s.fd, p, syscall.MSG_DONTWAIT)
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return 0, errNotYet
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write is a method of [net.Conn]. When the socket tries, what could not be sent is kept for flush.
func (s *socket) Write(p []byte) (int, error) {
	if err := s.flush(); err != nil && err != errNotYet {
		return 0, err
	}
	if s.waits != nil {
		return s.waits.Write(p)
	}
	sent := 0
	if len(s.out) == 0 {
		var err error
		if sent, err = s.send(p); err != nil && err != errNotYet {
			return sent, err
		}
	}
	s.out = append(s.out, p[sent:]...)
	return len(p), nil
}

// flush sends what was kept; errNotYet tells that something is left.
func (s *socket) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	if s.waits != nil {
		_, err := s.waits.Write(s.out)
		s.out = nil
		return err
	}
	sent, err := s.send(s.out)
	s.out = s.out[sent:]
	if len(s.out) == 0 {
		s.out = nil
	}
	return err
}

// send sends as much as it can without waiting. The thread is the caller's: no signal is to come of it.
func (s *socket) send(p []byte) (sent int, err error) {
	for sent < len(p) {
		n, errno := rawCall(syscall.SYS_SENDTO, s.fd, p[sent:], syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
		switch {
		case errno == syscall.EINTR:
		case errno == syscall.EAGAIN:
			return sent, errNotYet
		case errno != 0:
			return sent, os.NewSyscallError("write", errno)
		default:
			sent += n
		}
	}
	return sent, nil
}

// rawCall makes a system call that never waits, which Go's scheduler need not know of: told of it, it would look out for its end
// every 20 microseconds, and give the rest of the thread's work to another one.
func rawCall(trap uintptr, fd int, p []byte, flags uintptr) (n int, errno syscall.Errno) {
	moved, _, errno := syscall.RawSyscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
	return int(moved), errno
}

// Close is a method of [net.Conn]. It may be called more than once.
func (s *socket) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	if s.waits != nil {
		s.waits.Close() // also wakes who waits
	}
	return syscall.Close(s.fd)
}

// Abort closes the connection and drops what is not delivered yet. After a mere Close the system would go on to deliver a request that
// was given up, and a write could take effect long after another one that came later.
func (s *socket) Abort() {
	if !s.closed.Load() {
		_ = syscall.SetsockoptLinger(s.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	}
	_ = s.Close()
}

// LocalAddr is a method of [net.Conn] that nobody needs.
func (s *socket) LocalAddr() net.Addr { return nil }

// RemoteAddr is a method of [net.Conn]; crypto/tls knows its sessions by it when there is no server name.
func (s *socket) RemoteAddr() net.Addr { return s.addr }

// SetDeadline is a method of [net.Conn].
func (s *socket) SetDeadline(t time.Time) error { return s.waits.SetDeadline(t) }

// SetReadDeadline is a method of [net.Conn].
func (s *socket) SetReadDeadline(t time.Time) error { return s.waits.SetReadDeadline(t) }

// SetWriteDeadline is a method of [net.Conn].
func (s *socket) SetWriteDeadline(t time.Time) error { return s.waits.SetWriteDeadline(t) }
