package local

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// When the folder has reached its limit, or the disk is nearly full, puts fail before they change anything, while reads and deletes go
// on. The limit is a soft one: the space is measured now and then, and compactions need some for themselves.

const (
	// measureEvery is after how many written bytes the space is measured, or the 64th part of the limit if that is less.
	measureEvery = 4 << 20
	// diskReserve is what is to stay free on the disk for deletes, the log and flushes, or the 20th part of a small disk.
	diskReserve = 256 << 20
	// reclaimEvery is how often deletes from a full folder are followed by a compaction.
	reclaimEvery = time.Minute
)

type space struct {
	unmeasured atomic.Int64 // bytes written since the space was measured
	full       atomic.Bool
	freed      atomic.Bool // something was deleted since the folder became full

	mu    sync.Mutex
	limit string // what is full, for the message
}

// needsSpace reports whether the write can make the data more.
func (m *mutation) needsSpace() bool {
	for i := range m.row.Attributes {
		if op := m.row.Attributes[i].Op; op == plainbuffer.Put || op == plainbuffer.Increment {
			return true
		}
	}
	return len(m.row.Attributes) == 0 && !m.row.Deleted
}

// checkSpace refuses a write of size bytes if there is no space for it.
func (s *Server) checkSpace(size int) error {
	every := int64(measureEvery)
	if s.options.MaxBytes > 0 {
		every = min(every, s.options.MaxBytes/64)
	}
	if s.space.unmeasured.Add(int64(size)) >= every || s.space.full.Load() {
		s.measureSpace()
	}
	if !s.space.full.Load() {
		return nil
	}
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	// Of the errors of throttling, this one says for sure that nothing was applied, and no official SDK sends the request again at
	// once, which would be of no use here as it is with OTSServerBusy.
	return fail(errorcode.CapacityUnitExhausted, "%s; reads and deletes go on.", s.space.limit)
}

// usedSpace is how much the data takes on disk. Log files that the store keeps in order to overwrite them, of which there are a few of
// the size of a memtable at most, are not in it: no delete would ever make that less.
func (s *Server) usedSpace() uint64 {
	m := s.db.Metrics()
	return m.DiskSpaceUsage() - m.WAL.ObsoletePhysicalSize - m.WAL.PhysicalSize + m.WAL.Size
}

func (s *Server) measureSpace() {
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	s.space.unmeasured.Store(0)
	limit := ""
	if s.options.MaxBytes > 0 {
		if used := s.usedSpace(); used >= uint64(s.options.MaxBytes) {
			limit = fmt.Sprintf("The data takes %d bytes of the %d that it may", used, s.options.MaxBytes)
		}
	}
	if !s.options.Memory && limit == "" {
		if u, err := s.options.fs.GetDiskUsage(s.options.Dir); err != nil {
			s.log.Error("measure the disk", "error", err)
		} else if u.AvailBytes < min(diskReserve, u.TotalBytes/20) {
			limit = fmt.Sprintf("The disk has only %d bytes left", u.AvailBytes)
		}
	}
	s.space.limit = limit
	if was := s.space.full.Swap(limit != ""); limit != "" && !was {
		s.log.Error("writes are refused: " + limit)
		s.space.freed.Store(true) // expired data, at least, may be there to remove
		s.wakeSweeper()
	}
}

// reclaimSpace makes the space of deleted data come back when there is none left.
func (s *Server) reclaimSpace(ctx context.Context) error {
	now := s.now()
	w := &s.sweeper
	if !s.space.full.Load() || !s.space.freed.Load() || now.Sub(w.reclaim).Abs() < reclaimEvery {
		return nil
	}
	w.reclaim = now
	s.space.freed.Store(false)
	if err := s.sweep(ctx); err != nil {
		return err
	}
	// Flushing lets the log go, and the store compact by itself what has many deletes. A compaction of everything needs as much space
	// again, so it is done only if the disk has it.
	if err := s.db.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if !s.options.Memory {
		u, err := s.options.fs.GetDiskUsage(s.options.Dir)
		if err != nil {
			return err
		}
		if u.AvailBytes < s.usedSpace()+diskReserve {
			return nil
		}
	}
	if err := s.db.Compact(ctx, []byte{prefixBlob}, []byte{prefixRow + 1}, false); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}
