package local

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// The comparators that otsprotocol does not have.
const (
	comparatorExist    otsprotocol.ComparatorType = 7
	comparatorNotExist otsprotocol.ComparatorType = 8
)

// filter is a decoded Filter message: a comparison, a combination, or a page of columns.
type filter struct {
	kind otsprotocol.FilterType

	comparator otsprotocol.ComparatorType
	column     []byte
	value      plainbuffer.Value
	ifMissing  bool // a row without the column passes
	latestOnly bool
	rule       *regexp.Regexp // what of a STRING to compare, nil for all
	castTo     plainbuffer.Type

	combinator otsprotocol.LogicalOperator
	subFilters []*filter

	offset, limit int
}

// parseFilter decodes a filter of a read, or the column condition of a write; the latter cannot have pages.
func parseFilter(data []byte, condition bool) (*filter, error) {
	count := 0
	return parseSubFilter(data, !condition, &count)
}

func parseSubFilter(data []byte, pages bool, count *int) (*filter, error) {
	var m otsprotocol.Filter
	if unmarshal(data, &m) != nil {
		return nil, invalid("Deserialize filter failed.")
	}
	return buildFilter(&m, pages, count)
}

func buildFilter(m *otsprotocol.Filter, pages bool, count *int) (*filter, error) {
	if *count++; *count > maxFilters {
		return nil, invalid("The count of filter exceeds the max:%d.", maxFilters)
	}
	switch m.GetType() {
	case otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE:
		return parseComparison(m.GetFilter())
	case otsprotocol.FilterType_FT_COMPOSITE_COLUMN_VALUE:
		return parseCombination(m.GetFilter(), count)
	case otsprotocol.FilterType_FT_COLUMN_PAGINATION:
		if !pages {
			return nil, invalid("Invalid type of sub-filter: %d.", m.GetType())
		}
		return parsePage(m.GetFilter())
	}
	return nil, invalid("Invalid type of filter: %d.", m.GetType())
}

func parseComparison(data []byte) (*filter, error) {
	var m otsprotocol.SingleColumnValueFilter
	if unmarshal(data, &m) != nil {
		return nil, invalid("Deserialize relation filter failed.")
	}
	f := &filter{
		kind: otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE, comparator: m.GetComparator(), column: []byte(m.GetColumnName()),
		ifMissing: !m.GetFilterIfMissing(), latestOnly: m.GetLatestVersionOnly(),
	}
	if f.comparator < otsprotocol.ComparatorType_CT_EQUAL || f.comparator > comparatorNotExist {
		return nil, invalid("Invalid relation operator: %d.", f.comparator)
	}
	if !validName(m.GetColumnName()) {
		return nil, invalid("Invalid column name: '%s'.", m.GetColumnName())
	}
	var err error
	if f.comparator < comparatorExist {
		if f.value, err = plainbuffer.DecodeValue(m.GetColumnValue()); err != nil {
			return nil, badRow(err)
		}
	}
	if rule := m.GetValueTransRule(); rule != nil {
		if f.rule, err = compileRule(rule.GetRegex()); err != nil {
			return nil, invalid("Invalid regex of value transfer rule: %s.", rule.GetRegex())
		}
		f.castTo = plainbuffer.String
		if rule.CastType != nil {
			f.castTo = plainbuffer.Type(rule.GetCastType())
		}
	}
	return f, nil
}

// maxRuleSize bounds what a regular expression is compiled to: a few bytes of repetitions can become megabytes otherwise, and a batch
// may have thousands of them.
const maxRuleSize = 1000

var errRuleTooLarge = errors.New("the regular expression is too large")

// compileRule compiles the expression that cuts out what of a value is compared.
func compileRule(expression string) (*regexp.Regexp, error) {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if ruleSize(parsed) > maxRuleSize {
		return nil, errRuleTooLarge
	}
	return regexp.Compile(expression)
}

// ruleSize is about how many instructions an expression has when its repetitions are written out.
func ruleSize(e *syntax.Regexp) int {
	size := 1 + len(e.Rune)
	for _, sub := range e.Sub {
		size += ruleSize(sub)
	}
	if e.Op == syntax.OpRepeat {
		size *= max(1, e.Min, e.Max)
	}
	return min(size, maxRuleSize+1)
}

func parseCombination(data []byte, count *int) (*filter, error) {
	var m otsprotocol.CompositeColumnValueFilter
	if unmarshal(data, &m) != nil {
		return nil, invalid("Deserialize composite filter failed.")
	}
	f := &filter{kind: otsprotocol.FilterType_FT_COMPOSITE_COLUMN_VALUE, combinator: m.GetCombinator()}
	switch n := len(m.GetSubFilters()); f.combinator {
	case otsprotocol.LogicalOperator_LO_NOT:
		if n != 1 {
			return nil, invalid("Invalid NOT operator: the number of sub-filters must be 1.")
		}
	case otsprotocol.LogicalOperator_LO_AND, otsprotocol.LogicalOperator_LO_OR:
		// The text speaks of two, but the SDKs put any number of filters under one operator, and the service takes them.
		if n < 2 {
			return nil, invalid("Invalid AND/OR operator: the number of sub-filters must be 2.")
		}
	default:
		return nil, invalid("Invalid relation operator: %d.", f.combinator)
	}
	for _, sub := range m.GetSubFilters() {
		s, err := buildFilter(sub, false, count)
		if err != nil {
			return nil, err
		}
		f.subFilters = append(f.subFilters, s)
	}
	return f, nil
}

func parsePage(data []byte) (*filter, error) {
	var m otsprotocol.ColumnPaginationFilter
	if unmarshal(data, &m) != nil {
		return nil, invalid("Deserialize column pagination filter failed.")
	}
	if m.GetOffset() < 0 {
		return nil, invalid("Offset in ColumnPaginationFilter must be greater than or equal to 0.")
	}
	if m.GetLimit() <= 0 {
		return nil, invalid("Limit in ColumnPaginationFilter must be greater than 0.")
	}
	return &filter{kind: otsprotocol.FilterType_FT_COLUMN_PAGINATION, offset: int(m.GetOffset()), limit: int(m.GetLimit())}, nil
}

// filterRow is what a filter sees of a row.
type filterRow struct {
	pk    []plainbuffer.Cell
	cells []*storedCell           // sorted by name, newest first
	load  func(*storedCell) error // makes the value of a cell available
}

// matches reports whether the row meets the filter.
func (f *filter) matches(r *filterRow) (bool, error) {
	switch f.kind {
	case otsprotocol.FilterType_FT_SINGLE_COLUMN_VALUE:
		return f.compare(r)
	case otsprotocol.FilterType_FT_COMPOSITE_COLUMN_VALUE:
		for _, sub := range f.subFilters {
			ok, err := sub.matches(r)
			if err != nil {
				return false, err
			}
			switch {
			case f.combinator == otsprotocol.LogicalOperator_LO_NOT:
				return !ok, nil
			case ok == (f.combinator == otsprotocol.LogicalOperator_LO_OR):
				return ok, nil
			}
		}
		return f.combinator == otsprotocol.LogicalOperator_LO_AND, nil
	}
	return true, nil
}

func (f *filter) compare(r *filterRow) (bool, error) {
	// Recorded answers show that filters see the columns of the primary key like any other.
	for i := range r.pk {
		if bytes.Equal(r.pk[i].Name, f.column) {
			return f.comparator == comparatorExist || f.comparator < comparatorExist && f.holds(r.pk[i].Value), nil
		}
	}
	found := false
	for _, c := range r.cells {
		if !bytes.Equal(c.Name, f.column) {
			if found {
				break
			}
			continue
		}
		found = true
		if f.comparator >= comparatorExist {
			break
		}
		if err := r.load(c); err != nil {
			return false, err
		}
		if f.holds(c.Value) {
			return true, nil
		}
		if f.latestOnly {
			return false, nil
		}
	}
	switch f.comparator {
	case comparatorExist:
		return found, nil
	case comparatorNotExist:
		return !found, nil
	}
	return !found && f.ifMissing, nil
}

// holds compares one value. Values of different types are only unequal.
func (f *filter) holds(v plainbuffer.Value) bool {
	if f.rule != nil {
		var ok bool
		if v, ok = f.transform(v); !ok {
			return false
		}
	}
	if v.Type != f.value.Type {
		return f.comparator == otsprotocol.ComparatorType_CT_NOT_EQUAL
	}
	d := compareValues(v, f.value)
	switch f.comparator {
	case otsprotocol.ComparatorType_CT_EQUAL:
		return d == 0
	case otsprotocol.ComparatorType_CT_NOT_EQUAL:
		return d != 0
	case otsprotocol.ComparatorType_CT_GREATER_THAN:
		return d > 0
	case otsprotocol.ComparatorType_CT_GREATER_EQUAL:
		return d >= 0
	case otsprotocol.ComparatorType_CT_LESS_THAN:
		return d < 0
	case otsprotocol.ComparatorType_CT_LESS_EQUAL:
		return d <= 0
	}
	return false
}

// transform takes the first group of the rule's match in a STRING, or the whole match, as the type that the rule names.
func (f *filter) transform(v plainbuffer.Value) (plainbuffer.Value, bool) {
	if v.Type != plainbuffer.String {
		return v, false
	}
	m := f.rule.FindSubmatch(v.Bytes)
	if m == nil {
		return v, false
	}
	s := m[0]
	if len(m) > 1 {
		s = m[1]
	}
	switch f.castTo {
	case plainbuffer.Integer:
		n, err := strconv.ParseInt(string(s), 10, 64)
		return plainbuffer.IntegerValue(n), err == nil
	case plainbuffer.Double:
		d, err := strconv.ParseFloat(string(s), 64)
		return plainbuffer.DoubleValue(d), err == nil
	}
	return plainbuffer.Value{Type: f.castTo, Bytes: s}, f.castTo == plainbuffer.String
}

// compareValues orders two values of one type.
func compareValues(a, b plainbuffer.Value) int {
	switch a.Type {
	case plainbuffer.Integer:
		return cmp.Compare(a.Int(), b.Int())
	case plainbuffer.Double:
		return cmp.Compare(a.Float(), b.Float())
	case plainbuffer.Boolean:
		return cmp.Compare(a.Num, b.Num)
	}
	return bytes.Compare(a.Bytes, b.Bytes)
}

// page cuts cells to the columns of a pagination filter.
func (f *filter) page(cells []*storedCell) []*storedCell {
	kept := cells[:0]
	column := -1
	var last []byte
	for _, c := range cells {
		if column < 0 || !bytes.Equal(c.Name, last) {
			column, last = column+1, c.Name
		}
		if column >= f.offset && column-f.offset < f.limit {
			kept = append(kept, c)
		}
	}
	return kept
}
