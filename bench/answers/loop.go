package main

import (
	"fmt"
	"log"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// server serves all connections in one loop. A goroutine for each would cost twice the CPU, most of it for waking.
type server struct {
	memory   *memory
	latency  time.Duration
	epoll    int
	listener int
	timer    int
	conns    map[int32]*conn
	held     []held // answers that wait for their time, the first due first
}

type conn struct {
	fd   int
	read []byte // what is not yet a whole request
	out  []byte // what is not yet sent of an answer
}

type held struct {
	due    time.Time
	conn   *conn
	answer []byte
}

func listen(m *memory, latency time.Duration) (s *server, address string, err error) {
	s = &server{memory: m, latency: latency, conns: map[int32]*conn{}}
	if s.listener, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0); err != nil {
		return nil, "", os.NewSyscallError("socket", err)
	}
	if err = syscall.Bind(s.listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, "", os.NewSyscallError("bind", err)
	}
	if err = syscall.Listen(s.listener, 1024); err != nil {
		return nil, "", os.NewSyscallError("listen", err)
	}
	if s.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, "", os.NewSyscallError("epoll_create1", err)
	}
	timer, _, errno := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, "", os.NewSyscallError("timerfd_create", errno)
	}
	s.timer = int(timer)
	for _, fd := range []int{s.listener, s.timer} {
		if err = s.watch(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN); err != nil {
			return nil, "", err
		}
	}
	name, err := syscall.Getsockname(s.listener)
	if err != nil {
		return nil, "", os.NewSyscallError("getsockname", err)
	}
	return s, fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port), nil
}

const clockMonotonic = 1

func (s *server) watch(operation, fd int, events uint32) error {
	event := syscall.EpollEvent{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", syscall.EpollCtl(s.epoll, operation, fd, &event))
}

func (s *server) serve() error {
	events := make([]syscall.EpollEvent, 256)
	for {
		n, err := syscall.EpollWait(s.epoll, events, -1)
		if err != nil && err != syscall.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, event := range events[:max(n, 0)] {
			switch int(event.Fd) {
			case s.listener:
				s.accept()
			case s.timer:
				var ticks [8]byte
				_, _ = syscall.Read(s.timer, ticks[:])
				s.release()
			default:
				c := s.conns[event.Fd]
				if c == nil {
					continue // it was closed by an event before
				}
				if err := s.handle(c, event.Events); err != nil {
					s.close(c)
				}
			}
		}
	}
}

func (s *server) accept() {
	for {
		fd, _, err := syscall.Accept4(s.listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return // EAGAIN: no more
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		s.conns[int32(fd)] = &conn{fd: fd, read: make([]byte, 0, 64<<10)}
		if err := s.watch(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN); err != nil {
			log.Print(err)
		}
	}
}

func (s *server) close(c *conn) {
	delete(s.conns, int32(c.fd))
	_ = syscall.Close(c.fd)
	c.fd = -1
}

func (s *server) handle(c *conn, events uint32) error {
	if events&syscall.EPOLLOUT != 0 {
		if err := s.send(c, nil); err != nil {
			return err
		}
	}
	if events&^syscall.EPOLLOUT == 0 {
		return nil
	}
	if free := cap(c.read) - len(c.read); free < 16<<10 {
		c.read = append(make([]byte, 0, 2*cap(c.read)), c.read...)
	}
	n, err := syscall.Read(c.fd, c.read[len(c.read):cap(c.read)])
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return nil
	}
	if err != nil || n == 0 {
		return syscall.ECONNRESET // the client is gone
	}
	c.read = c.read[:len(c.read)+n]
	var r request
	size, err := parse(c.read, &r)
	if err != nil || size == 0 {
		return err
	}
	wire, err := s.memory.answer(&r)
	if err != nil {
		log.Print(err)
		return err
	}
	c.read = append(c.read[:0], c.read[size:]...)
	if s.latency > 0 {
		s.hold(c, wire)
		return nil
	}
	return s.send(c, wire)
}

// send sends as much as the socket takes, and the rest when it takes more.
func (s *server) send(c *conn, wire []byte) error {
	waited := len(c.out) > 0
	if waited {
		wire = append(c.out, wire...)
	}
	n, err := syscall.Write(c.fd, wire)
	if err == syscall.EAGAIN {
		n, err = 0, nil
	}
	if err != nil {
		return err
	}
	c.out = append(c.out[:0], wire[n:]...)
	switch left := len(c.out) > 0; {
	case left && !waited:
		return s.watch(syscall.EPOLL_CTL_MOD, c.fd, syscall.EPOLLIN|syscall.EPOLLOUT)
	case waited && !left:
		return s.watch(syscall.EPOLL_CTL_MOD, c.fd, syscall.EPOLLIN)
	}
	return nil
}

// hold keeps an answer back. All wait equally long, so the last one is due last.
func (s *server) hold(c *conn, wire []byte) {
	s.held = append(s.held, held{due: time.Now().Add(s.latency), conn: c, answer: wire})
	if len(s.held) == 1 {
		s.setTimer(s.latency)
	}
}

// release sends what is due.
func (s *server) release() {
	now, n := time.Now(), 0
	for ; n < len(s.held) && !s.held[n].due.After(now); n++ {
		if c := s.held[n].conn; c.fd >= 0 && s.send(c, s.held[n].answer) != nil {
			s.close(c)
		}
	}
	s.held = append(s.held[:0], s.held[n:]...)
	if len(s.held) > 0 {
		s.setTimer(time.Until(s.held[0].due))
	}
}

func (s *server) setTimer(in time.Duration) {
	// An interval and a first time, each in seconds and nanoseconds. A time of 0 would switch the timer off.
	setting := [2]syscall.Timespec{1: syscall.NsecToTimespec(int64(max(in, 1)))}
	_, _, errno := syscall.Syscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(s.timer), 0, uintptr(unsafe.Pointer(&setting)), 0, 0, 0)
	if errno != 0 {
		log.Fatal(os.NewSyscallError("timerfd_settime", errno))
	}
}
