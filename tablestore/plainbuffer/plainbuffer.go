// Package plainbuffer reads and writes PlainBuffer, the row encoding of Tablestore requests and responses.
//
// A buffer is a header followed by rows; a row is primary key cells, attribute cells, an optional delete marker and a checksum over
// the checksums of its cells:
//
//	buffer = u32 0x75, row*
//	row    = [0x01 cell*] [0x02 cell*] [0x08] [0x0B extension] 0x09 u8
//	cell   = 0x03 name [value] [0x06 u8 op] [0x07 i64 ms] 0x0A u8
//	name   = 0x04 i32 len, bytes
//	value  = 0x05 i32 n, u8 type, payload
//
// All integers are little-endian. An empty buffer means no row.
//
// # Caveats
//
// Decoding copies nothing: names and values alias the input, which must stay unchanged while a decoded [Row] is in use.
// Encoding trusts its caller: it writes the row it is given, valid for the service or not.
package plainbuffer

import (
	"bytes"
	"fmt"
	"math"
)

// Header opens every buffer that holds a row.
const Header uint32 = 0x75

// HeaderSize is the encoded size of [Header].
const HeaderSize = 4

const (
	tagPrimaryKey   = 0x01
	tagAttributes   = 0x02
	tagCell         = 0x03
	tagCellName     = 0x04
	tagCellValue    = 0x05
	tagCellOp       = 0x06
	tagCellTime     = 0x07
	tagDeleteMarker = 0x08
	tagRowChecksum  = 0x09
	tagCellChecksum = 0x0A
	tagExtension    = 0x0B
)

// Type is the type of a value, by its code on the wire.
type Type byte

// The types of values. InfMin and InfMax are the ends of a range of primary keys; AutoIncrement asks the service for a value.
const (
	Integer       Type = 0
	Double        Type = 1
	Boolean       Type = 2
	String        Type = 3
	Null          Type = 6
	Blob          Type = 7
	InfMin        Type = 9
	InfMax        Type = 0x0A
	AutoIncrement Type = 0x0B
)

// String returns the name by which the service's messages call the type.
func (t Type) String() string {
	switch t {
	case Integer:
		return "VT_INTEGER"
	case Double:
		return "VT_DOUBLE"
	case Boolean:
		return "VT_BOOLEAN"
	case String:
		return "VT_STRING"
	case Null:
		return "VT_NULL"
	case Blob:
		return "VT_BLOB"
	case InfMin:
		return "VT_INF_MIN"
	case InfMax:
		return "VT_INF_MAX"
	case AutoIncrement:
		return "VT_AUTO_INCREMENT"
	}
	return fmt.Sprintf("VT_UNKNOWN(%d)", byte(t))
}

// Op is what an UpdateRow does with a column. Responses must not carry one: the Python and Node SDKs fail on it.
type Op byte

// The operations on a column. Put is the absence of an operation on the wire.
const (
	Put              Op = 0
	DeleteAllVersion Op = 1
	DeleteOneVersion Op = 3
	Increment        Op = 4
)

// Value is a typed value. Num holds an INTEGER, the bits of a DOUBLE, or 0 and 1 for a BOOLEAN; Bytes a STRING or a BLOB.
type Value struct {
	Type  Type
	Num   uint64
	Bytes []byte
}

// IntegerValue returns an INTEGER.
func IntegerValue(n int64) Value { return Value{Type: Integer, Num: uint64(n)} }

// DoubleValue returns a DOUBLE.
func DoubleValue(f float64) Value { return Value{Type: Double, Num: math.Float64bits(f)} }

// BooleanValue returns a BOOLEAN.
func BooleanValue(b bool) Value {
	if b {
		return Value{Type: Boolean, Num: 1}
	}
	return Value{Type: Boolean}
}

// StringValue returns a STRING.
func StringValue(s string) Value { return Value{Type: String, Bytes: []byte(s)} }

// BlobValue returns a BLOB that aliases b.
func BlobValue(b []byte) Value { return Value{Type: Blob, Bytes: b} }

// Int returns the number of an INTEGER.
func (v Value) Int() int64 { return int64(v.Num) }

// Float returns the number of a DOUBLE.
func (v Value) Float() float64 { return math.Float64frombits(v.Num) }

// Bool returns the truth of a BOOLEAN.
func (v Value) Bool() bool { return v.Num != 0 }

// Equal reports whether v and w have the same type and the same content, bit by bit.
func (v Value) Equal(w Value) bool {
	return v.Type == w.Type && v.Num == w.Num && bytes.Equal(v.Bytes, w.Bytes)
}

// Size returns the number of payload bytes by which the service accounts the value: 8 for numbers, 1 for a BOOLEAN, the length of a
// STRING or BLOB, 0 for the rest.
func (v Value) Size() int {
	switch v.Type {
	case Integer, Double:
		return 8
	case Boolean:
		return 1
	case String, Blob:
		return len(v.Bytes)
	}
	return 0
}

// Cell is one version of a column, or a primary key column.
type Cell struct {
	Name         []byte
	Value        Value
	HasValue     bool
	Op           Op
	HasTimestamp bool
	Timestamp    int64 // ms since 1970

	// Encoded is the cell as it stood in the decoded buffer, from its tag to its checksum (the last byte). Encoders ignore it,
	// except [RowEncoder.EncodedCell], which takes it whole.
	Encoded []byte
}

// NewCell returns a cell with a value and without timestamp.
func NewCell(name string, value Value) Cell {
	return Cell{Name: []byte(name), Value: value, HasValue: true}
}

// At returns the cell with the timestamp ms.
func (c Cell) At(ms int64) Cell {
	c.HasTimestamp, c.Timestamp = true, ms
	return c
}

// Row is a primary key with its attribute cells. Deleted is the delete marker, by which a DeleteRow is told from other rows.
type Row struct {
	PrimaryKey []Cell
	Attributes []Cell
	Deleted    bool
}

// Get returns the first attribute cell called name (the newest version, in answers of the service), or nil.
func (r *Row) Get(name string) *Cell {
	for i := range r.Attributes {
		if string(r.Attributes[i].Name) == name {
			return &r.Attributes[i]
		}
	}
	return nil
}
