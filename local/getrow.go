package local

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// GetRow reads the wanted columns and versions of one row. A row that is not there, or has nothing of what is wanted, or does not
// pass the filter, is an empty row and no error.
//
// Left out: transactions, and answers in pieces (next_token): a row is returned whole, up to 256 MB.

func (s *Server) getRow(c *call) error {
	var req otsprotocol.GetRowRequest
	t, err := c.tableToRead(&req)
	if err != nil {
		return err
	}
	sel, err := newSelection(t, &req, req.MaxVersions != nil, req.EndColumn != nil)
	if err != nil {
		return err
	}
	reader := rowReader{store: s.db}
	defer reader.release()
	pk, found, units, err := s.readRow(&reader, sel, req.PrimaryKey, c.now)
	if err != nil {
		return err
	}
	c.out = appendConsumed(c.out, 1, units, 0)
	c.out = protowire.AppendTag(c.out, 2, protowire.BytesType)
	if !found {
		c.out = protowire.AppendVarint(c.out, 0)
		return nil
	}
	c.rowsRead++
	c.out = appendRowBuffer(c.out, sel, pk)
	return nil
}

// appendRowBuffer appends the picked row as a buffer of its own, with its length.
func appendRowBuffer(dst []byte, sel *selection, pk []plainbuffer.Cell) []byte {
	size := plainbuffer.HeaderSize + sel.encodedSize(pk)
	if need := size + binary.MaxVarintLen64; cap(dst)-len(dst) < need {
		dst = slices.Grow(dst, max(need, cap(dst))) // twofold, at least: what is there is copied each time
	}
	dst = protowire.AppendVarint(dst, uint64(size))
	return sel.encode(plainbuffer.AppendHeader(dst), pk)
}

// readRow reads one row for GetRow and BatchGetRow: sel has its cells, which are valid until the reader is released.
func (s *Server) readRow(reader *rowReader, sel *selection, encodedKey []byte, now int64) (pk []plainbuffer.Cell, found bool, units int32, err error) {
	var keyRow plainbuffer.Row
	if err := decodeRow(encodedKey, &keyRow); err != nil {
		return nil, false, 0, err
	}
	switch {
	case len(keyRow.Attributes) > 0:
		return nil, false, 0, invalid("Attribute column cannot be given while reading data.")
	case keyRow.Deleted:
		return nil, false, 0, invalid("Delete marker cannot be given.")
	}
	pk = keyRow.PrimaryKey
	if err := sel.table.checkKey(pk, false, false); err != nil {
		return nil, false, 0, err
	}
	key := appendRowKey(make([]byte, 0, 128), sel.table.id, pk)
	found, size, err := sel.readAt(reader, key, pk, now)
	if errors.Is(err, pebble.ErrNotFound) {
		// A large value went away because the row was written since it was read. A snapshot has row and values of one moment; it is
		// not taken at once because it costs more than most reads.
		snapshot := s.db.NewSnapshot()
		reader.store = snapshot
		found, size, err = sel.readAt(reader, key, pk, now)
		reader.open = append(reader.open, snapshot)
		reader.store = s.db
	}
	if err != nil {
		return nil, false, 0, err
	}
	if !found && size == 0 {
		return pk, false, 1, nil
	}
	return pk, found, capacityUnits(keySize(pk) + size), nil
}

func (sel *selection) readAt(reader *rowReader, key []byte, pk []plainbuffer.Cell, now int64) (found bool, size int, err error) {
	if found, err = reader.read(key); err != nil || !found {
		return false, 0, err
	}
	return sel.apply(reader, pk, now)
}
