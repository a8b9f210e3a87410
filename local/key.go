package local

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// Keys in Pebble, in its byte order:
//
//	'b' table id, number        → a large value: an encoded cell
//	'm' name                    → a table's description
//	'r' table id, primary key   → a row
//	's'                         → the number of times the folder was opened
//
// Ids and numbers are 8 bytes, big-endian. Each primary key column starts with a rank, which puts the two infinities around the values.
const (
	prefixBlob  = 'b'
	prefixTable = 'm'
	prefixRow   = 'r'
	keyStarts   = "s"
)

const (
	rankInfMin = 0x00
	rankValue  = 0x01
	rankInfMax = 0xFF
)

// Bytes of a STRING or BINARY key are followed by 0x00 0x01, and a zero byte within them is written as 0x00 0xFF, so that keys sort as
// their bytes do, the shorter of two with a common start first.
const (
	escape     = 0x00
	terminator = 0x01
	escapedNul = 0xFF
)

func blobKey(table, number uint64) []byte {
	key := append(make([]byte, 0, 17), prefixBlob)
	key = binary.BigEndian.AppendUint64(key, table)
	return binary.BigEndian.AppendUint64(key, number)
}

func tableKey(name string) []byte { return append([]byte{prefixTable}, name...) }

// tablePrefix is what all keys of one kind in a table start with.
func tablePrefix(kind byte, table uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, table)
}

// prefixEnd returns the first key after all those that start with prefix.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// appendRowKey appends the key of the row with the primary key pk, whose types were checked.
func appendRowKey(dst []byte, table uint64, pk []plainbuffer.Cell) []byte {
	dst = append(dst, prefixRow)
	dst = binary.BigEndian.AppendUint64(dst, table)
	for i := range pk {
		v := &pk[i].Value
		switch v.Type {
		case plainbuffer.InfMin:
			dst = append(dst, rankInfMin)
		case plainbuffer.InfMax:
			dst = append(dst, rankInfMax)
		case plainbuffer.Integer:
			dst = append(dst, rankValue)
			dst = binary.BigEndian.AppendUint64(dst, v.Num^(1<<63))
		default:
			dst = append(dst, rankValue)
			dst = appendEscaped(dst, v.Bytes)
		}
	}
	return dst
}

func appendEscaped(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			dst = append(dst, b...)
			return append(dst, escape, terminator)
		}
		dst = append(dst, b[:i]...)
		dst = append(dst, escape, escapedNul)
		b = b[i+1:]
	}
}

// primaryKeyOf appends to dst the primary key that a row key of t stands for. Values may alias key.
func (t *table) primaryKeyOf(key []byte, dst []plainbuffer.Cell) ([]plainbuffer.Cell, error) {
	damaged := func() error { return fmt.Errorf("row key %x of table %s is damaged", key, t.name) }
	if len(key) < 1+8 {
		return nil, damaged()
	}
	rest := key[1+8:]
	for i := range t.key {
		c := plainbuffer.Cell{Name: t.key[i].name, HasValue: true}
		c.Value.Type = t.key[i].typ
		if len(rest) == 0 || rest[0] != rankValue {
			return nil, damaged()
		}
		rest = rest[1:]
		var ok bool
		if c.Value.Type == plainbuffer.Integer {
			if ok = len(rest) >= 8; ok {
				c.Value.Num = binary.BigEndian.Uint64(rest) ^ (1 << 63)
				rest = rest[8:]
			}
		} else {
			c.Value.Bytes, rest, ok = cutEscaped(rest)
		}
		if !ok {
			return nil, damaged()
		}
		dst = append(dst, c)
	}
	if len(rest) > 0 {
		return nil, damaged()
	}
	return dst, nil
}

func cutEscaped(b []byte) (value, rest []byte, ok bool) {
	i := bytes.IndexByte(b, escape)
	if i < 0 || i+1 >= len(b) {
		return nil, nil, false
	}
	if b[i+1] == terminator {
		return b[:i:i], b[i+2:], true
	}
	value = make([]byte, 0, len(b))
	for {
		value = append(value, b[:i]...)
		switch b[i+1] {
		case terminator:
			return value, b[i+2:], true
		case escapedNul:
			value = append(value, 0)
		default:
			return nil, nil, false
		}
		b = b[i+2:]
		if i = bytes.IndexByte(b, escape); i < 0 || i+1 >= len(b) {
			return nil, nil, false
		}
	}
}
