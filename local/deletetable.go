package local

import (
	"fmt"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
)

// DeleteTable removes a table and all its rows, in one write. Disk space comes back soon, by a compaction in the background. Nothing is left out.

func (s *Server) deleteTable(c *call) error {
	var req otsprotocol.DeleteTableRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	t := s.catalog.get(req.GetTableName())
	if t == nil {
		return errNoTable()
	}
	batch, err := s.newBatch()
	if err != nil {
		return err
	}
	if err := batch.Delete(tableKey(t.name), nil); err != nil {
		return err
	}
	for _, kind := range []byte{prefixRow, prefixBlob} {
		prefix := tablePrefix(kind, t.id)
		if err := batch.DeleteRange(prefix, prefixEnd(prefix), nil); err != nil {
			return err
		}
	}
	if err := s.commitNow(batch); err != nil {
		return fmt.Errorf("delete table %s: %w", t.name, err)
	}
	s.catalog.change(t.name, nil)
	s.space.freed.Store(true)
	s.dropTable(t.id)
	return nil
}
