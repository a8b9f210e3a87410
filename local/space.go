package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// When the folder has reached its limit, or the disk is nearly full, puts fail before they change anything, while reads and deletes go
// on. The limit is a soft one: the space is measured now and then, and compactions need some for themselves.
//
// Pebble ends the process when it cannot write its log. So that a disk which others fill does not come to that, deletes are refused as
// well when hardly anything is left, and the folder holds a ballast, a file of no content, which is given up when a write meets a full
// disk all the same: the write then succeeds, and all further ones are refused until there is space again.

const (
	// measureEvery is after how many written bytes the space is measured, or the 64th part of the limit if that is less.
	measureEvery = 4 << 20
	// diskEvery is how often writes look at the disk at least, which others may fill.
	diskEvery = 10 * time.Millisecond
	// diskReserve is what is to stay free on the disk for deletes, the log, flushes and compactions. Of a small disk it is less.
	diskReserve = 256 << 20
	// reclaimEvery is how often deletes from a full folder are followed by a compaction.
	reclaimEvery = time.Minute

	// recoverySpace is what a start needs beside what is in the log.
	recoverySpace = 1 << 20

	ballastName = "BALLAST"
	ballastSize = 64 << 20 // of a small disk less
)

// How much room there is.
const (
	roomForAll int32 = iota
	roomForDeletes
	noRoom
)

type space struct {
	unmeasured atomic.Int64 // bytes written since the space was measured
	measured   atomic.Int64 // when, in ns of the process's life
	room       atomic.Int32
	freed      atomic.Bool // something was deleted since the folder became full
	ballast    atomic.Bool // it is there

	mu    sync.Mutex
	limit string // what is full, for the message
}

var processStart = time.Now()

// reserveOf is the part of the disk that is kept free.
func reserveOf(u vfs.DiskUsage) uint64 { return min(diskReserve, max(16<<20, u.TotalBytes/20)) }

// memTableSizeOf is how much is written to memory, and to the log, before it is written to the disk's sorted files: four times as much
// may wait at once, and must fit into the reserve.
func memTableSizeOf(u vfs.DiskUsage) uint64 { return min(memTableSize, max(1<<20, u.TotalBytes/128)) }

// needsSpace reports whether the write can make the data more.
func (m *mutation) needsSpace() bool {
	for i := range m.row.Attributes {
		if op := m.row.Attributes[i].Op; op == plainbuffer.Put || op == plainbuffer.Increment {
			return true
		}
	}
	return len(m.row.Attributes) == 0 && !m.row.Deleted
}

// checkSpace refuses a write of size bytes if there is no space for it. A write that does not grow the data has more to itself.
func (s *Server) checkSpace(size int, grows bool) error {
	every := int64(measureEvery)
	if s.options.MaxBytes > 0 {
		every = min(every, s.options.MaxBytes/64)
	}
	last, now := s.space.measured.Load(), int64(time.Since(processStart))
	switch {
	case s.space.unmeasured.Add(int64(size)) >= every, s.space.room.Load() != roomForAll:
		s.measureSpace()
	case now-last >= int64(diskEvery) && s.space.measured.CompareAndSwap(last, now): // one of those that write looks
		s.measureSpace()
	}
	room := s.space.room.Load()
	if room == roomForAll || room == roomForDeletes && !grows {
		return nil
	}
	limit := s.space.fullBecause()
	if limit == "" { // it has just ended
		return nil
	}
	// Of the errors of throttling, this one says for sure that nothing was applied, and no official SDK sends the request again at
	// once, which would be of no use here as it is with OTSServerBusy.
	if room == noRoom {
		return fail(errorcode.CapacityUnitExhausted, "%s; only reads go on.", limit)
	}
	return fail(errorcode.CapacityUnitExhausted, "%s; reads and deletes go on.", limit)
}

// fullBecause says what is full, "" if nothing is.
func (sp *space) fullBecause() string {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return sp.limit
}

// usedSpace is how much the data takes on disk. Log files that the store keeps in order to overwrite them, of which there are a few of
// the size of a memtable at most, are not in it: no delete would ever make that less.
func usedSpace(m *pebble.Metrics) uint64 {
	return m.DiskSpaceUsage() - m.WAL.ObsoletePhysicalSize - m.WAL.PhysicalSize + m.WAL.Size
}

// measureSpace finds out how much room there is.
func (s *Server) measureSpace() {
	s.space.mu.Lock()
	defer s.space.mu.Unlock()
	s.space.unmeasured.Store(0)
	s.space.measured.Store(int64(time.Since(processStart)))
	room, limit := roomForAll, ""
	if s.options.MaxBytes > 0 {
		if used := usedSpace(s.db.Metrics()); used >= uint64(s.options.MaxBytes) {
			room, limit = roomForDeletes, fmt.Sprintf("The data takes %d bytes of the %d that it may", used, s.options.MaxBytes)
		}
	}
	if !s.options.Memory {
		u, err := s.disk.GetDiskUsage(s.options.Dir)
		if err != nil {
			s.log.Error("measure the disk", "error", err)
		} else {
			if !s.space.ballast.Load() && u.AvailBytes >= reserveOf(u)+2*ballastSize {
				s.layBallast(u)
			}
			if reserve := reserveOf(u); u.AvailBytes < reserve {
				room, limit = roomForDeletes, fmt.Sprintf("The disk has only %d bytes left", u.AvailBytes)
				if u.AvailBytes < reserve/4 {
					room = noRoom
				}
			}
		}
	}
	s.space.limit = limit
	switch was := s.space.room.Swap(room); {
	case room == was:
	case room == roomForAll:
		s.log.Warn("writes are accepted again")
	default:
		s.log.Error("writes are refused: " + limit)
		s.space.freed.Store(true) // expired data, at least, may be there to remove
		s.wakeSweeper()
	}
}

// roomToRecover refuses a start on a disk that is so full that the store could not write out what is in its log, and would hang.
func (s *Server) roomToRecover() error {
	names, err := s.disk.List(s.options.Dir)
	if err != nil {
		return err
	}
	need := uint64(recoverySpace)
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		info, err := s.disk.Stat(s.disk.PathJoin(s.options.Dir, name))
		if err != nil {
			return err
		}
		need += uint64(info.Size())
	}
	u, err := s.disk.GetDiskUsage(s.options.Dir)
	if err == nil && u.AvailBytes < need {
		s.dropBallast()
		u, err = s.disk.GetDiskUsage(s.options.Dir)
	}
	if err == nil && u.AvailBytes < need {
		return fmt.Errorf("%w: the disk has %d bytes left, a start needs %d", syscall.ENOSPC, u.AvailBytes, need)
	}
	return nil // a file system that does not say how full it is gets the benefit of the doubt
}

// layBallast takes space on the disk that can be given back at once.
func (s *Server) layBallast(u vfs.DiskUsage) {
	name := s.disk.PathJoin(s.options.Dir, ballastName)
	f, err := s.disk.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Preallocate(0, int64(min(ballastSize, u.TotalBytes/64))), f.Close())
	}
	if err != nil {
		s.log.Debug("no ballast", "error", err) // not every file system can do that
		s.dropBallast()
		return
	}
	s.space.ballast.Store(true)
}

// dropBallast gives the ballast's space back: the disk is full.
func (s *Server) dropBallast() {
	s.space.ballast.Store(false)
	if err := s.disk.Remove(s.disk.PathJoin(s.options.Dir, ballastName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error("remove the ballast", "error", err)
	}
}

// diskFull is called when a write to the disk failed for want of space, before it is tried once more.
func (s *Server) diskFull() {
	s.log.Error("the disk is full", "dir", s.options.Dir)
	s.dropBallast()
}

// reclaimSpace makes the space of deleted data come back when there is none left.
func (s *Server) reclaimSpace(ctx context.Context) error {
	now := s.now()
	w := &s.sweeper
	if s.space.room.Load() == roomForAll || !s.space.freed.Load() || now.Sub(w.reclaim).Abs() < reclaimEvery {
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
	if room, err := s.roomFor(usedSpace(s.db.Metrics())); err != nil || !room {
		return err
	}
	if err := s.db.Compact(ctx, []byte{prefixBlob}, []byte{prefixRow + 1}, false); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}

// roomFor reports whether the disk has room for as much again as a compaction rewrites.
func (s *Server) roomFor(size uint64) (bool, error) {
	if s.options.Memory {
		return true, nil
	}
	u, err := s.disk.GetDiskUsage(s.options.Dir)
	return err == nil && u.AvailBytes >= size+reserveOf(u), err
}
