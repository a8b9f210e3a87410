package local

import (
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

func encodeFilter(typ otsprotocol.FilterType, body []byte) []byte {
	return mustMarshal(&otsprotocol.Filter{Type: &typ, Filter: body})
}

func comparison(column string, op otsprotocol.ComparatorType, v plainbuffer.Value, dropMissing, latestOnly bool) []byte {
	return encodeFilter(otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE, mustMarshal(&otsprotocol.SingleColumnValueFilter{
		Comparator: &op, ColumnName: &column, ColumnValue: plainbuffer.AppendValue(nil, v), FilterIfMissing: &dropMissing, LatestVersionOnly: &latestOnly}))
}

func combination(op otsprotocol.LogicalOperator, subs ...[]byte) []byte {
	m := &otsprotocol.CompositeColumnValueFilter{Combinator: &op}
	for _, sub := range subs {
		f := new(otsprotocol.Filter)
		if err := unmarshal(sub, f); err != nil {
			panic(err)
		}
		m.SubFilters = append(m.SubFilters, f)
	}
	return encodeFilter(otsprotocol.FilterType_FT_COMPOSITE_COLUMN_VALUE, mustMarshal(m))
}

func page(offset, limit int32) []byte {
	return encodeFilter(otsprotocol.FilterType_FT_COLUMN_PAGINATION, mustMarshal(&otsprotocol.ColumnPaginationFilter{Offset: &offset, Limit: &limit}))
}

const (
	eq = otsprotocol.ComparatorType_CT_EQUAL
	ne = otsprotocol.ComparatorType_CT_NOT_EQUAL
	gt = otsprotocol.ComparatorType_CT_GREATER_THAN
	ge = otsprotocol.ComparatorType_CT_GREATER_EQUAL
	lt = otsprotocol.ComparatorType_CT_LESS_THAN
	le = otsprotocol.ComparatorType_CT_LESS_EQUAL

	and = otsprotocol.LogicalOperator_LO_AND
	or  = otsprotocol.LogicalOperator_LO_OR
	not = otsprotocol.LogicalOperator_LO_NOT
)

func TestFilters(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "t", versionsOf(2))
	now := start.UnixMilli()
	large := make([]byte, 100000)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("i", 5).At(now), cell("i", 9).At(now-1000), cell("s", "mm"), cell("d", 1.5), cell("b", true), cell("z", large)))
	value := func(v any) plainbuffer.Value { return cell("", v).Value }
	yes := comparison("i", eq, value(5), true, true)
	no := comparison("i", eq, value(6), true, true)
	rule := func(regex string, cast otsprotocol.VariantType, op otsprotocol.ComparatorType, v any) []byte {
		return encodeFilter(otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE, mustMarshal(&otsprotocol.SingleColumnValueFilter{
			Comparator: op.Enum(), ColumnName: ptr("s"), ColumnValue: plainbuffer.AppendValue(nil, value(v)), FilterIfMissing: ptr(true), LatestVersionOnly: ptr(true),
			ValueTransRule: &otsprotocol.ValueTransferRule{Regex: &regex, CastType: &cast}}))
	}
	for _, tt := range []struct {
		name   string
		filter []byte
		pass   bool
	}{
		{"=", yes, true}, {"= another", no, false},
		{"!=", comparison("i", ne, value(6), true, true), true}, {"!= the same", comparison("i", ne, value(5), true, true), false},
		{">", comparison("i", gt, value(4), true, true), true}, {"> the same", comparison("i", gt, value(5), true, true), false},
		{">=", comparison("i", ge, value(5), true, true), true}, {">= more", comparison("i", ge, value(6), true, true), false},
		{"<", comparison("i", lt, value(6), true, true), true}, {"< the same", comparison("i", lt, value(5), true, true), false},
		{"<=", comparison("i", le, value(5), true, true), true}, {"<= less", comparison("i", le, value(4), true, true), false},
		{"negative integers", comparison("i", gt, value(-1), true, true), true},
		{"an older version", comparison("i", eq, value(9), true, false), true}, {"only the newest version", comparison("i", eq, value(9), true, true), false},
		{"string", comparison("s", gt, value("m"), true, true), true}, {"double", comparison("d", lt, value(1.6), true, true), true},
		{"boolean", comparison("b", eq, value(true), true, true), true}, {"a large value", comparison("z", eq, value(large), true, true), true},
		{"another type", comparison("i", eq, value("5"), true, true), false}, {"another type is unequal", comparison("i", ne, value("5"), true, true), true},
		{"missing passes", comparison("x", eq, value(1), false, true), true}, {"missing does not pass", comparison("x", eq, value(1), true, true), false},
		{"exists", comparison("i", comparatorExist, value(0), true, true), true}, {"does not exist", comparison("i", comparatorNotExist, value(0), true, true), false},
		{"missing exists not", comparison("x", comparatorNotExist, value(0), true, true), true}, {"missing exists", comparison("x", comparatorExist, value(0), false, true), false},
		{"and", combination(and, yes, yes), true}, {"and of one that fails", combination(and, yes, no), false},
		{"or", combination(or, no, yes), true}, {"or of two that fail", combination(or, no, no), false}, {"three under one or", combination(or, no, no, yes), true},
		{"not", combination(not, no), true}, {"not of one that passes", combination(not, yes), false},
		{"key column", comparison("id", ge, value("a"), true, true), true}, {"key column differs", comparison("id", gt, value("a"), true, true), false},
		{"nested", combination(and, combination(or, no, combination(not, no)), yes), true},
		{"regular expression", rule("^(m)", otsprotocol.VariantType_VT_STRING, eq, "m"), true},
		{"regular expression without match", rule("^x", otsprotocol.VariantType_VT_STRING, eq, "m"), false},
		{"regular expression to a number", rule("m", otsprotocol.VariantType_VT_INTEGER, eq, 1), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := getRequest(idKey("a"))
			m.MaxVersions = ptr(int32(2))
			m.Filter = tt.filter
			if row, units := s.get(t, m); (row != nil) != tt.pass || units < 2 {
				t.Errorf("passes: %t, units %d", row != nil, units)
			}
		})
	}
	projected := getRequest(idKey("a"))
	projected.Filter, projected.ColumnsToGet = yes, []string{"s"}
	if row, _ := s.get(t, projected); row != nil {
		t.Error("the filter saw a column that was not asked for")
	}
	for _, tt := range []struct {
		filter []byte
		want   string
	}{
		{page(0, 2), "b=VT_BOOLEAN d=VT_DOUBLE"}, {page(2, 2), "i=5 i=9 s=mm"}, {page(4, 9), "z=100000B"}, {page(5, 1), "none"},
	} {
		m := getRequest(idKey("a"))
		m.MaxVersions = ptr(int32(2))
		m.Filter = tt.filter
		if row, _ := s.get(t, m); text(row, time.Time{}) != tt.want {
			t.Errorf("page %x: %s, want %s", tt.filter, text(row, time.Time{}), tt.want)
		}
	}
}

// ruled is a comparison of what the expression cuts out of the column i.
func ruled(expression string) []byte {
	return encodeFilter(otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE, mustMarshal(&otsprotocol.SingleColumnValueFilter{
		ColumnName: ptr("i"), Comparator: otsprotocol.ComparatorType_CT_EQUAL.Enum(), FilterIfMissing: ptr(true), LatestVersionOnly: ptr(true),
		ColumnValue: plainbuffer.AppendValue(nil, plainbuffer.IntegerValue(7)), ValueTransRule: &otsprotocol.ValueTransferRule{
			Regex: &expression, CastType: otsprotocol.VariantType_VT_INTEGER.Enum()}}))
}

func TestFiltersThatAreRefused(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	one := comparison("i", eq, cell("", 1).Value, true, true)
	many := [][]byte{one, one, one, one, one, one, one, one, one, one}
	for message, filter := range map[string][]byte{
		"Invalid NOT operator: the number of sub-filters must be 1.":           combination(not, one, one),
		"Invalid AND/OR operator: the number of sub-filters must be 2.":        combination(and, one),
		"The count of filter exceeds the max:10.":                              combination(or, many...),
		"Invalid type of filter: 9.":                                           encodeFilter(9, []byte{0}),
		"Deserialize relation filter failed.":                                  encodeFilter(otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE, []byte{1}),
		"Deserialize composite filter failed.":                                 encodeFilter(otsprotocol.FilterType_FT_COMPOSITE_COLUMN_VALUE, []byte{1}),
		"Deserialize column pagination filter failed.":                         encodeFilter(otsprotocol.FilterType_FT_COLUMN_PAGINATION, []byte{1}),
		"Offset in ColumnPaginationFilter must be greater than or equal to 0.": page(-1, 1),
		"Limit in ColumnPaginationFilter must be greater than 0.":              page(0, 0),
		"Invalid relation operator: 99.":                                       comparison("i", 99, cell("", 1).Value, true, true),
		"Invalid type of sub-filter: 3.":                                       combination(and, one, page(0, 1)),
		"Invalid regex of value transfer rule: (a{100}){100}.":                 ruled("(a{100}){100}"),
		"Invalid regex of value transfer rule: (.":                             ruled("("),
	} {
		m := getRequest(idKey("a"))
		m.Filter = filter
		s.refused(t, "GetRow", m, "OTSParameterInvalid", message)
	}
	m := putRequest(idKey("a"), cell("i", 1))
	m.Condition = condition(ignored, page(0, 1))
	s.refused(t, "PutRow", m, "OTSParameterInvalid", "Invalid type of sub-filter: 3.")
}
