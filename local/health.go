package local

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrStopping says that the server finishes what it has begun and takes nothing more.
var ErrStopping = errors.New("the server is stopping")

// health is what the server knows of its own state.
type health struct {
	draining atomic.Bool
	storage  atomic.Pointer[error] // what a flush or a compaction last failed with, nil after one that worked
	logged   atomic.Int64          // when such an error was last logged, in ns of the process's life
}

const (
	// backgroundLog is how often a background error is logged at most: the store tries again at once.
	backgroundLog = 10 * time.Second
	// backgroundRest is how long it rests before it does.
	backgroundRest = 100 * time.Millisecond
)

// backgroundError is called when a flush or a compaction failed; the store tries again when it returns.
func (s *Server) backgroundError(err error) {
	s.health.storage.Store(&err)
	now := int64(time.Since(processStart))
	if last := s.health.logged.Load(); last == 0 || now-last >= int64(backgroundLog) {
		s.health.logged.Store(now)
		s.log.Error("the store cannot write to the disk; it goes on trying", "error", err)
	}
	time.Sleep(backgroundRest)
}

// Health returns why the server cannot do all that it is there for: [ErrStopping], [ErrClosed], a store that cannot be written to, or
// no space left. nil means that it can.
func (s *Server) Health() error {
	if s.health.draining.Load() {
		return ErrStopping
	}
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.closed {
		return ErrClosed
	}
	if err := s.health.storage.Load(); err != nil {
		return fmt.Errorf("the store cannot write to the disk: %w", *err)
	}
	s.measureSpace()
	if limit := s.space.fullBecause(); limit != "" {
		return errors.New("writes are refused: " + limit)
	}
	return nil
}

// drainPoll is how often Drain looks whether the last request has ended.
const drainPoll = 5 * time.Millisecond

// Drain lets running requests end and answers further ones with OTSPartitionUnavailable. It returns how many still ran when the context
// ended.
func (s *Server) Drain(ctx context.Context) (left int) {
	s.health.draining.Store(true)
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		if s.metrics.running.Load() == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return int(s.metrics.running.Load())
		case <-ticker.C:
		}
	}
}

// admit counts a request as running, unless the server takes no more of them.
func (s *Server) admit() bool {
	// In this order, a request is either seen by Drain or sees it.
	s.metrics.running.Add(1)
	if s.closed || s.health.draining.Load() {
		s.metrics.running.Add(-1)
		return false
	}
	return true
}
