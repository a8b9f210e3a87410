package local

import (
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
)

// BatchGetRow reads up to 100 rows of one or more tables. Every row has a result of its own, in the order of the request: a row, none,
// or an error. The request fails as a whole only if it is malformed. A table may be named more than once, as the service was seen to
// accept; a row may be asked for twice.
//
// Left out: answers in pieces (next_token). An answer larger than 256 MB is refused, though no limit of the service is documented.

func (s *Server) batchGetRow(c *call) error {
	var req otsprotocol.BatchGetRowRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	rows := 0
	for _, tr := range req.Tables {
		rows += len(tr.PrimaryKey)
	}
	switch {
	case len(req.Tables) == 0: // a table without rows is accepted, as tests of the Python SDK show
		return invalid("No row specified in the request of BatchGetRow.")
	case rows > maxBatchGetRows:
		return invalid("Rows count exceeds the upper limit: %d.", maxBatchGetRows)
	}
	reader := rowReader{store: s.db}
	defer reader.release()
	row := 0
	for _, tr := range req.Tables {
		var sel *selection
		t := s.catalog.get(tr.GetTableName())
		if t != nil {
			var err error
			if sel, err = newSelection(t, tr, tr.MaxVersions != nil, tr.EndColumn != nil); err != nil {
				return err
			}
		}
		// The length of the table's part is known when it is written: it goes before it then.
		start := len(c.out)
		c.out = protowire.AppendTag(c.out, 1, protowire.BytesType)
		c.out = protowire.AppendString(c.out, tr.GetTableName())
		for _, key := range tr.PrimaryKey {
			if e := c.fault.rowError(row); e != nil {
				c.out = c.appendFailedRow(c.out, e)
			} else if t == nil {
				c.out = c.appendFailedRow(c.out, errNoTableToRead())
			} else if err := s.appendBatchRow(c, &reader, sel, key); err != nil {
				return err
			}
			row++
		}
		c.out = insertLength(c.out, start, 1)
	}
	return nil
}

// appendBatchRow reads one row and appends its result as the field 2 of the table's part. The request fails if that makes the answer
// too large.
func (s *Server) appendBatchRow(c *call, reader *rowReader, sel *selection, key []byte) error {
	pk, found, units, err := s.readRow(reader, sel, key, c.now)
	if err != nil {
		c.out = c.appendFailedRow(c.out, c.rowFailure(err))
		return nil
	}
	size := 2 + consumedSize(units, 0)
	buffer := 0
	if found {
		buffer = 4 + sel.encodedSize(pk)
		size += 1 + protowire.SizeBytes(buffer)
	}
	if len(c.out)+size > maxAnswer {
		return errAnswerTooLarge
	}
	c.out = protowire.AppendTag(c.out, 2, protowire.BytesType)
	c.out = protowire.AppendVarint(c.out, uint64(size))
	c.out = append(c.out, 1<<3, 1) // is_ok = true
	c.out = appendConsumed(c.out, 3, units, 0)
	if found {
		c.rowsRead++
		c.out = protowire.AppendTag(c.out, 4, protowire.BytesType)
		c.out = appendRowBuffer(c.out, sel, pk)
	}
	return nil
}

// appendFailedRow appends the result of a row that failed, as the field 2 of a table's part of a batch. There is no consumed field:
// the official clients expect none beside an error.
func (c *call) appendFailedRow(dst []byte, e *serviceError) []byte {
	c.server.metrics.rowsFailed.WithLabelValues(c.operation, e.code).Inc()
	message := appendError(nil, e)
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(2+1+protowire.SizeBytes(len(message))))
	dst = append(dst, 1<<3, 0) // is_ok = false
	return appendBytes(dst, 2, message)
}

// rowFailure returns an error of one row as its client shall see it.
func (c *call) rowFailure(err error) *serviceError {
	e, expected := asServiceError(err)
	if !expected {
		c.server.log.Error("row failed", "operation", c.operation, "error", err, "request_id", c.requestID)
	}
	if e.code == errorcode.InternalServerError {
		return failCode(errorcode.InternalServerError)
	}
	return e
}
