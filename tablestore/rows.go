package tablestore

import (
	"context"
	"fmt"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// GetRow is a method of [Client].
func (c *client) GetRow(ctx context.Context, request *GetRowRequest) (row *Row, err error) {
	err = c.post(ctx, "GetRow", request.Table, encodeGetRow(request), func(_ *exchange, body []byte) (err error) {
		row, err = rowOf(request, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return row, nil
}

func rowOf(request *GetRowRequest, body []byte) (*Row, error) {
	answer, err := parseRowAnswer(body)
	if err != nil {
		return nil, err
	}
	// Of a missing row it is empty, but always there: what lacks it is no answer, and no missing row.
	if answer.row == nil {
		return nil, errNotDecodable
	}
	return decodeRow(answer.row, request.PrimaryKey, request.ColumnsToGet)
}

// BatchGetRow is a method of [Client].
func (c *client) BatchGetRow(ctx context.Context, request *BatchGetRowRequest) ([]RowResult, error) {
	if len(request.PrimaryKeys) == 0 {
		return nil, nil
	}
	results := make([]RowResult, len(request.PrimaryKeys))
	err := c.post(ctx, "BatchGetRow", request.Table, encodeBatchGetRow(request), func(x *exchange, body []byte) error {
		return batchRows(body, request.Table, len(results), func(i int, answer rowAnswer) (err error) {
			if answer.failed {
				results[i].Err = x.rowError(answer)
				return nil
			}
			results[i].Row, err = decodeRow(answer.row, request.PrimaryKeys[i], request.ColumnsToGet)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// GetRange is a method of [Client].
func (c *client) GetRange(ctx context.Context, request *GetRangeRequest) (rows []Row, next *PrimaryKey, err error) {
	const operation = "GetRange"
	body, err := encodeGetRange(request)
	if err != nil {
		return nil, nil, c.invalid(operation, request.Table, err)
	}
	err = c.post(ctx, operation, request.Table, body, func(_ *exchange, body []byte) (err error) {
		rows, next, err = rangeOf(request, body)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return rows, next, nil
}

func rangeOf(request *GetRangeRequest, body []byte) (rows []Row, next *PrimaryKey, err error) {
	var encoded, encodedNext []byte
	consumed := false
	err = fields(body, func(f field) (err error) {
		switch f.number {
		case 1:
			consumed, err = isConsumed(f.bytes)
		case 2:
			encoded = f.bytes
		case 3:
			encodedNext = f.bytes
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if !consumed || encoded == nil {
		return nil, nil, errNotDecodable
	}
	decoder, err := plainbuffer.NewDecoder(encoded)
	if err != nil {
		return nil, nil, notARow(err)
	}
	rows = []Row{}
	for decoder.More() {
		var row plainbuffer.Row
		if err := decoder.Next(&row); err != nil {
			return nil, nil, notARow(err)
		}
		key, err := keyOf(&row, request.Start.Name)
		if err != nil {
			return nil, nil, err
		}
		if err := inRange(request, rows, key); err != nil {
			return nil, nil, err
		}
		columns, err := columnsOf(row.Attributes, request.ColumnsToGet)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, Row{PrimaryKey: key, Columns: columns})
	}
	if len(encodedNext) == 0 {
		return rows, nil, nil
	}
	var row plainbuffer.Row
	if err := plainbuffer.DecodeRow(encodedNext, &row); err != nil {
		return nil, nil, notARow(err)
	}
	key, err := keyOf(&row, request.Start.Name)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case key.Value <= request.Start.Value, len(rows) > 0 && key.Value <= rows[len(rows)-1].PrimaryKey.Value:
		// A scan that goes on from where it was would never end.
		return nil, nil, shapeError("the answer goes on from a row that was read")
	case request.End != "" && key.Value > request.End:
		return nil, nil, shapeError("the answer goes on after the end of the range")
	}
	return rows, &key, nil
}

// inRange refuses a row that does not follow on the rows before it within what was asked for: an answer to another request, even one
// that is signed, would make a scan miss nodes or read some again and again.
func inRange(request *GetRangeRequest, before []Row, key PrimaryKey) error {
	switch {
	case len(before) > 0 && key == before[len(before)-1].PrimaryKey:
		return shapeError("the answer holds a row twice")
	case len(before) > 0 && key.Value < before[len(before)-1].PrimaryKey.Value:
		return shapeError("the answer holds rows that are not in order")
	case key.Value < request.Start.Value || request.End != "" && key.Value >= request.End:
		return shapeError(fmt.Sprintf("the answer holds the row %q, which is not in the range that was asked for", key.Value))
	}
	return nil
}

// rowError is the failure of one row in a batch that as a whole was answered with 200.
func (x *exchange) rowError(answer rowAnswer) *Error {
	return x.client.fail(&Error{
		Kind:       Service,
		Operation:  x.operation,
		Table:      x.table,
		Code:       x.client.redact.foreign(answer.code),
		Message:    printable(x.client.redact.text(answer.message), maxMessage),
		RequestID:  x.requestID,
		HTTPStatus: x.status,
	})
}

// invalid is a request that is not sent.
func (c *client) invalid(operation, table string, err error) *Error {
	return c.fail(&Error{Kind: Invalid, Operation: operation, Table: table, Message: err.Error()})
}
