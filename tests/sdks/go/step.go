package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// step is a step of the script.
type step struct {
	Name   string          `json:"name"`
	Client json.RawMessage `json:"client"`
	write
	Schema     [][]string    `json:"schema"`
	Options    *tableOptions `json:"options"`
	Throughput [2]int        `json:"throughput"`
	Read       read          `json:"read"`
	Direction  string        `json:"direction"`
	From       key           `json:"from"`
	To         key           `json:"to"`
	Limit      int32         `json:"limit"`
	Tables     []tableRows   `json:"tables"`
}

// write is a write of a row, alone or in a batch.
type write struct {
	Op        string          `json:"op"`
	Table     string          `json:"table"`
	Key       key             `json:"key"`
	Columns   [][]any         `json:"columns"` // name, value, time
	Changes   [][]any         `json:"changes"` // what, name, value or time
	Condition condition       `json:"condition"`
	Return    json.RawMessage `json:"return"` // "key" or names of columns
}

type tableOptions struct {
	TTL         int   `json:"ttl"`
	MaxVersions int   `json:"max_versions"`
	Deviation   int64 `json:"deviation"`
	AllowUpdate *bool `json:"allow_update"`
}

type condition struct {
	Row    string  `json:"row"`
	Column *filter `json:"column"`
}

type read struct {
	Columns     []string  `json:"columns"`
	MaxVersions int32     `json:"max_versions"`
	Times       *[2]int64 `json:"times"`
	Time        int64     `json:"time"`
	From        *string   `json:"from"`
	To          *string   `json:"to"`
	Filter      *filter   `json:"filter"`
}

type tableRows struct {
	Table string  `json:"table"`
	Keys  []key   `json:"keys"`
	Read  read    `json:"read"`
	Rows  []write `json:"rows"`
}

type filter struct {
	Column        string   `json:"column"`
	Is            string   `json:"is"`
	Value         string   `json:"value"`
	PassIfMissing *bool    `json:"pass_if_missing"`
	LatestOnly    *bool    `json:"latest_only"`
	And           []filter `json:"and"`
	Or            []filter `json:"or"`
	Not           *filter  `json:"not"`
	Limit         int32    `json:"limit"`
	Offset        int32    `json:"offset"`
}

type key [][2]string

func (k key) primaryKey() *tablestore.PrimaryKey {
	pk := new(tablestore.PrimaryKey)
	for _, column := range k {
		name, text := column[0], column[1]
		switch text {
		case "min":
			pk.AddPrimaryKeyColumnWithMinValue(name)
		case "max":
			pk.AddPrimaryKeyColumnWithMaxValue(name)
		case "auto":
			pk.AddPrimaryKeyColumnWithAutoIncrement(name)
		default:
			pk.AddPrimaryKeyColumn(name, value(text))
		}
	}
	return pk
}

// value reads a value of the script.
func value(text string) any {
	kind, rest, found := strings.Cut(text, ":")
	if !found {
		kind, count, _ := strings.Cut(text, "*")
		run := strings.Repeat("a", must(strconv.Atoi(count)))
		if kind == "s" {
			return run
		}
		return []byte(run)
	}
	switch kind {
	case "s":
		return rest
	case "i":
		return must(strconv.ParseInt(rest, 10, 64))
	case "d":
		return must(strconv.ParseFloat(rest, 64))
	case "b":
		return must(strconv.ParseBool(rest))
	case "x":
		return must(hex.DecodeString(rest))
	}
	panic(fmt.Sprintf("the script has an unknown value %q", text))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var comparators = map[string]tablestore.ComparatorType{
	"==": tablestore.CT_EQUAL, "!=": tablestore.CT_NOT_EQUAL, ">": tablestore.CT_GREATER_THAN, ">=": tablestore.CT_GREATER_EQUAL,
	"<": tablestore.CT_LESS_THAN, "<=": tablestore.CT_LESS_EQUAL,
}

func (f *filter) columnFilter() tablestore.ColumnFilter {
	switch {
	case f == nil:
		return nil
	case f.Limit > 0:
		return &tablestore.PaginationFilter{Limit: f.Limit, Offset: f.Offset}
	case f.Not != nil:
		return composite(tablestore.LO_NOT, *f.Not)
	case f.And != nil:
		return composite(tablestore.LO_AND, f.And...)
	case f.Or != nil:
		return composite(tablestore.LO_OR, f.Or...)
	}
	c := tablestore.NewSingleColumnCondition(f.Column, comparators[f.Is], value(f.Value))
	c.FilterIfMissing = f.PassIfMissing != nil && !*f.PassIfMissing
	c.LatestVersionOnly = f.LatestOnly == nil || *f.LatestOnly
	return c
}

func composite(operator tablestore.LogicalOperator, parts ...filter) tablestore.ColumnFilter {
	c := tablestore.NewCompositeColumnCondition(operator)
	for _, part := range parts {
		c.AddFilter(part.columnFilter())
	}
	return c
}

func (c condition) rowCondition() *tablestore.RowCondition {
	r := &tablestore.RowCondition{ColumnCondition: c.Column.columnFilter()}
	switch c.Row {
	case "EXPECT_EXIST":
		r.RowExistenceExpectation = tablestore.RowExistenceExpectation_EXPECT_EXIST
	case "EXPECT_NOT_EXIST":
		r.RowExistenceExpectation = tablestore.RowExistenceExpectation_EXPECT_NOT_EXIST
	}
	return r
}

func (r read) timeRange() *tablestore.TimeRange {
	switch {
	case r.Times != nil:
		return &tablestore.TimeRange{Start: r.Times[0], End: r.Times[1]}
	case r.Time != 0:
		return &tablestore.TimeRange{Specific: r.Time}
	}
	return nil
}
