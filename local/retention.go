package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Reads never see what is expired; a sweep in the background removes it from the store. It walks through each table in small batches
// with pauses and locks one row at a time. Tables without a time to live are walked through once after a start and after a change of
// their number of versions.
//
// The store itself gives the space of removed rows back when it happens to rewrite what is around them, which in a table to which little
// is written may be never. So a table of which a good part was removed, by the sweep or by clients, is compacted in the background.

const (
	defaultSweepInterval = time.Hour
	// sweepPoll is how often the sweeper looks at the clock, which need not be the machine's.
	sweepPoll = time.Second
	// A batch ends after so many rows or bytes.
	sweepRows  = 256
	sweepBytes = 1 << 20
	// sweepRest is how many times as long as a batch took the sweeper rests after it: it uses a fifth of a core at most.
	sweepRest = 4
	// compactShare is the share of a table that must have been removed before it is compacted: one in so many bytes.
	compactShare = 4
	// compactLeast is how many bytes clients must have removed before anybody looks at how large their table is.
	compactLeast = 256 << 10
	// compactRest is how many times as long as a compaction took the next one for what clients removed has to wait.
	compactRest = 4
)

// sweeper is the state of the sweep.
type sweeper struct {
	stop context.CancelFunc
	done chan struct{}
	wake chan struct{}

	mu      sync.Mutex
	dropped []uint64       // deleted tables whose space is to come back
	removed map[uint64]int // bytes removed since the table was compacted

	// The rest belongs to the sweeper's goroutine.
	last    time.Time        // start of the last pass, by the server's clock
	rested  time.Time        // when it may compact again what clients removed from
	swept   map[uint64]int32 // number of versions at the last pass
	reclaim time.Time        // when space was last won for a full folder
}

func (s *Server) startSweeper() {
	ctx, stop := context.WithCancel(context.Background())
	w := &s.sweeper
	w.stop, w.done, w.wake = stop, make(chan struct{}), make(chan struct{}, 1)
	w.removed, w.swept = map[uint64]int{}, map[uint64]int32{}
	go func() {
		defer close(w.done)
		ticker := time.NewTicker(sweepPoll)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-w.wake:
			case <-ticker.C:
			}
			if err := s.maintain(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("remove expired data", "error", err)
			}
		}
	}()
}

func (s *Server) stopSweeper() {
	s.sweeper.stop()
	<-s.sweeper.done
}

// wakeSweeper makes the sweeper look at the clock and the space now.
func (s *Server) wakeSweeper() {
	select {
	case s.sweeper.wake <- struct{}{}:
	default: // it is about to, or has not begun
	}
}

// dropTable lets the space of a deleted table come back.
func (s *Server) dropTable(id uint64) {
	s.sweeper.mu.Lock()
	s.sweeper.dropped = append(s.sweeper.dropped, id)
	s.sweeper.mu.Unlock()
	s.wakeSweeper()
}

// noteRemoved counts bytes that a table lost and that are still on the disk.
func (s *Server) noteRemoved(id uint64, n int) {
	if n == 0 {
		return
	}
	s.sweeper.mu.Lock()
	s.sweeper.removed[id] += n
	s.sweeper.mu.Unlock()
}

// maintain does what is due.
func (s *Server) maintain(ctx context.Context) error {
	w := &s.sweeper
	w.mu.Lock()
	dropped := w.dropped
	w.dropped = nil
	w.mu.Unlock()
	for _, id := range dropped {
		delete(w.swept, id)
		if err := s.compactTable(ctx, id); err != nil {
			return err
		}
	}
	now := s.now()
	since := now.Sub(w.last)
	if w.last.IsZero() || since < 0 || since >= s.options.SweepInterval {
		w.last = now
		if err := s.sweep(ctx); err != nil {
			return err
		}
	}
	if err := s.compactRemoved(ctx); err != nil {
		return err
	}
	return s.reclaimSpace(ctx)
}

// compactRemoved compacts the tables from which clients removed a good part.
func (s *Server) compactRemoved(ctx context.Context) error {
	w := &s.sweeper
	if time.Now().Before(w.rested) {
		return nil
	}
	var due []uint64
	w.mu.Lock()
	for id, n := range w.removed {
		if n >= compactLeast {
			due = append(due, id)
		}
	}
	w.mu.Unlock()
	begin := time.Now()
	defer func() { w.rested = time.Now().Add(compactRest * time.Since(begin)) }()
	for _, id := range due {
		if err := s.compactIfWorthIt(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// sweep goes through all tables once, unless it is switched off.
func (s *Server) sweep(ctx context.Context) error {
	if s.options.SweepInterval < 0 {
		return nil
	}
	var failed []error
	for _, name := range s.catalog.names() {
		t := s.catalog.get(name)
		if t == nil {
			continue
		}
		if versions, ok := s.sweeper.swept[t.id]; ok && versions == t.options.maxVersions && t.options.timeToLive <= 0 {
			continue
		}
		if err := s.sweepTable(ctx, t); err != nil {
			failed = append(failed, fmt.Errorf("sweep table %s: %w", name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func (s *Server) sweepTable(ctx context.Context, t *table) error {
	w := &s.sweeper
	for cursor := tablePrefix(prefixRow, t.id); cursor != nil; {
		begin := time.Now()
		next, err := s.sweepBatch(t, cursor)
		if err != nil {
			return err
		}
		cursor = next
		rest := time.NewTimer(sweepRest * time.Since(begin))
		select {
		case <-ctx.Done():
			rest.Stop()
			return ctx.Err()
		case <-rest.C:
		}
	}
	w.swept[t.id] = t.options.maxVersions
	return s.compactIfWorthIt(ctx, t.id)
}

// sweepBatch looks at the rows from cursor on and returns where to go on, nil at the end of the table.
func (s *Server) sweepBatch(t *table, cursor []byte) (next []byte, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: cursor, UpperBound: prefixEnd(tablePrefix(prefixRow, t.id))})
	if err != nil {
		return nil, err
	}
	now := s.now().UnixMilli()
	var r row
	var keys [][]byte
	rows, size := 0, 0
	for ok := it.First(); ok; ok = it.Next() {
		if rows == sweepRows || size >= sweepBytes {
			next = bytes.Clone(it.Key())
			break
		}
		value, err := it.ValueAndErr()
		if err == nil {
			err = r.decode(value)
		}
		if err != nil {
			return nil, fmt.Errorf("row %x: %w", it.Key(), errors.Join(err, it.Close()))
		}
		rows++
		size += len(value)
		if r.trim(&t.options, now).cells > 0 {
			keys = append(keys, bytes.Clone(it.Key()))
		}
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return next, nil
	}
	s.unsynced.Add(1)
	defer s.unsynced.Add(-1)
	for _, key := range keys {
		if err := s.sweepRow(t, key, now); err != nil {
			return nil, err
		}
	}
	return next, s.syncLog()
}

// sweepRow removes what is expired of a row, which may have changed since the iterator saw it.
func (s *Server) sweepRow(t *table, key []byte, now int64) error {
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	current := s.catalog.get(t.name)
	if current == nil || current.id != t.id {
		return nil
	}
	lock := &s.locks[stripe(key)]
	lock.Lock()
	defer lock.Unlock()
	var p pendingRow
	defer p.reader.release()
	if err := p.begin(s, current, key, now); err != nil || p.trimmed.cells == 0 {
		return err
	}
	batch, err := s.newBatch()
	if err != nil {
		return err
	}
	if err := p.stage(s, current, batch); err != nil {
		return errors.Join(err, batch.Close())
	}
	// One sync for the whole batch follows.
	if err := s.db.Apply(batch, pebble.NoSync); err != nil {
		return err
	}
	s.metrics.swept.Add(float64(p.trimmed.cells))
	return batch.Close()
}

// compactIfWorthIt compacts a table if a good part of it was removed and the disk has room for the rest of it once more.
func (s *Server) compactIfWorthIt(ctx context.Context, id uint64) error {
	used := uint64(0)
	for _, kind := range []byte{prefixRow, prefixBlob} {
		prefix := tablePrefix(kind, id)
		n, err := s.db.EstimateDiskUsage(prefix, prefixEnd(prefix))
		if err != nil {
			return err
		}
		used += n
	}
	s.sweeper.mu.Lock()
	n := s.sweeper.removed[id]
	s.sweeper.mu.Unlock()
	if n == 0 || uint64(n)*compactShare < used {
		return nil
	}
	if room, err := s.roomFor(used); err != nil || !room {
		return err
	}
	return s.compactTable(ctx, id)
}

// compactTable gives the space of what was removed from a table back.
func (s *Server) compactTable(ctx context.Context, id uint64) error {
	s.sweeper.mu.Lock()
	delete(s.sweeper.removed, id)
	s.sweeper.mu.Unlock()
	for _, kind := range []byte{prefixRow, prefixBlob} {
		prefix := tablePrefix(kind, id)
		if err := s.db.Compact(ctx, prefix, prefixEnd(prefix), false); err != nil {
			return fmt.Errorf("compact table %d: %w", id, err)
		}
	}
	return nil
}
