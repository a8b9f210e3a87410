package local

import (
	"math"
	"unicode/utf8"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// decodeRow reads the one row of a request. Zero bytes after it are ignored: the Node SDK sends one for each infinity in a bound.
func decodeRow(buf []byte, r *plainbuffer.Row) error {
	d, err := plainbuffer.NewDecoder(buf)
	if err != nil {
		return badRow(err)
	}
	d.MaxCells = maxCells
	if !d.More() {
		return invalid("Cell data broken, PK is empty.")
	}
	if err := d.Next(r); err != nil {
		return badRow(err)
	}
	for _, b := range d.Rest() {
		if b != 0 {
			return invalid("Cell data broken, has more data in cell, but they can't be parsed.")
		}
	}
	return nil
}

// checkKey checks a primary key against the table's: number, order, names, types and lengths of its columns. With bounds the two
// infinities are allowed, with generate the place-holder of an auto-increment column.
func (t *table) checkKey(pk []plainbuffer.Cell, bounds, generate bool) error {
	if len(pk) != len(t.key) {
		return fail(errorcode.InvalidPK, "Validate PK size fail. Input: %d, Meta: %d.", len(pk), len(t.key))
	}
	for i := range pk {
		c, meta := &pk[i], &t.key[i]
		if string(c.Name) != string(meta.name) {
			return fail(errorcode.InvalidPK, "Validate PK name fail. Input: %s, Meta: %s.", c.Name, meta.name)
		}
		if !c.HasValue {
			return invalid("No value is given for primary key name:'%s'.", c.Name)
		}
		if c.Op != plainbuffer.Put {
			return invalid("OpType cannot be given for primary key name:'%s'.", c.Name)
		}
		if c.HasTimestamp {
			return invalid("Timestamp cannot be given for primary key name:'%s'.", c.Name)
		}
		switch typ := c.Value.Type; {
		case typ == meta.typ:
		case bounds && (typ == plainbuffer.InfMin || typ == plainbuffer.InfMax):
		case typ == plainbuffer.AutoIncrement && meta.autoIncrement && generate:
		case typ == plainbuffer.AutoIncrement && meta.autoIncrement:
			return invalid("PKAutoIncr can't be used for read operations.")
		default:
			return fail(errorcode.InvalidPK, "Validate PK type fail. Input: %s, Meta: %s.", typ, meta.typ)
		}
		if n := len(c.Value.Bytes); n > maxPrimaryKeyLength {
			return invalid("The length of primary key column: '%s' exceeds the MaxLength:%d with CurrentLength:%d.", c.Name, maxPrimaryKeyLength, n)
		}
		if c.Value.Type == plainbuffer.String && !utf8.Valid(c.Value.Bytes) {
			return invalid("Value of column '%s' must be UTF8 encoding.", c.Name)
		}
	}
	return nil
}

// isKey reports whether the table's primary key has a column of this name.
func (t *table) isKey(name []byte) bool {
	for i := range t.key {
		if string(t.key[i].name) == string(name) {
			return true
		}
	}
	return false
}

// checkColumn checks the name and the value of an attribute column that is to be written.
func (t *table) checkColumn(c *plainbuffer.Cell) error {
	if len(c.Name) == 0 {
		return invalid("No name is given for attribute column.")
	}
	if !validName(string(c.Name)) {
		return invalid("Invalid column name: '%s'.", c.Name)
	}
	if t.isKey(c.Name) {
		return invalid("Duplicated attribute column name with primary key column: '%s'.", c.Name)
	}
	if !c.HasValue {
		return nil
	}
	switch v := &c.Value; v.Type {
	case plainbuffer.Integer, plainbuffer.Boolean:
	case plainbuffer.Double:
		if f := v.Float(); math.IsNaN(f) {
			return invalid("NaN can't be set to double value.")
		} else if math.IsInf(f, 0) {
			return invalid("Infinity can't be set to double value.")
		}
	case plainbuffer.String, plainbuffer.Blob:
		if len(v.Bytes) > maxValueLength {
			return invalid("The length of attribute column: '%s' exceeds the MaxLength:%d with CurrentLength:%d.", c.Name, maxValueLength, len(v.Bytes))
		}
		if v.Type == plainbuffer.String && !utf8.Valid(v.Bytes) {
			return invalid("Value of column '%s' must be UTF8 encoding.", c.Name)
		}
	default:
		return invalid("%s is an invalid type for the attribute column.", v.Type)
	}
	return nil
}

// checkTimestamp checks a cell time given by the client against the table's deviation and time to live, in whole seconds as the
// service does.
func (o *tableOptions) checkTimestamp(c *plainbuffer.Cell, now int64) error {
	if c.Timestamp < 0 || c.Timestamp >= maxTimestamp {
		return invalid("Timestamp must be in range [0, INT64_MAX/1000).")
	}
	ts, sec := c.Timestamp/1000, now/1000
	low, high := sec-min(o.deviation, sec), sec+min(o.deviation, math.MaxInt64-sec)
	if o.timeToLive > 0 {
		low = max(low, sec-int64(o.timeToLive))
	}
	if ts < low || ts >= high {
		return invalid("Invalid timestamp. Cell: %s.", c.Name)
	}
	return nil
}

// keySize is the accounted size of a primary key.
func keySize(pk []plainbuffer.Cell) int {
	n := 0
	for i := range pk {
		n += len(pk[i].Name) + pk[i].Value.Size()
	}
	return n
}
