package tablestore

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// WriteRow is a method of [Client].
func (c *client) WriteRow(ctx context.Context, table string, change *RowChange) error {
	operation := change.Kind.operation()
	converted, err := sdkChange(table, change)
	if err != nil {
		return c.invalid(operation, table, err)
	}
	return c.call(ctx, operation, table, decodeAnswer, func(sdkClient *sdk.TableStoreClient) (err error) {
		switch converted := converted.(type) {
		case *sdk.PutRowChange:
			_, err = sdkClient.PutRow(&sdk.PutRowRequest{PutRowChange: converted})
		case *sdk.UpdateRowChange:
			_, err = sdkClient.UpdateRow(&sdk.UpdateRowRequest{UpdateRowChange: converted})
		case *sdk.DeleteRowChange:
			_, err = sdkClient.DeleteRow(&sdk.DeleteRowRequest{DeleteRowChange: converted})
		}
		return err
	})
}

// BatchWriteRow is a method of [Client].
func (c *client) BatchWriteRow(ctx context.Context, table string, changes []RowChange) ([]error, error) {
	const operation = "BatchWriteRow"
	if len(changes) == 0 {
		return nil, nil
	}
	converted := make([]sdk.RowChange, len(changes))
	for i := range changes {
		var err error
		if converted[i], err = sdkChange(table, &changes[i]); err != nil {
			return nil, c.invalid(operation, table, fmt.Errorf("change %d: %w", i, err))
		}
	}
	var failures []error
	err := c.call(ctx, operation, table, decodeAnswer, func(sdkClient *sdk.TableStoreClient) error {
		answer, err := sdkClient.BatchWriteRow(&sdk.BatchWriteRowRequest{RowChangesGroupByTable: map[string][]sdk.RowChange{table: converted}})
		if err != nil {
			return err
		}
		rows, err := rowResults(answer.TableToRowsResult, table, len(changes))
		if err != nil {
			return err
		}
		failures = make([]error, len(rows))
		for i := range rows {
			if !rows[i].IsSucceed {
				failures[i] = c.rowError(operation, table, rows[i].Error, answer.RequestId)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return failures, nil
}

// operation is the name of the single-row operation.
func (k ChangeKind) operation() string {
	switch k {
	case Put:
		return "PutRow"
	case Update:
		return "UpdateRow"
	case Delete:
		return "DeleteRow"
	}
	return "WriteRow"
}

// sdkChange converts a change and refuses what the SDK would panic on or silently leave out.
func sdkChange(table string, change *RowChange) (sdk.RowChange, error) {
	for i := range change.Columns {
		if !isValue(change.Columns[i].Value) {
			return nil, fmt.Errorf("column %q holds a %T, not a string, int64 or []byte", change.Columns[i].Name, change.Columns[i].Value)
		}
	}
	condition := &sdk.RowCondition{RowExistenceExpectation: sdk.RowExistenceExpectation_IGNORE}
	if change.Condition != nil {
		filter, err := sdkFilter(change.Condition)
		if err != nil {
			return nil, err
		}
		condition.ColumnCondition = filter
	}
	key := sdkPrimaryKey(change.PrimaryKey)

	switch change.Kind {
	case Put:
		if len(change.Deletes) > 0 {
			return nil, errors.New("a Put deletes no single columns")
		}
		columns := make([]sdk.AttributeColumn, len(change.Columns))
		for i, column := range change.Columns {
			columns[i] = sdk.AttributeColumn{ColumnName: column.Name, Value: column.Value, Timestamp: column.Timestamp}
		}
		return &sdk.PutRowChange{TableName: table, PrimaryKey: key, Columns: columns, Condition: condition}, nil
	case Update:
		columns := make([]sdk.ColumnToUpdate, 0, len(change.Columns)+len(change.Deletes))
		for _, column := range change.Columns {
			columns = append(columns, sdk.ColumnToUpdate{
				ColumnName:   column.Name,
				Value:        column.Value,
				Timestamp:    column.Timestamp,
				HasTimestamp: column.Timestamp != 0,
			})
		}
		for _, remove := range change.Deletes {
			column := sdk.ColumnToUpdate{ColumnName: remove.Name, Type: sdk.DELETE_ALL_VERSION, HasType: true, IgnoreValue: true}
			if remove.Timestamp != 0 {
				column.Type, column.Timestamp, column.HasTimestamp = sdk.DELETE_ONE_VERSION, remove.Timestamp, true
			}
			columns = append(columns, column)
		}
		return &sdk.UpdateRowChange{TableName: table, PrimaryKey: key, Columns: columns, Condition: condition}, nil
	case Delete:
		if len(change.Columns) > 0 || len(change.Deletes) > 0 {
			return nil, errors.New("a Delete removes the whole row and takes no columns")
		}
		return &sdk.DeleteRowChange{TableName: table, PrimaryKey: key, Condition: condition}, nil
	}
	return nil, fmt.Errorf("unknown kind of change %d", change.Kind)
}

// sdkFilter converts a filter or condition. More than two are nested, since an error text of the service asks for
// two filters under an AND.
func sdkFilter(filter *Filter) (sdk.ColumnFilter, error) {
	first, err := sdkColumnCondition(filter)
	if err != nil {
		return nil, err
	}
	if filter.And == nil {
		return first, nil
	}
	second, err := sdkFilter(filter.And)
	if err != nil {
		return nil, err
	}
	both := sdk.NewCompositeColumnCondition(sdk.LO_AND)
	both.AddFilter(first)
	both.AddFilter(second)
	return both, nil
}

func sdkColumnCondition(filter *Filter) (*sdk.SingleColumnCondition, error) {
	if !isValue(filter.Value) {
		return nil, fmt.Errorf("the filter on column %q compares with a %T, not a string, int64 or []byte", filter.Column, filter.Value)
	}
	var comparator sdk.ComparatorType
	switch filter.Comparator {
	case Equal:
		comparator = sdk.CT_EQUAL
	case NotEqual:
		comparator = sdk.CT_NOT_EQUAL
	case LessEqual:
		comparator = sdk.CT_LESS_EQUAL
	default:
		return nil, fmt.Errorf("unknown comparator %d", filter.Comparator)
	}
	return &sdk.SingleColumnCondition{
		Comparator:  &comparator,
		ColumnName:  &filter.Column,
		ColumnValue: filter.Value,
		// The service's word is the opposite: it filters the row out. The SDK passes it on as it is.
		FilterIfMissing:   !filter.PassIfMissing,
		LatestVersionOnly: true,
	}, nil
}
