package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

func putRow(c *tablestore.TableStoreClient, s *step) (object, error) {
	r, err := c.PutRow(&tablestore.PutRowRequest{PutRowChange: s.put()})
	if err != nil {
		return nil, err
	}
	return object{"consumed": consumed(r.ConsumedCapacityUnit), "row": row(&r.PrimaryKey, nil)}, nil
}

func updateRow(c *tablestore.TableStoreClient, s *step) (object, error) {
	r, err := c.UpdateRow(&tablestore.UpdateRowRequest{UpdateRowChange: s.update()})
	if err != nil {
		return nil, err
	}
	return object{"consumed": consumed(r.ConsumedCapacityUnit), "row": row(nil, r.Columns)}, nil
}

func deleteRow(c *tablestore.TableStoreClient, s *step) (object, error) {
	r, err := c.DeleteRow(&tablestore.DeleteRowRequest{DeleteRowChange: s.remove()})
	if err != nil {
		return nil, err
	}
	return object{"consumed": consumed(r.ConsumedCapacityUnit), "row": nil}, nil
}

func getRow(c *tablestore.TableStoreClient, s *step) (object, error) {
	r, err := c.GetRow(&tablestore.GetRowRequest{SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{
		TableName: s.Table, PrimaryKey: s.Key.primaryKey(), ColumnsToGet: s.Read.Columns, MaxVersion: s.Read.MaxVersions,
		TimeRange: s.Read.timeRange(), Filter: s.Read.Filter.columnFilter(), StartColumn: s.Read.From, EndColumn: s.Read.To,
	}})
	if err != nil {
		return nil, err
	}
	return object{"consumed": consumed(r.ConsumedCapacityUnit), "row": row(&r.PrimaryKey, r.Columns)}, nil
}

func getRange(c *tablestore.TableStoreClient, s *step) (object, error) {
	direction := tablestore.FORWARD
	if s.Direction == "BACKWARD" {
		direction = tablestore.BACKWARD
	}
	r, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: &tablestore.RangeRowQueryCriteria{
		TableName: s.Table, Direction: direction, StartPrimaryKey: s.From.primaryKey(), EndPrimaryKey: s.To.primaryKey(), Limit: s.Limit,
		ColumnsToGet: s.Read.Columns, MaxVersion: s.Read.MaxVersions, TimeRange: s.Read.timeRange(),
		Filter: s.Read.Filter.columnFilter(), StartColumn: s.Read.From, EndColumn: s.Read.To,
	}})
	if err != nil {
		return nil, err
	}
	rows := []any{}
	for _, got := range r.Rows {
		rows = append(rows, row(got.PrimaryKey, got.Columns))
	}
	o := object{"consumed": consumed(r.ConsumedCapacityUnit), "rows": rows, "next": nil}
	if r.NextStartPrimaryKey != nil {
		o["next"] = keyColumns(r.NextStartPrimaryKey)
	}
	return o, nil
}

func batchGetRow(c *tablestore.TableStoreClient, s *step) (object, error) {
	request := new(tablestore.BatchGetRowRequest)
	for _, t := range s.Tables {
		criteria := &tablestore.MultiRowQueryCriteria{
			TableName: t.Table, ColumnsToGet: t.Read.Columns, MaxVersion: int(t.Read.MaxVersions), TimeRange: t.Read.timeRange(),
			Filter: t.Read.Filter.columnFilter(), StartColumn: t.Read.From, EndColumn: t.Read.To,
		}
		for _, k := range t.Keys {
			criteria.AddRow(k.primaryKey())
		}
		request.MultiRowQueryCriteria = append(request.MultiRowQueryCriteria, criteria)
	}
	r, err := c.BatchGetRow(request)
	if err != nil {
		return nil, err
	}
	return tableResults(r.TableToRowsResult), nil
}

func batchWriteRow(c *tablestore.TableStoreClient, s *step) (object, error) {
	request := new(tablestore.BatchWriteRowRequest)
	for _, t := range s.Tables {
		for _, w := range t.Rows {
			w.Table = t.Table
			switch w.Op {
			case "PutRow":
				request.AddRowChange(w.put())
			case "UpdateRow":
				request.AddRowChange(w.update())
			case "DeleteRow":
				request.AddRowChange(w.remove())
			}
		}
	}
	r, err := c.BatchWriteRow(request)
	if err != nil {
		return nil, err
	}
	return tableResults(r.TableToRowsResult), nil
}

func tableResults(results map[string][]tablestore.RowResult) object {
	tables := object{}
	for name, rows := range results {
		list := []any{}
		for _, r := range rows {
			if r.IsSucceed {
				list = append(list, object{"consumed": consumed(r.ConsumedCapacityUnit), "row": row(&r.PrimaryKey, r.Columns)})
			} else {
				list = append(list, object{"error": object{"code": r.Error.Code, "message": r.Error.Message}})
			}
		}
		tables[name] = list
	}
	return object{"tables": tables}
}

func (w *write) put() *tablestore.PutRowChange {
	change := &tablestore.PutRowChange{TableName: w.Table, PrimaryKey: w.Key.primaryKey(), Condition: w.Condition.rowCondition()}
	for _, column := range w.Columns {
		name, v := column[0].(string), value(column[1].(string))
		if len(column) > 2 {
			change.AddColumnWithTimestamp(name, v, int64(column[2].(float64)))
		} else {
			change.AddColumn(name, v)
		}
	}
	if w.Return != nil {
		change.SetReturnPk()
	}
	return change
}

func (w *write) update() *tablestore.UpdateRowChange {
	change := &tablestore.UpdateRowChange{TableName: w.Table, PrimaryKey: w.Key.primaryKey(), Condition: w.Condition.rowCondition()}
	for _, c := range w.Changes {
		name := c[1].(string)
		switch what := c[0]; {
		case what == "put" && len(c) == 4:
			change.PutColumnWithTimestamp(name, value(c[2].(string)), int64(c[3].(float64)))
		case what == "put":
			change.PutColumn(name, value(c[2].(string)))
		case what == "increment":
			change.IncrementColumn(name, value(c[2].(string)).(int64))
		case len(c) == 3:
			change.DeleteColumnWithTimestamp(name, int64(c[2].(float64)))
		default:
			change.DeleteColumn(name)
		}
	}
	if w.Return != nil {
		var names []string
		if err := json.Unmarshal(w.Return, &names); err != nil {
			panic("the Go SDK returns no primary key of an update")
		}
		change.SetReturnIncrementValue()
		change.ColumnNamesToReturn = names
	}
	return change
}

func (w *write) remove() *tablestore.DeleteRowChange {
	if w.Return != nil {
		panic("the Go SDK returns nothing of a delete")
	}
	return &tablestore.DeleteRowChange{TableName: w.Table, PrimaryKey: w.Key.primaryKey(), Condition: w.Condition.rowCondition()}
}

func consumed(c *tablestore.ConsumedCapacityUnit) []int32 { return []int32{c.Read, c.Write} }

// row gives a row of an outcome: nil if there is none.
func row(pk *tablestore.PrimaryKey, columns []*tablestore.AttributeColumn) any {
	if (pk == nil || len(pk.PrimaryKeys) == 0) && len(columns) == 0 {
		return nil
	}
	cells := [][]any{}
	for _, c := range columns {
		cells = append(cells, []any{c.ColumnName, text(c.Value), c.Timestamp})
	}
	o := object{"key": nil, "columns": cells}
	if pk != nil {
		o["key"] = keyColumns(pk)
	}
	return o
}

func keyColumns(pk *tablestore.PrimaryKey) [][]any {
	columns := [][]any{}
	for _, c := range pk.PrimaryKeys {
		columns = append(columns, []any{c.ColumnName, text(c.Value)})
	}
	return columns
}

// longest is how many bytes of a value an outcome shows if they are not all the same.
const longest = 100

// text gives a value as the script writes it.
func text(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > longest && strings.Trim(v, "a") == "" {
			return fmt.Sprint("s*", len(v))
		}
		return "s:" + v
	case []byte:
		if len(v) > longest && strings.Trim(string(v), "a") == "" {
			return fmt.Sprint("x*", len(v))
		}
		return "x:" + hex.EncodeToString(v)
	case int64:
		return "i:" + strconv.FormatInt(v, 10)
	case float64:
		return "d:" + strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return "b:" + strconv.FormatBool(v)
	}
	return fmt.Sprintf("a value of the type %T", v)
}
