package local

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A crash may leave the end of the log of writes with holes, as blocks that were not synced get to the disk in any order. So a record
// that cannot be read is damage only if it was acknowledged, which the records after it tell: Pebble gives its entries ascending
// numbers, and a write begins with those that had been acknowledged when it was made ([Server.newBatch]). The chunks of Pebble's format
// tell what was on disk before them, too. That alone would miss much: it leaves out what was written as whole blocks, and often the
// write that was acknowledged last.

const (
	// The header of a chunk of a log has after that of other files the number of the log, 4 bytes, and up to where it was on disk, 8.
	logChunkHeader = chunkHeader + 4 + 8

	logChunkFull, logChunkFirst, logChunkLast = 9, 10, 12

	// The first entry of a write is one that only the log has: its kind, the length of a number, the number.
	ackedSize = 8
	ackedEnd  = batchrepr.HeaderLen + 2 + ackedSize
)

// logReader reads the logs of a folder, the oldest first.
type logReader struct {
	name   string
	number []byte // as in the chunks of the log: a file that is used again still has those of its last log

	// The first place that cannot be read, if torn is not "".
	torn   string // the name of the log
	tornAt int64

	// The number of the first entry that is not in a record that was read, of the one after the record that begins, and of the first
	// entry after the torn place. 0, which no entry has, says that it is not known.
	end, next, after uint64
}

// checkLogs reads the logs of writes whose rows are in no other file.
func checkLogs(disk vfs.FS, dir string, m *manifest) error {
	r := logReader{}
	for _, number := range slices.Sorted(maps.Keys(m.logs)) {
		if number < m.oldest {
			continue
		}
		r.name, r.number = m.logs[number], binary.LittleEndian.AppendUint32(nil, uint32(number))
		if err := eachBlock(disk, disk.PathJoin(dir, r.name), r.read); err != nil {
			return err
		}
	}
	return nil
}

// read reads the block of the log that begins at byte start.
func (r *logReader) read(start int64, block []byte) error {
	at := 0
	for r.torn == "" && len(block)-at >= logChunkHeader {
		size := chunkAt(block[at:], logChunkHeader, logChunkFull, logChunkLast)
		if size == 0 || !bytes.HasPrefix(block[at+chunkHeader:], r.number) {
			r.torn, r.tornAt = r.name, start+int64(at)
			break
		}
		r.follow(block[at : at+size])
		at += size
	}
	for ; r.torn != ""; at++ {
		i := bytes.Index(block[min(at+chunkHeader, len(block)):], r.number)
		if i < 0 {
			return nil
		}
		at += i
		size := chunkAt(block[at:], logChunkHeader, logChunkFull, logChunkLast)
		if size > 0 && r.tornWasAcknowledged(block[at:at+size]) {
			return damaged("%s cannot be read at byte %d, which was on disk when byte %d of %s was written",
				r.torn, r.tornAt, start+int64(at), r.name)
		}
	}
	return nil
}

// follow takes note of a chunk before which all could be read.
func (r *logReader) follow(chunk []byte) {
	kind := chunk[6]
	if kind == logChunkFull || kind == logChunkFirst {
		r.next = 0
		if h, ok := batchrepr.ReadHeader(chunk[logChunkHeader:]); ok {
			r.end, r.next = uint64(h.SeqNum), uint64(h.SeqNum)+uint64(h.Count)
		}
	}
	if kind == logChunkFull || kind == logChunkLast {
		r.end = r.next
	}
}

// tornWasAcknowledged reports whether a chunk after the torn place tells that what was there had been acknowledged.
func (r *logReader) tornWasAcknowledged(chunk []byte) bool {
	if r.torn == r.name && int64(binary.LittleEndian.Uint64(chunk[logChunkHeader-8:])) > r.tornAt {
		return true
	}
	if kind := chunk[6]; kind != logChunkFull && kind != logChunkFirst {
		return false
	}
	record := chunk[logChunkHeader:]
	h, ok := batchrepr.ReadHeader(record)
	if !ok {
		return false
	}
	if r.after == 0 {
		r.after = uint64(h.SeqNum)
	}
	if len(record) < ackedEnd || record[batchrepr.HeaderLen] != byte(pebble.InternalKeyKindLogData) || record[batchrepr.HeaderLen+1] != ackedSize {
		return false
	}
	acked := binary.LittleEndian.Uint64(record[ackedEnd-ackedSize:])
	return r.end > 0 && acked > r.end || acked >= r.after
}
