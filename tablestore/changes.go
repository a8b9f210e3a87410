package tablestore

import "context"

// WriteRow is a method of [Client].
func (c *client) WriteRow(ctx context.Context, table string, change *RowChange) error {
	operation := change.Kind.operation()
	body, err := encodeChange(table, change)
	if err != nil {
		return c.invalid(operation, table, err)
	}
	return c.post(ctx, operation, table, body, written)
}

// written makes sure that a good answer is one to a write.
func written(_ *exchange, body []byte) error {
	_, err := parseRowAnswer(body)
	return err
}

// BatchWriteRow is a method of [Client].
func (c *client) BatchWriteRow(ctx context.Context, table string, changes []RowChange) ([]error, error) {
	const operation = "BatchWriteRow"
	if len(changes) == 0 {
		return nil, nil
	}
	body, err := encodeBatchWriteRow(table, changes)
	if err != nil {
		return nil, c.invalid(operation, table, err)
	}
	failures := make([]error, len(changes))
	err = c.post(ctx, operation, table, body, func(x *exchange, body []byte) error {
		return batchRows(body, table, len(changes), func(i int, answer rowAnswer) error {
			if answer.failed {
				failures[i] = x.rowError(answer)
			}
			return nil
		})
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
