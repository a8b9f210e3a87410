package tablestore

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// The requests of row operations, written field by field: the service's messages are few and small, and most of a
// request is one row. Field numbers are those of table_store.proto and ots_filter.proto.

func encodeGetRow(r *GetRowRequest) []byte {
	key := keyRow(r.PrimaryKey)
	b := make([]byte, 0, 64+len(r.Table)+plainbuffer.RowSize(&key)+namesSize(r.ColumnsToGet))
	b = appendText(b, 1, r.Table)
	b = appendRow(b, 2, &key)
	b = appendNames(b, 3, r.ColumnsToGet)
	return appendNumber(b, 5, 1) // max_versions
}

func encodeBatchGetRow(r *BatchGetRowRequest) []byte {
	table := make([]byte, 0, 64+len(r.Table)+namesSize(r.ColumnsToGet)+96*len(r.PrimaryKeys))
	table = appendText(table, 1, r.Table)
	for _, key := range r.PrimaryKeys {
		row := keyRow(key)
		table = appendRow(table, 2, &row)
	}
	table = appendNames(table, 4, r.ColumnsToGet)
	table = appendNumber(table, 6, 1) // max_versions
	return appendBytes(make([]byte, 0, len(table)+8), 1, table)
}

// maxRangeRows is what the service gives in one answer at most.
const maxRangeRows = 5000

func encodeGetRange(r *GetRangeRequest) ([]byte, error) {
	start := keyRow(r.Start)
	if r.Start.Value == "" {
		start.PrimaryKey[0].Value = plainbuffer.Value{Type: plainbuffer.InfMin}
	}
	end := keyRow(r.Start)
	if r.End == "" {
		end.PrimaryKey[0].Value = plainbuffer.Value{Type: plainbuffer.InfMax}
	} else {
		end.PrimaryKey[0].Value = plainbuffer.StringValue(r.End)
	}

	var b []byte
	b = appendText(b, 1, r.Table)
	b = appendNumber(b, 2, 0) // forward
	b = appendNames(b, 3, r.ColumnsToGet)
	if r.TimeRange != nil {
		var times []byte
		times = appendNumber(times, 1, uint64(r.TimeRange.Start))
		times = appendNumber(times, 2, uint64(r.TimeRange.End))
		b = appendBytes(b, 4, times)
	}
	b = appendNumber(b, 5, 1) // max_versions
	if r.Limit > 0 {
		b = appendNumber(b, 6, uint64(min(r.Limit, maxRangeRows)))
	}
	b = appendRow(b, 7, &start)
	b = appendRow(b, 8, &end)
	if r.Filter != nil {
		filter, err := encodeFilter(r.Filter)
		if err != nil {
			return nil, err
		}
		b = appendBytes(b, 10, filter)
	}
	return b, nil
}

func encodeChange(table string, change *RowChange) ([]byte, error) {
	row, condition, err := changeParts(change)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 64+len(table)+plainbuffer.RowSize(&row)+len(condition))
	b = appendText(b, 1, table)
	b = appendRow(b, 2, &row)
	return appendBytes(b, 3, condition), nil
}

// operationTypes are the service's numbers for the changes of a BatchWriteRow.
var operationTypes = map[ChangeKind]uint64{Put: 1, Update: 2, Delete: 3}

func encodeBatchWriteRow(table string, changes []RowChange) ([]byte, error) {
	rows := make([]plainbuffer.Row, len(changes))
	conditions := make([][]byte, len(changes))
	sizes := make([]int, len(changes))
	total := protowire.SizeTag(1) + protowire.SizeBytes(len(table))
	for i := range changes {
		var err error
		if rows[i], conditions[i], err = changeParts(&changes[i]); err != nil {
			return nil, fmt.Errorf("change %d: %w", i, err)
		}
		sizes[i] = 2 + // type
			1 + protowire.SizeBytes(plainbuffer.HeaderSize+plainbuffer.RowSize(&rows[i])) +
			1 + protowire.SizeBytes(len(conditions[i]))
		total += 1 + protowire.SizeBytes(sizes[i])
	}
	b := make([]byte, 0, total+16)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(total))
	b = appendText(b, 1, table)
	for i := range changes {
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizes[i]))
		b = appendNumber(b, 1, operationTypes[changes[i].Kind])
		b = appendRow(b, 2, &rows[i])
		b = appendBytes(b, 3, conditions[i])
	}
	return b, nil
}

// changeParts gives the row and the condition of a change, and refuses what would silently be left out.
func changeParts(change *RowChange) (row plainbuffer.Row, condition []byte, err error) {
	row = keyRow(change.PrimaryKey)
	switch {
	case change.Kind == Put && len(change.Deletes) > 0:
		return row, nil, errors.New("a Put deletes no single columns")
	case change.Kind == Delete && len(change.Columns)+len(change.Deletes) > 0:
		return row, nil, errors.New("a Delete removes the whole row and takes no columns")
	case operationTypes[change.Kind] == 0:
		return row, nil, fmt.Errorf("unknown kind of change %d", change.Kind)
	}
	row.Deleted = change.Kind == Delete
	if n := len(change.Columns) + len(change.Deletes); n > 0 {
		row.Attributes = make([]plainbuffer.Cell, 0, n)
	}
	for i := range change.Columns {
		column := &change.Columns[i]
		value, err := wireValue(column.Value)
		if err != nil {
			return row, nil, fmt.Errorf("column %q %w", column.Name, err)
		}
		cell := plainbuffer.NewCell(column.Name, value)
		if column.Timestamp != 0 {
			cell = cell.At(column.Timestamp)
		}
		row.Attributes = append(row.Attributes, cell)
	}
	for _, remove := range change.Deletes {
		cell := plainbuffer.Cell{Name: []byte(remove.Name), Op: plainbuffer.DeleteAllVersion}
		if remove.Timestamp != 0 {
			cell.Op = plainbuffer.DeleteOneVersion
			cell = cell.At(remove.Timestamp)
		}
		row.Attributes = append(row.Attributes, cell)
	}
	condition, err = encodeCondition(change)
	return row, condition, err
}

// What a condition asks of a row's existence: nothing, or that there is none.
var (
	ignore         = appendNumber(nil, 1, 0)
	expectNotExist = appendNumber(nil, 1, 2)
)

func encodeCondition(change *RowChange) ([]byte, error) {
	condition := ignore
	if change.Missing {
		condition = expectNotExist
	}
	if change.Condition == nil {
		return condition, nil
	}
	encoded, err := encodeFilter(change.Condition)
	if err != nil {
		return nil, err
	}
	return appendBytes(slices.Clone(condition), 2, encoded), nil
}

// The service's numbers for kinds of filters, and for the AND of a composite one.
const (
	filterSingle    = 1
	filterComposite = 2
	combineAnd      = 2
)

// encodeFilter nests more than two filters, since an error text of the service asks for two under an AND.
func encodeFilter(filter *Filter) ([]byte, error) {
	first, err := encodeSingleFilter(filter)
	if err != nil || filter.And == nil {
		return first, err
	}
	second, err := encodeFilter(filter.And)
	if err != nil {
		return nil, err
	}
	both := appendNumber(nil, 1, combineAnd)
	both = appendBytes(both, 2, first)
	both = appendBytes(both, 2, second)
	return appendBytes(appendNumber(nil, 1, filterComposite), 2, both), nil
}

var comparators = map[Comparator]uint64{Equal: 1, NotEqual: 2, LessEqual: 6}

func encodeSingleFilter(filter *Filter) ([]byte, error) {
	value, err := wireValue(filter.Value)
	if err != nil {
		return nil, fmt.Errorf("the filter on column %q %w", filter.Column, err)
	}
	comparator := comparators[filter.Comparator]
	if comparator == 0 {
		return nil, fmt.Errorf("unknown comparator %d", filter.Comparator)
	}
	b := appendNumber(nil, 1, comparator)
	b = appendText(b, 2, filter.Column)
	b = appendBytes(b, 3, plainbuffer.AppendValue(nil, value))
	// The service's word is the opposite: it filters the row out.
	b = appendNumber(b, 4, protowire.EncodeBool(!filter.PassIfMissing))
	b = appendNumber(b, 5, protowire.EncodeBool(true)) // the latest version only
	return appendBytes(appendNumber(nil, 1, filterSingle), 2, b), nil
}

func wireValue(value any) (plainbuffer.Value, error) {
	switch value := value.(type) {
	case string:
		return plainbuffer.StringValue(value), nil
	case int64:
		return plainbuffer.IntegerValue(value), nil
	case []byte:
		return plainbuffer.BlobValue(value), nil
	case float64:
		return plainbuffer.DoubleValue(value), nil
	case bool:
		return plainbuffer.BooleanValue(value), nil
	}
	return plainbuffer.Value{}, fmt.Errorf("holds a %T, not a string, int64, []byte, float64 or bool", value)
}

func keyRow(key PrimaryKey) plainbuffer.Row {
	return plainbuffer.Row{PrimaryKey: []plainbuffer.Cell{plainbuffer.NewCell(key.Name, plainbuffer.StringValue(key.Value))}}
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func appendText(b []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), text)
}

func appendBytes(b []byte, field protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), data)
}

func appendNames(b []byte, field protowire.Number, names []string) []byte {
	for _, name := range names {
		b = appendText(b, field, name)
	}
	return b
}

func namesSize(names []string) (size int) {
	for _, name := range names {
		size += 3 + len(name)
	}
	return size
}

// appendRow appends a field that holds a PlainBuffer of one row.
func appendRow(b []byte, field protowire.Number, row *plainbuffer.Row) []byte {
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(plainbuffer.HeaderSize+plainbuffer.RowSize(row)))
	return plainbuffer.AppendRow(plainbuffer.AppendHeader(b), row)
}
