package tablestore

import (
	"sync"
	"time"
)

const (
	// idleTimeout is the SDK's: shorter than the service keeps idle connections.
	idleTimeout = 25 * time.Second
	// trustedIdle is how long a connection may have been idle without being looked at before it is used again.
	trustedIdle = time.Second
)

// pool keeps idle connections. The last one that came is the first to go, so that a few are used and
// the others end by the idle timeout.
type pool struct {
	mu     sync.Mutex
	idle   []*connection // the longest idle first
	closed bool
	timer  *time.Timer // runs while there are idle connections
	max    int
	now    func() time.Time
}

// empty reports whether there is no idle connection at the moment.
func (p *pool) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle) == 0
}

// take gives an idle connection, or nil.
func (p *pool) take() *connection {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		since := p.now().Sub(c.idle)
		if since < trustedIdle || since < idleTimeout && c.quiet() {
			return c
		}
		c.close()
	}
}

// put gives a connection back that is in order.
func (p *pool) put(c *connection) {
	c.reused = true
	c.idle = p.now()
	p.mu.Lock()
	if p.closed || len(p.idle) >= p.max {
		p.mu.Unlock()
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(idleTimeout, p.expire)
	}
	p.mu.Unlock()
}

// expire closes what was idle for too long, and comes again as long as anything is idle.
func (p *pool) expire() {
	p.mu.Lock()
	now := p.now()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].idle) >= idleTimeout {
		n++
	}
	old := append([]*connection(nil), p.idle[:n]...)
	kept := copy(p.idle, p.idle[n:])
	clear(p.idle[kept:])
	p.idle = p.idle[:kept]
	p.timer = nil
	if kept > 0 {
		p.timer = time.AfterFunc(max(idleTimeout-now.Sub(p.idle[0].idle), time.Second), p.expire)
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// close closes what is idle, and from now on whatever comes back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
