package local

import (
	"bytes"
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// GetRange reads the rows between two primary keys, the first included and the second not, in either direction. It stops at the limit
// of the request, after 5000 rows or before the row that would make it more than 4 MB looked at, and then says with which key to go
// on. Rows that have nothing of what is wanted, or do not pass the filter, are skipped but count as looked at.
//
// Left out: transactions, answers in pieces (next_token), and the column-wise encoding of rows: hints at it are ignored, as a hint may.

func (s *Server) getRange(c *call) error {
	var req otsprotocol.GetRangeRequest
	t, err := c.tableToRead(&req)
	if err != nil {
		return err
	}
	if req.Limit != nil && req.GetLimit() <= 0 {
		return invalid("The limit must be greater than 0.")
	}
	sel, err := newSelection(t, &req, req.MaxVersions != nil, req.EndColumn != nil)
	if err != nil {
		return err
	}
	begin, err := rangeBound(t, req.InclusiveStartPrimaryKey)
	if err != nil {
		return err
	}
	end, err := rangeBound(t, req.ExclusiveEndPrimaryKey)
	if err != nil {
		return err
	}
	scan := rangeScan{sel: sel, now: c.now, limit: maxRangeRows}
	if req.Limit != nil {
		scan.limit = min(scan.limit, int(req.GetLimit()))
	}
	switch order := bytes.Compare(begin, end); {
	case req.GetDirection() == otsprotocol.Direction_FORWARD:
		if order >= 0 {
			return invalid("Begin key must less than end key in FORWARD")
		}
		scan.options.LowerBound, scan.options.UpperBound = begin, end
	case req.GetDirection() == otsprotocol.Direction_BACKWARD:
		if order <= 0 {
			return invalid("Begin key must more than end key in BACKWARD")
		}
		// The bounds of an iterator exclude the upper one; the key after begin is begin with a zero byte.
		scan.backward = true
		scan.options.LowerBound, scan.options.UpperBound = append(end, 0), append(begin, 0)
	default:
		return invalid("Invalid direction: %d.", req.GetDirection())
	}
	if err := scan.run(s); err != nil {
		return err
	}
	c.rowsRead += scan.rows
	c.out = appendConsumed(c.out, 1, capacityUnits(scan.size), 0)
	c.out = appendBytes(c.out, 2, scan.out)
	if scan.next != nil {
		c.out = appendBytes(c.out, 3, plainbuffer.Encode(plainbuffer.Row{PrimaryKey: scan.next}))
	}
	c.out = append(c.out, 5<<3, 0, 6<<3, 0) // PlainBuffer, not compressed
	return nil
}

// rangeBound decodes a bound as a key in the store.
func rangeBound(t *table, encoded []byte) ([]byte, error) {
	var row plainbuffer.Row
	if err := decodeRow(encoded, &row); err != nil {
		return nil, err
	}
	switch {
	case len(row.Attributes) > 0:
		return nil, invalid("Attribute column cannot be given while reading data.")
	case row.Deleted:
		return nil, invalid("Delete marker cannot be given.")
	}
	if err := t.checkKey(row.PrimaryKey, true, false); err != nil {
		return nil, err
	}
	return appendRowKey(nil, t.id, row.PrimaryKey), nil
}

// rangeScan collects the rows of a GetRange.
type rangeScan struct {
	sel      *selection
	options  pebble.IterOptions
	backward bool
	limit    int // rows to return
	now      int64

	out     []byte // rows as a buffer, empty for none
	rows    int    // returned
	scanned int
	size    int                // of what was looked at, as the service accounts it
	next    []plainbuffer.Cell // where to go on, nil if all was seen
}

func (scan *rangeScan) run(s *Server) (err error) {
	// Rows and their large values are to be of one moment.
	snapshot := s.db.NewSnapshot()
	it, err := snapshot.NewIter(&scan.options)
	if err != nil {
		return err
	}
	reader := rowReader{store: snapshot}
	defer func() {
		reader.release()
		for _, closeIt := range []func() error{it.Close, snapshot.Close} {
			if e := closeIt(); err == nil {
				err = e
			}
		}
	}()
	advance := it.Next
	ok := false
	if scan.backward {
		ok, advance = it.Last(), it.Prev
	} else {
		ok = it.First()
	}
	var pk []plainbuffer.Cell
	for ; ok; ok = advance() {
		if pk, err = scan.sel.table.primaryKeyOf(it.Key(), pk[:0]); err != nil {
			return err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if scan.rows == scan.limit || scan.scanned == maxRangeRows {
			scan.stopBefore(pk)
			return nil
		}
		full, err := scan.visit(&reader, pk, value)
		if err != nil {
			return fmt.Errorf("row %x: %w", it.Key(), err)
		}
		if full {
			scan.stopBefore(pk)
			return nil
		}
	}
	return it.Error()
}

// visit adds a row to the answer if it belongs there; full says that it has no room any more.
func (scan *rangeScan) visit(reader *rowReader, pk []plainbuffer.Cell, value []byte) (full bool, err error) {
	reader.release()
	if err := reader.row.decode(value); err != nil {
		return false, err
	}
	found, size, err := scan.sel.apply(reader, pk, scan.now)
	if err != nil {
		return false, err
	}
	size += keySize(pk)
	if scan.scanned > 0 && scan.size+size > maxRangeSize {
		return true, nil
	}
	scan.scanned++
	scan.size += size
	if found {
		scan.rows++
		if len(scan.out) == 0 {
			scan.out = plainbuffer.AppendHeader(scan.out)
		}
		scan.out = scan.sel.encode(scan.out, pk)
	}
	return false, nil
}

// stopBefore ends the scan with pk as the next key, whose bytes are the iterator's.
func (scan *rangeScan) stopBefore(pk []plainbuffer.Cell) {
	scan.next = make([]plainbuffer.Cell, len(pk))
	for i, c := range pk {
		c.Value.Bytes = bytes.Clone(c.Value.Bytes)
		scan.next[i] = c
	}
}

// appendBytes appends a length-delimited field.
func appendBytes(dst []byte, num protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), value)
}

// insertLength makes of everything from start on a length-delimited field with the number num.
func insertLength(dst []byte, start int, num protowire.Number) []byte {
	n := len(dst) - start
	head := protowire.AppendVarint(protowire.AppendTag(make([]byte, 0, 16), num, protowire.BytesType), uint64(n))
	dst = append(dst, head...)
	copy(dst[start+len(head):], dst[start:start+n])
	copy(dst[start:], head)
	return dst
}
