package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble takes a record that it cannot read for the end of its file, both in the MANIFEST, which says which files the data is in, and
// within the last block of the log of writes: it would serve what stands before, and delete the files of the rest. So both are read
// here first. A record that cannot be read may be the last one, which a crash tore; one that was followed by others, or that was
// acknowledged according to a later one (checklogs.go), is damage.

// ErrDamaged says that files of the data folder are not as they were written. Nothing in the folder was changed.
var ErrDamaged = errors.New("the data is damaged; restore a backup, into another folder")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// checkFiles returns an error if the store in the folder would open as less than was written.
func checkFiles(disk vfs.FS, dir string) error {
	if err := checkClosed(disk, dir); err != nil {
		return err
	}
	m, err := readManifest(disk, dir)
	if err != nil {
		return err
	}
	last, found, err := readStarts(disk, dir)
	if err != nil {
		return err
	}
	if found && !last.Opening {
		first := m.oldest
		if first == last.Oldest {
			first = last.FirstLog
		}
		switch {
		case m.oldest < last.Oldest:
			return damaged("the end of %s is missing", m.name)
		case m.logs[first] == "":
			return damaged("%06d.log is missing", first)
		}
	}
	return checkLogs(disk, dir, m)
}

// manifest is what a MANIFEST says of the logs.
type manifest struct {
	name   string            // "" in a new folder
	oldest uint64            // the number from which on logs have rows that are in no other file
	logs   map[uint64]string // those that are there
}

// firstLog returns the number of the first log with rows that are in no other file.
func (m *manifest) firstLog() uint64 {
	first := uint64(0)
	for number := range m.logs {
		if number >= m.oldest && (first == 0 || number < first) {
			first = number
		}
	}
	return first
}

func readManifest(disk vfs.FS, dir string) (*manifest, error) {
	names, err := disk.List(dir)
	if err != nil {
		return nil, err
	}
	store, err := pebble.Peek(dir, disk)
	if err != nil {
		return nil, err
	}
	m := &manifest{logs: map[uint64]string{}}
	for _, name := range names {
		if digits, isLog := strings.CutSuffix(name, ".log"); isLog {
			number, err := strconv.ParseUint(digits, 10, 64)
			if err != nil {
				return nil, damaged("%s is no log", name)
			}
			m.logs[number] = name
		}
		if !store.Exists && (strings.HasSuffix(name, ".log") || strings.HasSuffix(name, ".sst")) {
			return nil, damaged("there is %s, but nothing says which MANIFEST it belongs to", name)
		}
	}
	if store.Exists {
		m.name = disk.PathBase(store.ManifestFilename)
		m.oldest, err = checkManifest(disk, store.ManifestFilename)
	}
	return m, err
}

// The parts of Pebble's record format. A file consists of blocks, and a block of chunks, each with a header: checksum of the rest, 4
// bytes; length of the payload, 2; kind, 1.
const (
	blockSize   = 32 << 10
	chunkHeader = 7

	chunkFull, chunkFirst, chunkLast = 1, 2, 4

	checksumDelta uint32 = 0xa282ead8

	// The start of a record of the MANIFEST: the name of the order of keys in the first one, then the oldest log.
	tagComparer, tagLogNumber, maxEditHead = 1, 2, 256
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunkAt returns the size of the chunk at the start of buf, 0 if there is none that is sound.
func chunkAt(buf []byte, header int, firstKind, lastKind byte) int {
	if len(buf) < header || buf[6] < firstKind || buf[6] > lastKind {
		return 0
	}
	size := header + int(binary.LittleEndian.Uint16(buf[4:]))
	if size > len(buf) {
		return 0
	}
	sum := crc32.Checksum(buf[6:size], castagnoli)
	if binary.LittleEndian.Uint32(buf) != sum>>15|sum<<17+checksumDelta {
		return 0
	}
	return size
}

// checkManifest returns the number of the oldest log whose rows are in no other file.
func checkManifest(disk vfs.FS, path string) (oldest uint64, err error) {
	torn := int64(-1)
	err = eachBlock(disk, path, func(start int64, block []byte) error {
		at := 0
		for torn < 0 && len(block)-at >= chunkHeader {
			size := chunkAt(block[at:], chunkHeader, chunkFull, chunkLast)
			if size == 0 {
				torn = start + int64(at)
			}
			at += size
		}
		for ; torn >= 0 && len(block)-at >= chunkHeader; at++ {
			// Each record is synced before the next one is written.
			if chunkAt(block[at:], chunkHeader, chunkFull, chunkFirst) > 0 {
				return damaged("%s cannot be read at byte %d", disk.PathBase(path), torn)
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, damaged("%s is missing", disk.PathBase(path))
	}
	if err != nil {
		return 0, err
	}
	f, err := disk.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for records := record.NewReader(f, 0); ; {
		r, err := records.Next()
		if errors.Is(err, io.EOF) || record.IsInvalidRecord(err) {
			return oldest, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", path, err)
		}
		head, err := io.ReadAll(io.LimitReader(r, maxEditHead))
		if err != nil {
			return oldest, nil //nolint:nilerr // torn, as above
		}
		if n := logNumberOf(head); n > 0 {
			oldest = n
		}
	}
}

// logNumberOf returns the number of the oldest log with rows in no other file from the start of a record of the MANIFEST, 0 if the
// record does not change it.
func logNumberOf(record []byte) uint64 {
	tag, n := binary.Uvarint(record)
	if tag == tagComparer {
		size, k := binary.Uvarint(record[max(n, 0):])
		if k <= 0 || size > uint64(len(record)-n-k) {
			return 0
		}
		record = record[n+k+int(size):]
		tag, n = binary.Uvarint(record)
	}
	if tag != tagLogNumber {
		return 0
	}
	number, _ := binary.Uvarint(record[n:])
	return number
}

// eachBlock calls f with the blocks of a file.
func eachBlock(disk vfs.FS, path string, f func(start int64, block []byte) error) error {
	file, err := disk.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	block := make([]byte, blockSize)
	for start := int64(0); ; start += blockSize {
		n, err := io.ReadFull(file, block)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if err := f(start, block[:n]); err != nil {
			return err
		}
	}
}
