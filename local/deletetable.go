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
	t := s.catalog.byName[req.GetTableName()]
	if t == nil {
		return errNoTable()
	}
	batch := s.db.NewBatch()
	if err := batch.Delete(tableKey(t.name), nil); err != nil {
		return err
	}
	for _, kind := range []byte{prefixRow, prefixBlob} {
		prefix := tablePrefix(kind, t.id)
		if err := batch.DeleteRange(prefix, prefixEnd(prefix), nil); err != nil {
			return err
		}
	}
	if err := s.db.Apply(batch, s.sync); err != nil {
		return fmt.Errorf("delete table %s: %w", t.name, err)
	}
	delete(s.catalog.byName, t.name)
	s.space.freed.Store(true)
	s.dropTable(t.id)
	return batch.Close()
}
