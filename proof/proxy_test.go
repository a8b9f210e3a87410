package proof

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands between a store and its server, and does to connections what networks do.
type proxy struct {
	listener net.Listener
	backend  string

	mu     sync.Mutex
	faults wireFaults
	conns  map[net.Conn]struct{}
}

// wireFaults are what happens to connections. The zero value is a sound network.
type wireFaults struct {
	refuse    bool          // connections are closed as soon as they are made, and those that exist at once
	blackhole bool          // nothing passes in either direction
	reset     int           // so many answers meet a reset of their connection after their first bytes
	drip      time.Duration // an answer comes in pieces of dripSize bytes, with this pause between them
	first     time.Duration // before the first byte of an answer
}

const dripSize = 256

func newProxy(t testing.TB, backend string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, backend: backend, conns: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.drop()
		running.Wait()
	})
	return p
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

func (p *proxy) set(f wireFaults) {
	p.mu.Lock()
	p.faults = f
	p.mu.Unlock()
	if f.refuse {
		p.drop()
	}
}

func (p *proxy) current() wireFaults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// takeReset says whether the answer that begins now is to meet a reset.
func (p *proxy) takeReset() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.faults.reset == 0 {
		return false
	}
	p.faults.reset--
	return true
}

// keep remembers a connection so that drop finds it; done forgets and closes it.
func (p *proxy) keep(conn net.Conn) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = struct{}{}
	return func() {
		_ = conn.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, conn)
	}
}

func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

func (p *proxy) serve(client net.Conn) {
	defer p.keep(client)()
	if p.current().refuse {
		return
	}
	server, err := net.Dial("tcp", p.backend)
	if err != nil {
		return
	}
	defer p.keep(server)()
	var both sync.WaitGroup
	var asked atomic.Bool // a request has passed whose answer has not begun
	both.Go(func() { p.requests(server, client, &asked) })
	both.Go(func() { p.answers(client, server, &asked) })
	both.Wait()
}

func (p *proxy) requests(to, from net.Conn, asked *atomic.Bool) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		for n > 0 && p.current().blackhole {
			time.Sleep(5 * time.Millisecond)
			if _, closed := to.Write(nil); closed != nil {
				return
			}
		}
		if n > 0 {
			asked.Store(true)
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) answers(to, from net.Conn, asked *atomic.Bool) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			f := p.current()
			if begins := asked.Swap(false); begins {
				time.Sleep(f.first)
			}
			if p.takeReset() {
				_, _ = to.Write(buffer[:min(n, 40)])
				reset(to)
				return
			}
			if p.pass(to, buffer[:n], f.drip) != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) pass(to net.Conn, data []byte, drip time.Duration) error {
	for drip > 0 && len(data) > dripSize {
		if _, err := to.Write(data[:dripSize]); err != nil {
			return err
		}
		data = data[dripSize:]
		time.Sleep(drip)
	}
	for p.current().blackhole {
		time.Sleep(5 * time.Millisecond)
		if _, err := to.Write(nil); err != nil {
			return err
		}
	}
	_, err := to.Write(data)
	return err
}

// reset ends a connection with RST instead of FIN.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func TestProxyPassesWhatItMust(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	p := newProxy(t, listener.Addr().String())
	conn, err := net.Dial("tcp", p.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echo := func() error {
		if err := conn.SetDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("hello")); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, make([]byte, 5))
		return err
	}
	if err := echo(); err != nil {
		t.Fatal(err)
	}
	p.set(wireFaults{blackhole: true})
	var timeout net.Error
	if err := echo(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("through a black hole: %v", err)
	}
	p.set(wireFaults{refuse: true})
	if err := echo(); err == nil {
		t.Error("passed a closed connection")
	}
}
