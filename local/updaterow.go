package local

import (
	"bytes"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// UpdateRow puts versions of columns, deletes one or all versions of a column, and increments integers, in the order given; other
// columns stay. It creates the row unless it only deletes.
//
// Left out: transactions.

func (s *Server) updateRow(c *call) error {
	var req otsprotocol.UpdateRowRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	return s.writeRow(c, req.GetTableName(), otsprotocol.OperationType_UPDATE, req.RowChange, req.Condition, req.ReturnContent, req.GetTransactionId())
}

func (m *mutation) checkUpdate(now int64) error {
	if !m.table.options.allowUpdate {
		return invalid("UpdateRow is not allowed when allow_update is false, table: '%s'.", m.table.name)
	}
	if len(m.row.Attributes) == 0 {
		return invalid("Attribute column is missing.")
	}
	for i := range m.row.Attributes {
		c := &m.row.Attributes[i]
		switch c.Op {
		case plainbuffer.DeleteAllVersion, plainbuffer.DeleteOneVersion:
			switch {
			case c.HasValue:
				return invalid("Column value cannot be given when type is DELETE_ONE_VERSION,DELETE_ALL_VERSION.")
			case c.Op == plainbuffer.DeleteOneVersion && !c.HasTimestamp:
				return invalid("Timestamp must be given when type is DELETE_ONE_VERSION.")
			case c.Op == plainbuffer.DeleteAllVersion && c.HasTimestamp:
				return invalid("Timestamp cannot be given when type is DELETE_ALL_VERSION.")
			}
		case plainbuffer.Increment:
			switch {
			case !c.HasValue || c.Value.Type != plainbuffer.Integer:
				return invalid("Invalid cell: '%s'. Reason: the value of INCREMENT must be integer.", c.Name)
			case c.HasTimestamp:
				return invalid("Timestamp cannot be given when type is INCREMENT.")
			}
		default:
			if !c.HasValue {
				return invalid("No value is given for column name: '%s'.", c.Name)
			}
		}
	}
	return m.checkCells("UpdateRow", now)
}

// update changes all or nothing: in a batch, the row may have been written before and be written after an update that fails.
func (m *mutation) update(p *pendingRow, now int64) error {
	r := &p.reader.row
	before := slices.Clone(r.cells)
	for _, c := range m.row.Attributes {
		switch c.Op {
		case plainbuffer.DeleteAllVersion:
			from, to := r.versions(c.Name)
			r.cells = slices.Delete(r.cells, from, to)
		case plainbuffer.DeleteOneVersion:
			if i, found := r.find(c.Name, c.Timestamp); found {
				r.cells = slices.Delete(r.cells, i, i+1)
			}
		case plainbuffer.Increment:
			c.Op = plainbuffer.Put
			if i, _ := r.versions(c.Name); i < len(r.cells) && bytes.Equal(r.cells[i].Name, c.Name) {
				newest := &r.cells[i]
				if newest.Value.Type != plainbuffer.Integer {
					r.cells = before
					return invalid("The column '%s' to increment is not an integer.", c.Name)
				}
				c.Value.Num += newest.Value.Num
				// A newest version from the future keeps its time, or the sum would stand behind it, unseen.
				c = c.At(max(now, newest.Timestamp))
			}
			fallthrough
		default:
			if !c.HasTimestamp {
				c = c.At(now)
			}
			r.put(c)
		}
	}
	return nil
}
