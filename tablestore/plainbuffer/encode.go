package plainbuffer

import "encoding/binary"

// Encode returns the buffer that holds rows: nil for none.
func Encode(rows ...Row) []byte {
	if len(rows) == 0 {
		return nil
	}
	size := HeaderSize
	for i := range rows {
		size += RowSize(&rows[i])
	}
	dst := AppendHeader(make([]byte, 0, size))
	for i := range rows {
		dst = AppendRow(dst, &rows[i])
	}
	return dst
}

// AppendHeader appends the header of a buffer.
func AppendHeader(dst []byte) []byte {
	return binary.LittleEndian.AppendUint32(dst, Header)
}

// AppendRow appends a row without header.
func AppendRow(dst []byte, row *Row) []byte {
	e := RowEncoder{Dst: dst}
	e.PrimaryKey()
	for i := range row.PrimaryKey {
		e.Cell(&row.PrimaryKey[i])
	}
	if len(row.Attributes) > 0 {
		e.Attributes()
		for i := range row.Attributes {
			e.Cell(&row.Attributes[i])
		}
	}
	e.End(row.Deleted)
	return e.Dst
}

// RowSize returns the number of bytes that [AppendRow] appends.
func RowSize(row *Row) int {
	n := 1 + 2
	for i := range row.PrimaryKey {
		n += CellSize(&row.PrimaryKey[i])
	}
	if len(row.Attributes) > 0 {
		n++
		for i := range row.Attributes {
			n += CellSize(&row.Attributes[i])
		}
	}
	if row.Deleted {
		n++
	}
	return n
}

// CellSize returns the number of bytes that [AppendCell] appends.
func CellSize(c *Cell) int {
	n := 1 + 1 + 4 + len(c.Name) + 2
	if c.HasValue {
		n += 1 + 4 + valueSize(c.Value)
	}
	if c.Op != Put {
		n += 2
	}
	if c.HasTimestamp {
		n += 9
	}
	return n
}

// valueSize is the size of a value from its type byte on.
func valueSize(v Value) int {
	switch v.Type {
	case Integer, Double:
		return 1 + 8
	case Boolean:
		return 1 + 1
	case String, Blob:
		return 1 + 4 + len(v.Bytes)
	}
	return 1
}

// AppendValue appends a value from its type byte on, as filters carry it.
func AppendValue(dst []byte, v Value) []byte {
	dst = append(dst, byte(v.Type))
	switch v.Type {
	case Integer, Double:
		return binary.LittleEndian.AppendUint64(dst, v.Num)
	case Boolean:
		return append(dst, byte(v.Num))
	case String, Blob:
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v.Bytes)))
		return append(dst, v.Bytes...)
	}
	return dst
}

// valueCRC continues crc over a value from its type byte on.
func valueCRC(crc byte, v Value) byte {
	crc = crcByte(crc, byte(v.Type))
	switch v.Type {
	case Integer, Double:
		return crcUint64(crc, v.Num)
	case Boolean:
		return crcByte(crc, byte(v.Num))
	case String, Blob:
		crc = crcUint32(crc, uint32(len(v.Bytes)))
		return CRC8(crc, v.Bytes)
	}
	return crc
}

// AppendCell appends a cell; its last byte is its checksum.
func AppendCell(dst []byte, c *Cell) []byte {
	dst = append(dst, tagCell, tagCellName)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(c.Name)))
	dst = append(dst, c.Name...)
	crc := CRC8(0, c.Name)
	if c.HasValue {
		dst = append(dst, tagCellValue)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(valueSize(c.Value)))
		dst = AppendValue(dst, c.Value)
		crc = valueCRC(crc, c.Value)
	}
	// On the wire the operation comes before the timestamp, in the checksum after it.
	if c.Op != Put {
		dst = append(dst, tagCellOp, byte(c.Op))
	}
	if c.HasTimestamp {
		dst = append(dst, tagCellTime)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.Timestamp))
		crc = crcUint64(crc, uint64(c.Timestamp))
	}
	if c.Op != Put {
		crc = crcByte(crc, byte(c.Op))
	}
	return append(dst, tagCellChecksum, crc)
}

// RowEncoder writes one row piece by piece to Dst: PrimaryKey, its cells, Attributes (only if there are any), their cells, End.
type RowEncoder struct {
	Dst []byte
	crc byte
}

// PrimaryKey opens the primary key.
func (e *RowEncoder) PrimaryKey() { e.Dst = append(e.Dst, tagPrimaryKey) }

// Attributes opens the attributes.
func (e *RowEncoder) Attributes() { e.Dst = append(e.Dst, tagAttributes) }

// Cell writes a cell.
func (e *RowEncoder) Cell(c *Cell) {
	e.Dst = AppendCell(e.Dst, c)
	e.crc = crcByte(e.crc, e.Dst[len(e.Dst)-1])
}

// EncodedCell writes a cell that is encoded already, as [AppendCell] makes it and [Cell.Encoded] holds it. It must not be empty.
func (e *RowEncoder) EncodedCell(cell []byte) {
	e.Dst = append(e.Dst, cell...)
	e.crc = crcByte(e.crc, cell[len(cell)-1])
}

// End closes the row, with a delete marker if deleted, and makes the encoder ready for the next one.
func (e *RowEncoder) End(deleted bool) {
	marker := byte(0)
	if deleted {
		e.Dst = append(e.Dst, tagDeleteMarker)
		marker = 1
	}
	e.Dst = append(e.Dst, tagRowChecksum, crcByte(e.crc, marker))
	e.crc = 0
}
