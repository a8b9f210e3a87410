package tablestore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// GetRow is a method of [Client].
func (c *client) GetRow(ctx context.Context, request *GetRowRequest) (*Row, error) {
	const operation = "GetRow"
	var row *Row
	err := c.call(ctx, operation, request.Table, decodeAnswer, func(sdkClient *sdk.TableStoreClient) error {
		answer, err := sdkClient.GetRow(&sdk.GetRowRequest{SingleRowQueryCriteria: &sdk.SingleRowQueryCriteria{
			TableName:    request.Table,
			PrimaryKey:   sdkPrimaryKey(request.PrimaryKey),
			ColumnsToGet: request.ColumnsToGet,
			MaxVersion:   1,
		}})
		if err != nil {
			return err
		}
		row, err = askedRow(request.PrimaryKey, &answer.PrimaryKey, answer.Columns, len(request.ColumnsToGet) > 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return row, nil
}

// BatchGetRow is a method of [Client].
func (c *client) BatchGetRow(ctx context.Context, request *BatchGetRowRequest) ([]RowResult, error) {
	const operation = "BatchGetRow"
	if len(request.PrimaryKeys) == 0 {
		return nil, nil
	}
	var results []RowResult
	err := c.call(ctx, operation, request.Table, decodeAnswer, func(sdkClient *sdk.TableStoreClient) error {
		criteria := &sdk.MultiRowQueryCriteria{
			TableName:    request.Table,
			PrimaryKey:   make([]*sdk.PrimaryKey, len(request.PrimaryKeys)),
			ColumnsToGet: request.ColumnsToGet,
			MaxVersion:   1,
		}
		for i, key := range request.PrimaryKeys {
			criteria.PrimaryKey[i] = sdkPrimaryKey(key)
		}
		answer, err := sdkClient.BatchGetRow(&sdk.BatchGetRowRequest{MultiRowQueryCriteria: []*sdk.MultiRowQueryCriteria{criteria}})
		if err != nil {
			return err
		}
		rows, err := rowResults(answer.TableToRowsResult, request.Table, len(request.PrimaryKeys))
		if err != nil {
			return err
		}
		results = make([]RowResult, len(rows))
		for i := range rows {
			row := &rows[i]
			if !row.IsSucceed {
				results[i].Err = c.rowError(operation, request.Table, row.Error, answer.RequestId)
				continue
			}
			results[i].Row, err = askedRow(request.PrimaryKeys[i], &row.PrimaryKey, row.Columns, len(request.ColumnsToGet) > 0)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// GetRange is a method of [Client].
func (c *client) GetRange(ctx context.Context, request *GetRangeRequest) ([]Row, *PrimaryKey, error) {
	const operation = "GetRange"
	criteria := &sdk.RangeRowQueryCriteria{
		TableName:       request.Table,
		StartPrimaryKey: sdkPrimaryKey(request.Start),
		EndPrimaryKey: &sdk.PrimaryKey{PrimaryKeys: []*sdk.PrimaryKeyColumn{
			{ColumnName: request.Start.Name, PrimaryKeyOption: sdk.MAX},
		}},
		ColumnsToGet: request.ColumnsToGet,
		MaxVersion:   1,
		Direction:    sdk.FORWARD,
		Limit:        int32(min(request.Limit, 5000)), // the service gives no more in one answer
	}
	if request.Start.Value == "" {
		criteria.StartPrimaryKey.PrimaryKeys[0].PrimaryKeyOption = sdk.MIN
	}
	if request.TimeRange != nil {
		criteria.TimeRange = &sdk.TimeRange{Start: request.TimeRange.Start, End: request.TimeRange.End}
	}
	if request.Filter != nil {
		filter, err := sdkFilter(request.Filter)
		if err != nil {
			return nil, nil, c.invalid(operation, request.Table, err)
		}
		criteria.Filter = filter
	}

	var rows []Row
	var next *PrimaryKey
	err := c.call(ctx, operation, request.Table, decodeAnswer, func(sdkClient *sdk.TableStoreClient) error {
		answer, err := sdkClient.GetRange(&sdk.GetRangeRequest{RangeRowQueryCriteria: criteria})
		if err != nil {
			return err
		}
		rows, next, err = rangeOf(request.Start, answer)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return rows, next, nil
}

func rangeOf(start PrimaryKey, answer *sdk.GetRangeResponse) (rows []Row, next *PrimaryKey, err error) {
	rows = make([]Row, len(answer.Rows))
	for i, from := range answer.Rows {
		key, err := primaryKeyOf(from.PrimaryKey, start.Name)
		if err != nil {
			return nil, nil, err
		}
		if i > 0 && key == rows[i-1].PrimaryKey {
			return nil, nil, shapeError("the answer holds a row twice")
		}
		rows[i].PrimaryKey = key
		if rows[i].Columns, err = columnsOf(from.Columns); err != nil {
			return nil, nil, err
		}
	}
	if answer.NextStartPrimaryKey == nil {
		return rows, nil, nil
	}
	key, err := primaryKeyOf(answer.NextStartPrimaryKey, start.Name)
	if err != nil {
		return nil, nil, err
	}
	// A scan that goes on from where it was would never end.
	if key == start || len(rows) > 0 && key == rows[len(rows)-1].PrimaryKey {
		return nil, nil, shapeError("the answer goes on from a row that was read")
	}
	return rows, &key, nil
}

func sdkPrimaryKey(key PrimaryKey) *sdk.PrimaryKey {
	return &sdk.PrimaryKey{PrimaryKeys: []*sdk.PrimaryKeyColumn{{ColumnName: key.Name, Value: key.Value}}}
}

// askedRow converts a row of an answer and makes sure that it is the one that was asked for: another id's value
// must never be returned as this id's.
func askedRow(asked PrimaryKey, key *sdk.PrimaryKey, columns []*sdk.AttributeColumn, projected bool) (*Row, error) {
	if len(key.PrimaryKeys) == 0 {
		if len(columns) > 0 {
			return nil, shapeError("the answer holds a row without a primary key")
		}
		return nil, nil
	}
	found, err := primaryKeyOf(key, asked.Name)
	if err != nil {
		return nil, err
	}
	if found != asked {
		return nil, shapeError(fmt.Sprintf("the answer holds the row %q, not %q that was asked for", found.Value, asked.Value))
	}
	if projected && len(columns) == 0 {
		return nil, nil
	}
	converted, err := columnsOf(columns)
	if err != nil {
		return nil, err
	}
	return &Row{PrimaryKey: found, Columns: converted}, nil
}

func primaryKeyOf(key *sdk.PrimaryKey, name string) (PrimaryKey, error) {
	if key == nil || len(key.PrimaryKeys) != 1 {
		return PrimaryKey{}, shapeError("the answer holds a primary key that is not of one column")
	}
	value, ok := key.PrimaryKeys[0].Value.(string)
	if !ok || key.PrimaryKeys[0].ColumnName != name {
		return PrimaryKey{}, shapeError(fmt.Sprintf("the answer holds a primary key that is not the STRING column %q", name))
	}
	return PrimaryKey{Name: name, Value: value}, nil
}

func columnsOf(from []*sdk.AttributeColumn) ([]Column, error) {
	columns := make([]Column, len(from))
	sorted := true
	for i, column := range from {
		if !isValue(column.Value) {
			return nil, shapeError(fmt.Sprintf("column %q is neither STRING nor INTEGER nor BINARY", column.ColumnName))
		}
		columns[i] = Column{Name: column.ColumnName, Value: column.Value, Timestamp: column.Timestamp}
		sorted = sorted && (i == 0 || columns[i-1].Name < column.ColumnName)
	}
	if sorted {
		return columns, nil
	}
	slices.SortStableFunc(columns, func(a, b Column) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(columns); i++ {
		if columns[i-1].Name == columns[i].Name {
			return nil, shapeError(fmt.Sprintf("the answer holds column %q twice", columns[i].Name))
		}
	}
	return columns, nil
}

// isValue reports whether a column can hold the value. The SDK panics on other types, and leaves nil
// where it does not know the type of a value it reads.
func isValue(value any) bool {
	switch value.(type) {
	case string, int64, []byte:
		return true
	}
	return false
}

// rowResults returns the table's results, as many as were asked for.
func rowResults(byTable map[string][]sdk.RowResult, table string, asked int) ([]sdk.RowResult, error) {
	rows := byTable[table]
	if len(rows) != asked || len(byTable) != 1 {
		return nil, shapeError(fmt.Sprintf("the answer holds %d rows of %d tables, %d rows of one table were asked for", len(rows), len(byTable), asked))
	}
	return rows, nil
}

// rowError is the failure of one row in a batch that as a whole was answered with 200.
func (c *client) rowError(operation, table string, failure sdk.Error, requestID string) *Error {
	return c.fail(&Error{
		Kind:       Service,
		Operation:  operation,
		Table:      table,
		Code:       c.redact.foreign(failure.Code),
		Message:    printable(c.redact.text(failure.Message), maxMessage),
		RequestID:  c.redact.foreign(requestID),
		HTTPStatus: 200,
	})
}

// invalid is a request that is not sent.
func (c *client) invalid(operation, table string, err error) *Error {
	return c.fail(&Error{Kind: Invalid, Operation: operation, Table: table, Message: err.Error()})
}
