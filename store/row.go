package store

import (
	"context"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// The row of a node. A value that does not fit into one cell is split over columns of
// the same row (see split.go), and then the columns below the line take the place of data.
const (
	keyName = "id" // the primary key, STRING

	columnData    = "data"    // BINARY (1.0 also wrote STRING), the encoded value
	columnFlags   = "flags"   // INTEGER, flagZlib …; absent in rows of 1.0 without compression
	columnExpires = "expires" // INTEGER, milliseconds since 1970; only for a ttl shorter than the table's

	columnGeneration = "generation" // STRING, names the part columns
	columnParts      = "parts"      // INTEGER, how many part columns
	columnSize       = "size"       // INTEGER, bytes in all parts
)

// nodeColumns are the columns that a read asks for. Parts are left out: those of a write that is under
// way, or was given up, cost nothing then.
var nodeColumns = []string{columnData, columnExpires, columnFlags, columnGeneration, columnParts, columnSize}

const (
	// MaxValueSize is the largest value of a node, in bytes before compression. Sentry itself allows 10 MiB.
	MaxValueSize = 64 << 20
	// maxCell is the service's limit for one STRING or BINARY value.
	maxCell = 2 << 20
	// maxIDSize is the service's limit for a primary key value, in bytes of UTF-8.
	maxIDSize = 1024
)

func checkID(id string) error {
	refuse := func(format string, arguments ...any) error {
		return &Error{Kind: KindInvalidID, Message: fmt.Sprintf(format, arguments...)}
	}
	switch {
	case id == "":
		return refuse("the id is empty")
	case len(id) > maxIDSize:
		return refuse("the id has %d bytes, the limit is %d", len(id), maxIDSize)
	case !utf8.ValidString(id):
		return refuse("the id is no valid UTF-8")
	}
	return nil
}

func checkSize(value []byte) error {
	if len(value) > MaxValueSize {
		return &Error{Kind: KindValueTooLarge, Message: fmt.Sprintf("the value has %d bytes, the limit is %d", len(value), MaxValueSize)}
	}
	return nil
}

func primaryKey(id string) tablestore.PrimaryKey {
	return tablestore.PrimaryKey{Name: keyName, Value: id}
}

// node is a row taken apart: everything but the parts of a split value.
type node struct {
	id         string
	data       []byte
	hasData    bool
	flags      int64
	expires    int64 // 0: none
	generation string
	parts      int64
	size       int64
	written    int64 // timestamp of the newest cell, milliseconds since 1970
}

// parseNode refuses what this format does not have.
func parseNode(row *tablestore.Row) (*node, error) {
	n := &node{id: row.PrimaryKey.Value}
	for i := range row.Columns {
		column := &row.Columns[i]
		n.written = max(n.written, column.Timestamp)
		var ok bool
		switch column.Name {
		case columnData:
			n.hasData = true
			switch value := column.Value.(type) {
			case []byte:
				n.data, ok = value, true
			case string:
				n.data, ok = []byte(value), true
			}
		case columnFlags:
			n.flags, ok = column.Value.(int64)
		case columnExpires:
			n.expires, ok = column.Value.(int64)
		case columnGeneration:
			n.generation, ok = column.Value.(string)
		case columnParts:
			n.parts, ok = column.Value.(int64)
		case columnSize:
			n.size, ok = column.Value.(int64)
		default:
			ok = true
		}
		if !ok {
			return nil, corrupt(n.id, "column %s has the type %T", column.Name, column.Value)
		}
	}
	switch {
	case n.flags&^flagsKnown != 0:
		return nil, corrupt(n.id, "flags %d: written by a newer version of this package?", n.flags)
	case n.flags&flagSplit != 0:
		if n.generation == "" || n.parts <= 0 || n.parts > maxParts || n.size <= 0 || n.size > maxEncodedSize {
			return nil, corrupt(n.id, "it is split, but generation %q, parts %d, size %d do not describe that", n.generation, n.parts, n.size)
		}
	case !n.hasData:
		return nil, corrupt(n.id, "it has no column %s", columnData)
	}
	return n, nil
}

func corrupt(id, format string, arguments ...any) error {
	return &Error{Kind: KindCorruptRow, IDs: []string{id}, Message: "the row cannot be decoded: " + fmt.Sprintf(format, arguments...)}
}

// visible says whether the node is still alive for reads.
func (s *Store) visible(n *node) bool {
	now := s.now().UnixMilli()
	if n.expires != 0 && now >= n.expires {
		return false
	}
	// With automatic expiry the service hides what is too old, by its own clock.
	if ttl := s.options.DefaultTTLMillis; ttl > 0 && !s.options.AutomaticExpiry {
		return now < n.written+ttl
	}
	return true
}

// decode gives the value of encoded bytes; the error names the node.
func (n *node) decode(encoded []byte) ([]byte, error) {
	value, err := decompress(encoded, n.flags)
	if err != nil {
		return nil, corrupt(n.id, "%v", err)
	}
	if len(value) > MaxValueSize {
		return nil, corrupt(n.id, "%v", errTooLargeRaw)
	}
	return value, nil
}

// NoTTL is the ttl of a node that lives as long as the table keeps it.
const NoTTL time.Duration = -1

// Milliseconds is a duration of so many; what would be longer than a duration can be (292 years) is as long as it can be.
func Milliseconds(n int64) time.Duration {
	return time.Duration(min(n, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
}

// expiry is the content of column expires for a call's ttl: 0 when the table's own retention is no longer than that.
func (s *Store) expiry(ttl time.Duration) (int64, error) {
	if ttl == NoTTL {
		return 0, nil
	}
	if ttl <= 0 {
		return 0, &Error{Kind: KindOptions, Message: fmt.Sprintf("the ttl %v is not positive", ttl)}
	}
	kept := Milliseconds(s.options.DefaultTTLMillis)
	if kept == 0 || ttl < kept {
		return s.now().Add(ttl).UnixMilli(), nil
	}
	return 0, nil
}

// tellCapped says, once, that a node does not live as long as its ttl.
func (s *Store) tellCapped(ctx context.Context, ttl time.Duration) {
	if kept := Milliseconds(s.options.DefaultTTLMillis); kept != 0 && ttl > kept {
		s.capped.Do(func() {
			logf(ctx, levelWarning, "a ttl of %v was asked for, but table %q keeps nodes for %v only: capped (said once)", ttl, s.options.Table, kept)
		})
	}
}
