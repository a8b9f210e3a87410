package local

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// A write can be seen before it is on disk: rows change under their locks, and the disk is waited for outside. A plain read may show
// such a write, which a crash can undo if nobody acknowledged it. A write may not build on one: a delete that finds its row gone, or a
// put refused because its row is there, says something that has to hold after a crash too.

// newBatch returns a batch for [Server.commit]. The log will tell which writes had been acknowledged when it was made (checklogs.go).
// Its Count is 0 as long as there is nothing to commit.
func (s *Server) newBatch() (*pebble.Batch, error) {
	batch := s.db.NewBatch()
	if s.options.Memory {
		return batch, nil
	}
	return batch, batch.LogData(binary.LittleEndian.AppendUint64(nil, s.acked.Load()), nil)
}

// commit applies the batch and returns what to call to wait until it is on disk. The first part makes the rows visible, and so may
// happen under locks; the second takes the time of a disk.
func (s *Server) commit(batch *pebble.Batch) (wait func() error, err error) {
	if s.options.Memory {
		return batch.Close, s.db.Apply(batch, s.sync)
	}
	s.unsynced.Add(1)
	if err := s.db.ApplyNoSyncWait(batch, s.sync); err != nil {
		s.unsynced.Add(-1)
		return nil, err
	}
	return func() error {
		defer s.unsynced.Add(-1)
		if err := batch.SyncWait(); err != nil {
			// What this write did can be seen and is not on disk, and no later one can be. Where Pebble waits itself it does the same.
			pebbleLogger{s.log}.Fatalf("the log of writes cannot be written: %v", err)
		}
		s.noteAcked(uint64(batch.SeqNum()) + uint64(batch.Count()))
		return batch.Close()
	}, nil
}

// commitNow is commit that waits.
func (s *Server) commitNow(batch *pebble.Batch) error {
	wait, err := s.commit(batch)
	if err != nil {
		return err
	}
	return wait()
}

// setNow writes one entry, and waits until it is on disk.
func (s *Server) setNow(key, value []byte) error {
	batch, err := s.newBatch()
	if err != nil {
		return err
	}
	if err := batch.Set(key, value, nil); err != nil {
		return err
	}
	return s.commitNow(batch)
}

// noteAcked notes that all entries of the log before the one with the number end are on disk.
func (s *Server) noteAcked(end uint64) {
	for acked := s.acked.Load(); acked < end && !s.acked.CompareAndSwap(acked, end); {
		acked = s.acked.Load()
	}
}

// awaitSeen returns when all is on disk that could be seen when it was called. It costs nothing while no write is under way.
func (s *Server) awaitSeen() error {
	if s.unsynced.Load() == 0 {
		return nil
	}
	return s.syncLog()
}

// syncLog returns when all that was written to the log before is on disk.
func (s *Server) syncLog() error {
	if s.options.Memory {
		return nil
	}
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("sync the log: %w", err)
	}
	return nil
}
