package local

import (
	"strings"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
)

// CreateTable creates a table, which is ready at once. Reserved throughput must be 0, as on the service's instances that bill by use.
// Predefined columns are kept and shown, and mean nothing else.
//
// Left out: indexes, streams, encryption, local transactions, partitions, and the service's limit of table operations a second.

func (s *Server) createTable(c *call) error {
	var req otsprotocol.CreateTableRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	meta := req.GetTableMeta()
	if !validName(meta.GetTableName()) {
		return invalid("Invalid table name: '%s'.", meta.GetTableName())
	}
	record := tableRecord{
		UUID: newUUID(), Created: c.now * 1000, TimeToLive: -1, MaxVersions: 1, Deviation: defaultDeviation, AllowUpdate: true,
	}
	for _, check := range []error{
		checkKeySchema(meta, &record), checkDefinedColumns(meta, &record), checkThroughput(req.GetReservedThroughput()),
		record.applyOptions(req.GetTableOptions(), true), checkUnsupported(&req),
	} {
		if check != nil {
			return check
		}
	}
	if err := s.checkSpace(0, true); err != nil {
		return err
	}
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	if s.catalog.get(meta.GetTableName()) != nil {
		return failCode(errorcode.ObjectAlreadyExist)
	}
	if len(s.catalog.byName()) >= s.options.MaxTables {
		return failCode(errorcode.QuotaExhausted)
	}
	record.ID = s.catalog.lastID + 1
	t, err := newTable(meta.GetTableName(), record)
	if err != nil {
		return err
	}
	if err := s.save(t); err != nil {
		return err
	}
	s.catalog.lastID = record.ID
	return nil
}

func checkKeySchema(meta *otsprotocol.TableMeta, record *tableRecord) error {
	keys := meta.GetPrimaryKey()
	if len(keys) == 0 || len(keys) > maxPrimaryKeys {
		return invalid("The number of primary key columns must be in range: [1, %d].", maxPrimaryKeys)
	}
	seen := make(map[string]bool)
	generated := 0
	for i, k := range keys {
		if !validName(k.GetName()) {
			return invalid("Invalid column name: '%s'.", k.GetName())
		}
		if seen[k.GetName()] {
			return invalid("Duplicated primary key name: '%s'.", k.GetName())
		}
		seen[k.GetName()] = true
		if _, ok := keyType(k.GetType()); !ok {
			return invalid("%d is an invalid type for the primary key.", k.GetType())
		}
		r := keyRecord{Name: k.GetName(), Type: int32(k.GetType())}
		if k.Option != nil {
			r.AutoIncrement = true
			generated++
			switch {
			case k.GetType() != otsprotocol.PrimaryKeyType_INTEGER:
				return invalid("AUTO_INCREMENT primary key must be integer.")
			case i == 0:
				return invalid("First primary key can't be auto increment, table: '%s'.", meta.GetTableName())
			case generated > 1:
				return invalid("AUTO_INCREMENT primary key count must <= 1.")
			}
		}
		record.PrimaryKey = append(record.PrimaryKey, r)
	}
	return nil
}

func checkDefinedColumns(meta *otsprotocol.TableMeta, record *tableRecord) error {
	if len(meta.GetDefinedColumn()) > maxDefinedColumns {
		return invalid("The number of defined columns must be in range: [0, %d].", maxDefinedColumns)
	}
	for _, c := range meta.GetDefinedColumn() {
		if !validName(c.GetName()) {
			return invalid("Invalid column name: '%s'.", c.GetName())
		}
		record.DefinedColumns = append(record.DefinedColumns, definedColumn{c.GetName(), int32(c.GetType())})
	}
	return nil
}

func checkThroughput(r *otsprotocol.ReservedThroughput) error {
	read, write := r.GetCapacityUnit().GetRead(), r.GetCapacityUnit().GetWrite()
	switch {
	case read < 0:
		return invalid("Invalid Capacity Unit: %d. Capacity Unit must be nonnegative.", read)
	case write < 0:
		return invalid("Invalid Capacity Unit: %d. Capacity Unit must be nonnegative.", write)
	case read > 0:
		return invalid("Can not reserve read capacity unit on capacity.")
	case write > 0:
		return invalid("Can not reserve write capacity unit on capacity.")
	}
	return nil
}

// applyOptions checks the options that are given and sets them.
func (r *tableRecord) applyOptions(o *otsprotocol.TableOptions, create bool) error {
	if o == nil {
		return nil
	}
	if o.TimeToLive != nil {
		switch ttl := o.GetTimeToLive(); {
		case ttl == 0 || ttl < -1:
			return invalid("TimeToLive cannot be 0 or less than -1.")
		case ttl > 0 && ttl < minTimeToLive:
			return invalid("TimeToLive cannot be less than %d.", minTimeToLive)
		}
		r.TimeToLive = o.GetTimeToLive()
	}
	if o.MaxVersions != nil {
		if o.GetMaxVersions() <= 0 {
			return invalid("The maximum versions cannot be less than or equal to 0.")
		}
		r.MaxVersions = o.GetMaxVersions()
	}
	if o.DeviationCellVersionInSec != nil {
		if d := o.GetDeviationCellVersionInSec(); d < 0 || d > maxDeviation {
			return invalid("The maximum deviation must be in range [0, INT64_MAX/1000000].")
		}
		r.Deviation = o.GetDeviationCellVersionInSec()
	}
	if o.AllowUpdate != nil {
		r.AllowUpdate = o.GetAllowUpdate()
	}
	if o.UpdateFullRow != nil {
		if !create && o.GetUpdateFullRow() != r.UpdateFullRow {
			return invalid("update_full_row cannot be changed after the table is created.")
		}
		r.UpdateFullRow = o.GetUpdateFullRow()
	}
	return nil
}

func checkUnsupported(req *otsprotocol.CreateTableRequest) error {
	var what []string
	if len(req.GetIndexMetas()) > 0 || len(req.GetTableMeta().GetIndexMeta()) > 0 {
		what = append(what, "secondary index")
	}
	if req.GetStreamSpec().GetEnableStream() {
		what = append(what, "stream")
	}
	if req.GetSseSpec().GetEnable() {
		what = append(what, "server side encryption")
	}
	if req.GetEnableLocalTxn() {
		what = append(what, "local transaction")
	}
	if what != nil {
		return errUnsupported(strings.Join(what, ", "))
	}
	return nil
}

// errUnsupported answers a parameter for something that this server does not have.
func errUnsupported(what string) *serviceError {
	return fail(errorcode.UnsupportedOperation, "This operation is unsupported: %s.", what)
}

func errTransaction() *serviceError {
	return invalid("Try to call method using explicit transaction on explicit-transaction-disabled table.")
}
