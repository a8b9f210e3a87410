package local

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// inlineLimit is the encoded size from which a cell is stored under a key of its own, so that writing a small column of a row does not
// write its large ones again.
const inlineLimit = 32 << 10

const (
	rowFormat = 1 // first byte of a stored row

	rowHasMarker = 1 // flag: the row exists without columns since a timestamp that follows

	// refTag stands where an inline cell has its tag.
	refTag = 0xF0
)

// storedCell is a version of a column. A large one knows where its bytes are: Encoded and the value are empty until they are loaded.
type storedCell struct {
	plainbuffer.Cell
	blob uint64 // number of the large value, 0 for none
	size int    // of the value, as the service accounts it
}

// footprint is about how many bytes the cell takes in the store.
func (c *storedCell) footprint() int { return len(c.Name) + c.size + versionSize }

// row is what is stored of a row but its primary key. Cells are sorted by name, then newest first.
type row struct {
	hasMarker bool
	marker    int64 // when a row without columns was put, ms
	cells     []storedCell
}

func (r *row) reset() {
	r.hasMarker, r.marker, r.cells = false, 0, r.cells[:0]
}

var errDamagedRow = errors.New("stored row is damaged")

// decode reads a stored row; names and values alias buf.
func (r *row) decode(buf []byte) error {
	r.reset()
	if len(buf) < 2 || buf[0] != rowFormat {
		return errDamagedRow
	}
	flags := buf[1]
	buf = buf[2:]
	if flags&rowHasMarker != 0 {
		if len(buf) < 8 {
			return errDamagedRow
		}
		r.hasMarker, r.marker = true, int64(binary.LittleEndian.Uint64(buf))
		buf = buf[8:]
	}
	for len(buf) > 0 {
		r.cells = append(r.cells, storedCell{})
		c := &r.cells[len(r.cells)-1]
		var err error
		if buf[0] == refTag {
			buf, err = c.decodeRef(buf[1:])
		} else {
			buf, err = plainbuffer.DecodeCell(buf, &c.Cell)
			c.size = c.Value.Size()
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errDamagedRow, err)
		}
	}
	return nil
}

func (c *storedCell) decodeRef(buf []byte) ([]byte, error) {
	n, k := binary.Uvarint(buf)
	if k <= 0 || n > uint64(len(buf)-k) || uint64(len(buf)-k)-n < 1+8+4+8 {
		return nil, errDamagedRow
	}
	c.Name = buf[k : k+int(n) : k+int(n)]
	buf = buf[k+int(n):]
	c.HasValue, c.HasTimestamp = true, true
	c.Value.Type = plainbuffer.Type(buf[0])
	c.Timestamp = int64(binary.LittleEndian.Uint64(buf[1:]))
	c.size = int(binary.LittleEndian.Uint32(buf[9:]))
	c.blob = binary.LittleEndian.Uint64(buf[13:])
	return buf[21:], nil
}

// appendTo appends the row as it is stored. Cells that are to stand elsewhere have a blob number.
func (r *row) appendTo(dst []byte) []byte {
	dst = append(dst, rowFormat)
	if r.hasMarker {
		dst = append(dst, rowHasMarker)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(r.marker))
	} else {
		dst = append(dst, 0)
	}
	for i := range r.cells {
		c := &r.cells[i]
		if c.blob == 0 {
			dst = append(dst, c.Encoded...)
			continue
		}
		dst = append(dst, refTag)
		dst = binary.AppendUvarint(dst, uint64(len(c.Name)))
		dst = append(dst, c.Name...)
		dst = append(dst, byte(c.Value.Type))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Timestamp))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(c.size))
		dst = binary.LittleEndian.AppendUint64(dst, c.blob)
	}
	return dst
}

// storedSize is the number of bytes that appendTo appends.
func (r *row) storedSize() int {
	n := 2
	if r.hasMarker {
		n += 8
	}
	for i := range r.cells {
		c := &r.cells[i]
		if c.blob == 0 {
			n += len(c.Encoded)
			continue
		}
		n += 1 + len(binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64), uint64(len(c.Name)))) + len(c.Name) + 1 + 8 + 4 + 8
	}
	return n
}

// find returns where the version ts of the column name stands, or would.
func (r *row) find(name []byte, ts int64) (int, bool) {
	return slices.BinarySearchFunc(r.cells, ts, func(c storedCell, ts int64) int {
		if d := bytes.Compare(c.Name, name); d != 0 {
			return d
		}
		switch {
		case c.Timestamp > ts:
			return -1
		case c.Timestamp < ts:
			return 1
		}
		return 0
	})
}

// versions returns the bounds of the column's versions.
func (r *row) versions(name []byte) (from, to int) {
	from, _ = slices.BinarySearchFunc(r.cells, name, func(c storedCell, name []byte) int {
		if d := bytes.Compare(c.Name, name); d != 0 {
			return d
		}
		return 1
	})
	for to = from; to < len(r.cells) && bytes.Equal(r.cells[to].Name, name); to++ {
	}
	return from, to
}

// put sets a version of a column. The cell has a timestamp and is not yet encoded.
func (r *row) put(cell plainbuffer.Cell) {
	c := storedCell{Cell: cell, size: cell.Value.Size()}
	c.Op = plainbuffer.Put
	c.Encoded = plainbuffer.AppendCell(make([]byte, 0, plainbuffer.CellSize(&c.Cell)), &c.Cell)
	i, found := r.find(cell.Name, cell.Timestamp)
	if found {
		r.cells[i] = c
	} else {
		r.cells = slices.Insert(r.cells, i, c)
	}
}

// trimmed is what a row lost that no read could see any more.
type trimmed struct {
	cells int
	bytes int // about
}

// trim removes what no read can see any more: expired cells and surplus versions.
func (r *row) trim(o *tableOptions, now int64) (removed trimmed) {
	if r.hasMarker && o.expired(r.marker, now) {
		r.hasMarker = false
		removed.cells++
		removed.bytes += 8
	}
	kept := r.cells[:0]
	seen := 0
	for i := range r.cells {
		if i == 0 || !bytes.Equal(r.cells[i].Name, r.cells[i-1].Name) {
			seen = 0
		}
		seen++
		if seen <= int(o.maxVersions) && !o.expired(r.cells[i].Timestamp, now) {
			kept = append(kept, r.cells[i])
		} else {
			removed.cells++
			removed.bytes += r.cells[i].footprint()
		}
	}
	r.cells = kept
	return removed
}

// exists reports whether a read can see the row. It must have been trimmed.
func (r *row) exists() bool { return r.hasMarker || len(r.cells) > 0 }
