package local

import (
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// PutRow replaces a row: all its columns and versions go, the given ones come. Columns without a timestamp get the server's clock,
// one reading for all of them. A row may have no columns at all; it then exists by its key alone until its time to live is over.
//
// Left out: transactions.

func (s *Server) putRow(c *call) error {
	var req otsprotocol.PutRowRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	return s.writeRow(c, req.GetTableName(), otsprotocol.OperationType_PUT, req.Row, req.Condition, req.ReturnContent, req.GetTransactionId())
}

// writeRow is what PutRow, UpdateRow and DeleteRow have in common.
func (s *Server) writeRow(c *call, name string, op otsprotocol.OperationType, row []byte, cond *otsprotocol.Condition, ret *otsprotocol.ReturnContent, transaction string) error {
	if transaction != "" {
		return errTransaction()
	}
	t := s.catalog.get(name)
	if t == nil {
		return errNoTable()
	}
	m, err := s.newMutation(t, op, row, cond, ret, c.now)
	if err != nil {
		return err
	}
	answer, err := s.writeOne(m, c.now)
	if err != nil {
		return err
	}
	c.rowsWritten++
	read, write := m.consumed()
	c.out = appendConsumed(c.out, 1, read, write)
	if answer != nil {
		c.out = appendBytes(c.out, 2, answer)
	}
	return nil
}

func (m *mutation) checkPut(now int64) error {
	for i := range m.row.Attributes {
		c := &m.row.Attributes[i]
		if c.Op != plainbuffer.Put {
			return invalid("OpType cannot be given for column name: '%s' in PutRow.", c.Name)
		}
		if !c.HasValue {
			return invalid("Invalid request of put row: find cells without values.")
		}
	}
	return m.checkCells("PutRow", now)
}

func (m *mutation) put(p *pendingRow, now int64) {
	r := &p.reader.row
	r.reset()
	if len(m.row.Attributes) == 0 {
		r.hasMarker, r.marker = true, now
	}
	for _, c := range m.row.Attributes {
		if !c.HasTimestamp {
			c = c.At(now)
		}
		r.put(c)
	}
}
