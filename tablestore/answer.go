package tablestore

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// shapeError says what is wrong with an answer whose MD5 and signature are right.
type shapeError string

func (e shapeError) Error() string { return string(e) }

var errNotDecodable = shapeError("the answer cannot be decoded: it is not the message that belongs to the operation")

// field is one field of a protobuf message: its bytes, or its number.
type field struct {
	number protowire.Number
	bytes  []byte
	value  uint64
}

// fields calls f for each field that has bytes or a number. Unknown fields are the caller's to ignore.
func fields(message []byte, f func(field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errNotDecodable
		}
		message = message[n:]
		one := field{number: number}
		switch kind {
		case protowire.BytesType:
			one.bytes, n = protowire.ConsumeBytes(message)
			if n >= 0 && one.bytes == nil {
				one.bytes = []byte{}
			}
		case protowire.VarintType:
			one.value, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return errNotDecodable
		}
		message = message[n:]
		if err := f(one); err != nil {
			return err
		}
	}
	return nil
}

// rowAnswer is the answer to a single-row operation, or one row of a batch: both have these fields under
// other numbers.
type rowAnswer struct {
	failed   bool
	code     string
	message  string
	consumed bool
	row      []byte
}

// parseRowAnswer reads GetRowResponse, PutRowResponse, UpdateRowResponse and DeleteRowResponse.
func parseRowAnswer(body []byte) (a rowAnswer, err error) {
	err = fields(body, func(f field) (err error) {
		switch f.number {
		case 1:
			a.consumed, err = isConsumed(f.bytes)
		case 2:
			a.row = f.bytes
		}
		return err
	})
	if err == nil && !a.consumed {
		err = errNotDecodable
	}
	return a, err
}

// parseBatchRow reads RowInBatchGetRowResponse and RowInBatchWriteRowResponse.
func parseBatchRow(message []byte) (a rowAnswer, err error) {
	said := false
	err = fields(message, func(f field) (err error) {
		switch f.number {
		case 1:
			said, a.failed = true, f.value == 0
		case 2:
			a.code, a.message, err = parseError(f.bytes)
		case 4:
			a.row = f.bytes
		}
		return err
	})
	switch {
	case err != nil:
		return a, err
	case !said, a.failed && a.code == "":
		return a, errNotDecodable
	}
	return a, nil
}

func parseError(message []byte) (code, text string, err error) {
	err = fields(message, func(f field) error {
		switch f.number {
		case 1:
			code = string(f.bytes)
		case 2:
			text = string(f.bytes)
		}
		return nil
	})
	return code, text, err
}

// isConsumed reports whether the message is a ConsumedCapacity, which answers must hold; its numbers are for bills.
func isConsumed(message []byte) (is bool, err error) {
	err = fields(message, func(f field) error {
		is = is || f.number == 1 && f.bytes != nil
		return nil
	})
	return is, err
}

// batchRows calls f for each row of a BatchGetRow or BatchWriteRow answer, which must hold asked rows of one table.
func batchRows(body []byte, table string, asked int, f func(i int, a rowAnswer) error) error {
	tables, rows, name := 0, 0, ""
	err := fields(body, func(inBody field) error {
		if inBody.number != 1 {
			return nil
		}
		tables++
		return fields(inBody.bytes, func(inTable field) error {
			switch inTable.number {
			case 1:
				name = string(inTable.bytes)
			case 2:
				rows++
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if rows != asked || tables != 1 || name != table {
		return shapeError(fmt.Sprintf("the answer holds %d rows of %d tables, %d rows of one table were asked for", rows, tables, asked))
	}
	i := 0
	return fields(body, func(inBody field) error {
		if inBody.number != 1 {
			return nil
		}
		return fields(inBody.bytes, func(inTable field) error {
			if inTable.number != 2 {
				return nil
			}
			a, err := parseBatchRow(inTable.bytes)
			if err == nil {
				err = f(i, a)
			}
			i++
			return err
		})
	})
}

// decodeRow reads the row of an answer and makes sure that it is the one that was asked for: another id's value
// must never be returned as this id's. The row's values alias the answer.
func decodeRow(encoded []byte, asked PrimaryKey, columnsToGet []string) (*Row, error) {
	if len(encoded) == 0 {
		return nil, nil
	}
	var row plainbuffer.Row
	if err := plainbuffer.DecodeRow(encoded, &row); err != nil {
		return nil, notARow(err)
	}
	if len(row.PrimaryKey) == 0 {
		return nil, shapeError("the answer holds a row without a primary key")
	}
	found, err := keyOf(&row, asked.Name)
	if err != nil {
		return nil, err
	}
	if found != asked {
		return nil, shapeError(fmt.Sprintf("the answer holds the row %q, not %q that was asked for", found.Value, asked.Value))
	}
	if len(columnsToGet) > 0 && len(row.Attributes) == 0 {
		return nil, nil
	}
	columns, err := columnsOf(row.Attributes, columnsToGet)
	if err != nil {
		return nil, err
	}
	return &Row{PrimaryKey: asked, Columns: columns}, nil
}

func notARow(err error) error {
	return shapeError("the answer cannot be decoded: " + err.Error())
}

func keyOf(row *plainbuffer.Row, name string) (PrimaryKey, error) {
	if len(row.PrimaryKey) != 1 {
		return PrimaryKey{}, shapeError("the answer holds a primary key that is not of one column")
	}
	cell := &row.PrimaryKey[0]
	if !cell.HasValue || cell.Value.Type != plainbuffer.String || string(cell.Name) != name || !utf8.Valid(cell.Value.Bytes) {
		return PrimaryKey{}, shapeError(fmt.Sprintf("the answer holds a primary key that is not the STRING column %q", name))
	}
	return PrimaryKey{Name: name, Value: string(cell.Value.Bytes)}, nil
}

func columnsOf(cells []plainbuffer.Cell, columnsToGet []string) ([]Column, error) {
	columns := make([]Column, len(cells))
	sorted := true
	for i := range cells {
		cell := &cells[i]
		column := &columns[i]
		column.Name, column.Timestamp = nameOf(cell.Name, columnsToGet), cell.Timestamp
		switch {
		case !cell.HasValue:
			return nil, shapeError(fmt.Sprintf("the answer holds column %q without a value", column.Name))
		case cell.Value.Type == plainbuffer.Blob:
			column.Value = cell.Value.Bytes
		case cell.Value.Type == plainbuffer.Integer:
			column.Value = cell.Value.Int()
		case cell.Value.Type == plainbuffer.String:
			column.Value = string(cell.Value.Bytes)
		case cell.Value.Type == plainbuffer.Double:
			column.Value = cell.Value.Float()
		case cell.Value.Type == plainbuffer.Boolean:
			column.Value = cell.Value.Bool()
		default:
			return nil, shapeError(fmt.Sprintf("column %q is neither STRING nor INTEGER nor BINARY nor DOUBLE nor BOOLEAN", column.Name))
		}
		sorted = sorted && (i == 0 || columns[i-1].Name < column.Name)
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

// nameOf spares an allocation for the names that were asked for.
func nameOf(name []byte, columnsToGet []string) string {
	for _, known := range columnsToGet {
		if string(name) == known {
			return known
		}
	}
	return string(name)
}
