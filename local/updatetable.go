package local

import (
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
)

// UpdateTable changes time to live, versions, deviation and whether rows can be updated; options that are not given stay. A change is
// in force for the next request. Throughput can only be set to the 0 that it is.
//
// Left out: streams, and the service's rule of minutes between two updates of a table.

func (s *Server) updateTable(c *call) error {
	var req otsprotocol.UpdateTableRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	if req.GetStreamSpec().GetEnableStream() {
		return errUnsupported("stream")
	}
	o := req.GetTableOptions()
	if o != nil && o.TimeToLive == nil && o.MaxVersions == nil && o.DeviationCellVersionInSec == nil && o.AllowUpdate == nil && o.UpdateFullRow == nil {
		return invalid("No parameter is specified in table options.")
	}
	if o == nil && req.ReservedThroughput == nil && req.StreamSpec == nil {
		return invalid("No parameter is specified in UpdateTable.")
	}
	if units := req.GetReservedThroughput().GetCapacityUnit(); units.GetRead() != 0 || units.GetWrite() != 0 {
		return failCode(errorcode.ForbiddenUpdateCapacity)
	}
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	old := s.catalog.get(req.GetTableName())
	if old == nil {
		return errNoTable()
	}
	record := old.stored
	if err := record.applyOptions(o, false); err != nil {
		return err
	}
	record.Updated = c.now / 1000
	t, err := newTable(old.name, record)
	if err != nil {
		return err
	}
	if err := s.save(t); err != nil {
		return err
	}
	return c.encode(&otsprotocol.UpdateTableResponse{
		ReservedThroughputDetails: record.throughput(), TableOptions: record.optionsMessage(), StreamDetails: noStream(),
	})
}
