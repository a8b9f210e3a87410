package local

import "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

// DeleteRow removes a row with all its columns and versions. A row that is not there is removed successfully, unless the condition
// expects it.
//
// Left out: transactions.

func (s *Server) deleteRow(c *call) error {
	var req otsprotocol.DeleteRowRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	return s.writeRow(c, req.GetTableName(), otsprotocol.OperationType_DELETE, req.PrimaryKey, req.Condition, req.ReturnContent, req.GetTransactionId())
}

func (m *mutation) checkDelete() error {
	if !m.row.Deleted {
		return invalid("Invalid request of delete row: missing RowDeleteMarker in request.")
	}
	if len(m.row.Attributes) > 0 {
		return invalid("Invalid delete row request: unexpected cells in request.")
	}
	return nil
}
