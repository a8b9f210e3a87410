package local

import (
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/encoding/protowire"
)

// DescribeTable tells a table's primary key, options and predefined columns. Its status is always active: a table is ready when it is
// created.
//
// Left out: partitions (shard_splits). Fields 12 and 13 are sent as the service was seen to send them; what they mean is not known.

func (s *Server) describeTable(c *call) error {
	var req otsprotocol.DescribeTableRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	t := s.catalog.get(req.GetTableName())
	if t == nil {
		return errNoTable()
	}
	r := &t.stored
	meta := &otsprotocol.TableMeta{TableName: &t.name}
	for i := range r.PrimaryKey {
		k := &r.PrimaryKey[i]
		schema := &otsprotocol.PrimaryKeySchema{Name: &k.Name, Type: otsprotocol.PrimaryKeyType(k.Type).Enum()}
		if k.AutoIncrement {
			schema.Option = otsprotocol.PrimaryKeyOption_AUTO_INCREMENT.Enum()
		}
		meta.PrimaryKey = append(meta.PrimaryKey, schema)
	}
	for i := range r.DefinedColumns {
		d := &r.DefinedColumns[i]
		meta.DefinedColumn = append(meta.DefinedColumn, &otsprotocol.DefinedColumnSchema{Name: &d.Name, Type: otsprotocol.DefinedColumnType(d.Type).Enum()})
	}
	// Fields that the service sends and the generated messages do not know.
	meta.XXX_unrecognized = protowire.AppendString(protowire.AppendTag(nil, 5, protowire.BytesType), r.UUID)
	disabled := false
	answer := &otsprotocol.DescribeTableResponse{
		TableMeta: meta, ReservedThroughputDetails: r.throughput(), TableOptions: r.optionsMessage(),
		TableStatus: otsprotocol.TableStatus_ACTIVE.Enum(), StreamDetails: noStream(), SseDetails: &otsprotocol.SSEDetails{Enable: &disabled},
	}
	answer.XXX_unrecognized = protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), uint64(r.Created))
	answer.XXX_unrecognized = append(answer.XXX_unrecognized, 12<<3|2, 2, 1<<3, 0, 13<<3, 0)
	return c.encode(answer)
}

// throughput returns the reserved throughput, which is always 0.
func (r *tableRecord) throughput() *otsprotocol.ReservedThroughputDetails {
	var zero int32
	changed := max(r.Created/1000000, r.Updated)
	return &otsprotocol.ReservedThroughputDetails{
		CapacityUnit: &otsprotocol.CapacityUnit{Read: &zero, Write: &zero}, LastIncreaseTime: &changed,
	}
}

// optionsMessage returns all options: the Go SDK fails on a missing one.
func (r *tableRecord) optionsMessage() *otsprotocol.TableOptions {
	o := *r
	return &otsprotocol.TableOptions{
		TimeToLive: &o.TimeToLive, MaxVersions: &o.MaxVersions, DeviationCellVersionInSec: &o.Deviation,
		AllowUpdate: &o.AllowUpdate, UpdateFullRow: &o.UpdateFullRow,
	}
}

// noStream says that the table has no stream: without it the Go SDK fails on an answer to UpdateTable.
func noStream() *otsprotocol.StreamDetails {
	disabled, never := false, int64(0)
	return &otsprotocol.StreamDetails{EnableStream: &disabled, LastEnableTime: &never}
}
