package plainbuffer

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrChecksum says that a cell or a row does not match its checksum: the buffer was damaged after it was encoded.
var ErrChecksum = errors.New("plainbuffer: checksum mismatch")

// ErrMalformed says that a buffer breaks the grammar of PlainBuffer, or ends before it should.
var ErrMalformed = errors.New("plainbuffer: malformed buffer")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Decode returns the rows of a buffer; none for an empty one.
func Decode(buf []byte) ([]Row, error) {
	d, err := NewDecoder(buf)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for d.More() {
		var row Row
		if err := d.Next(&row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// DecodeRow reads a buffer that holds exactly one row into row, reusing its slices.
func DecodeRow(buf []byte, row *Row) error {
	d, err := NewDecoder(buf)
	if err != nil {
		return err
	}
	if !d.More() {
		return malformed("no row")
	}
	if err := d.Next(row); err != nil {
		return err
	}
	if d.More() {
		return malformed("more than one row")
	}
	return nil
}

// Decoder reads the rows of a buffer one by one. Checksums are verified.
type Decoder struct {
	// MaxCells is how many cells the primary key and the attributes of a row may have, each; 0 for any number.
	MaxCells int

	r reader
}

// NewDecoder starts to read buf, whose header must be right.
func NewDecoder(buf []byte) (*Decoder, error) {
	d := &Decoder{r: reader{buf: buf, verify: true}}
	if len(buf) == 0 {
		return d, nil
	}
	h, ok := d.r.uint32()
	if !ok || h != Header {
		return nil, malformed("wrong header")
	}
	return d, nil
}

// More reports whether another row follows.
func (d *Decoder) More() bool { return d.r.pos < len(d.r.buf) }

// Rest returns the bytes that were not read yet.
func (d *Decoder) Rest() []byte { return d.r.buf[d.r.pos:] }

// Next reads a row into row, reusing its slices.
func (d *Decoder) Next(row *Row) error {
	r := &d.r
	row.PrimaryKey = row.PrimaryKey[:0]
	row.Attributes = row.Attributes[:0]
	row.Deleted = false
	var crc byte
	var err error
	tag, ok := r.byte()
	if ok && tag == tagPrimaryKey {
		if row.PrimaryKey, crc, err = r.cells(row.PrimaryKey, crc, d.MaxCells); err != nil {
			return err
		}
		tag, ok = r.byte()
	}
	if ok && tag == tagAttributes {
		if row.Attributes, crc, err = r.cells(row.Attributes, crc, d.MaxCells); err != nil {
			return err
		}
		tag, ok = r.byte()
	}
	marker := byte(0)
	if ok && tag == tagDeleteMarker {
		row.Deleted, marker = true, 1
		tag, ok = r.byte()
	}
	if ok && tag == tagExtension {
		// Its content is undocumented, but it says its own length and no checksum covers it.
		n, fine := r.uint32()
		if !fine || !r.skip(n) {
			return malformed("row extension exceeds the buffer")
		}
		tag, ok = r.byte()
	}
	if !ok || tag != tagRowChecksum {
		return malformed("row checksum expected at byte %d", r.pos)
	}
	sum, ok := r.byte()
	if !ok {
		return malformed("row checksum is missing")
	}
	if r.verify && sum != crcByte(crc, marker) {
		return fmt.Errorf("row: %w", ErrChecksum)
	}
	return nil
}

// DecodeCell reads the cell at the start of buf, which this program encoded itself: its checksum is not verified. It returns the
// bytes after the cell.
func DecodeCell(buf []byte, c *Cell) (rest []byte, err error) {
	r := reader{buf: buf}
	*c = Cell{}
	if r.peek() != tagCell {
		return nil, malformed("cell expected")
	}
	if err := r.cell(c); err != nil {
		return nil, err
	}
	return buf[r.pos:], nil
}

// DecodeValue reads a value from its type byte on, as filters carry it; it must fill buf.
func DecodeValue(buf []byte) (Value, error) {
	r := reader{buf: buf}
	return r.value(len(buf))
}

type reader struct {
	buf    []byte
	pos    int
	verify bool
}

func (r *reader) byte() (byte, bool) {
	if r.pos >= len(r.buf) {
		return 0, false
	}
	b := r.buf[r.pos]
	r.pos++
	return b, true
}

func (r *reader) peek() byte {
	if r.pos >= len(r.buf) {
		return 0
	}
	return r.buf[r.pos]
}

func (r *reader) uint32() (uint32, bool) {
	if len(r.buf)-r.pos < 4 {
		return 0, false
	}
	n := binary.LittleEndian.Uint32(r.buf[r.pos:])
	r.pos += 4
	return n, true
}

func (r *reader) uint64() (uint64, bool) {
	if len(r.buf)-r.pos < 8 {
		return 0, false
	}
	n := binary.LittleEndian.Uint64(r.buf[r.pos:])
	r.pos += 8
	return n, true
}

func (r *reader) skip(n uint32) bool {
	if uint64(n) > uint64(len(r.buf)-r.pos) {
		return false
	}
	r.pos += int(n)
	return true
}

// bytes returns the next n bytes, without room to append to them.
func (r *reader) bytes(n uint32) ([]byte, bool) {
	start := r.pos
	if !r.skip(n) {
		return nil, false
	}
	return r.buf[start:r.pos:r.pos], true
}

func (r *reader) cells(dst []Cell, rowCRC byte, most int) ([]Cell, byte, error) {
	for r.peek() == tagCell {
		if most > 0 && len(dst) == most {
			return dst, 0, malformed("more than %d cells", most)
		}
		dst = append(dst, Cell{})
		c := &dst[len(dst)-1]
		if err := r.cell(c); err != nil {
			return dst, 0, err
		}
		rowCRC = crcByte(rowCRC, c.Encoded[len(c.Encoded)-1])
	}
	return dst, rowCRC, nil
}

func (r *reader) cell(c *Cell) error {
	start := r.pos
	r.pos++ // tagCell, seen by the caller
	tag, _ := r.byte()
	if tag != tagCellName {
		return malformed("cell name expected at byte %d", r.pos)
	}
	n, ok := r.uint32()
	if ok {
		c.Name, ok = r.bytes(n)
	}
	if !ok {
		return malformed("cell name exceeds the buffer")
	}
	var crc byte
	if r.verify {
		crc = CRC8(0, c.Name)
	}
	if r.peek() == tagCellValue {
		r.pos++
		n, ok := r.uint32()
		if !ok || uint64(n) > uint64(len(r.buf)-r.pos) {
			return malformed("value of cell %.40q exceeds the buffer", c.Name)
		}
		raw := r.buf[r.pos : r.pos+int(n)]
		var err error
		if c.Value, err = r.value(int(n)); err != nil {
			return err
		}
		c.HasValue = true
		if r.verify {
			crc = CRC8(crc, raw)
		}
	}
	if r.peek() == tagCellOp {
		r.pos++
		op, ok := r.byte()
		if !ok || (op != byte(DeleteAllVersion) && op != byte(DeleteOneVersion) && op != byte(Increment)) {
			return malformed("unknown operation %d on cell %.40q", op, c.Name)
		}
		c.Op = Op(op)
	}
	if r.peek() == tagCellTime {
		r.pos++
		t, ok := r.uint64()
		if !ok {
			return malformed("timestamp of cell %.40q exceeds the buffer", c.Name)
		}
		c.HasTimestamp, c.Timestamp = true, int64(t)
		if r.verify {
			crc = crcUint64(crc, t)
		}
	}
	if c.Op != Put && r.verify {
		crc = crcByte(crc, byte(c.Op))
	}
	tag, _ = r.byte()
	sum, ok := r.byte()
	if tag != tagCellChecksum || !ok {
		return malformed("checksum of cell %.40q expected at byte %d", c.Name, r.pos)
	}
	if r.verify && sum != crc {
		return fmt.Errorf("cell %.40q: %w", c.Name, ErrChecksum)
	}
	c.Encoded = r.buf[start:r.pos:r.pos]
	return nil
}

// value reads a value of n bytes, type byte included.
func (r *reader) value(n int) (Value, error) {
	end := r.pos + n
	t, ok := r.byte()
	if n < 1 || !ok {
		return Value{}, malformed("value without type")
	}
	v := Value{Type: Type(t)}
	switch v.Type {
	case Integer, Double:
		v.Num, ok = r.uint64()
	case Boolean:
		var b byte
		b, ok = r.byte()
		v.Num = uint64(b)
	case String, Blob:
		var size uint32
		if size, ok = r.uint32(); ok {
			v.Bytes, ok = r.bytes(size)
		}
	case Null, InfMin, InfMax, AutoIncrement:
	default:
		return Value{}, malformed("unknown value type %d", t)
	}
	if !ok || r.pos != end {
		return Value{}, malformed("%s does not fill its length of %d bytes", v.Type, n)
	}
	return v, nil
}
