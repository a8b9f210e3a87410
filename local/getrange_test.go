package local

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// scan carries a GetRange out and returns its rows and the key to go on with.
func (s *TestServer) scan(t testing.TB, m *otsprotocol.GetRangeRequest) ([]plainbuffer.Row, []plainbuffer.Cell) {
	t.Helper()
	var response otsprotocol.GetRangeResponse
	if err := unmarshal(s.must(t, "GetRange", m), &response); err != nil {
		t.Fatal(err)
	}
	rows, err := plainbuffer.Decode(response.Rows)
	if err != nil {
		t.Fatal(err)
	}
	if len(response.NextStartPrimaryKey) == 0 {
		return rows, nil
	}
	var next plainbuffer.Row
	if err := plainbuffer.DecodeRow(response.NextStartPrimaryKey, &next); err != nil {
		t.Fatal(err)
	}
	return rows, next.PrimaryKey
}

const (
	forward  = otsprotocol.Direction_FORWARD
	backward = otsprotocol.Direction_BACKWARD
)

func ids(rows []plainbuffer.Row) string {
	var out []string
	for _, row := range rows {
		out = append(out, valueText(row.PrimaryKey[len(row.PrimaryKey)-1].Value))
	}
	return strings.Join(out, " ")
}

func TestRangeBounds(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil, keySchema{"g", otsprotocol.PrimaryKeyType_STRING}, keySchema{"n", otsprotocol.PrimaryKeyType_INTEGER})
	for _, g := range []string{"a", "b"} {
		for n := -2; n <= 2; n++ {
			s.must(t, "PutRow", putRequest([]plainbuffer.Cell{cell("g", g), cell("n", n)}, cell("x", 1)))
		}
	}
	key := func(g, n any) []plainbuffer.Cell { return []plainbuffer.Cell{cell("g", g), cell("n", n)} }
	const low, high = plainbuffer.InfMin, plainbuffer.InfMax
	for _, tt := range []struct {
		name       string
		direction  otsprotocol.Direction
		begin, end []plainbuffer.Cell
		want       string
	}{
		{"all", forward, key(low, low), key(high, high), "-2 -1 0 1 2 -2 -1 0 1 2"},
		{"all backward", backward, key(high, high), key(low, low), "2 1 0 -1 -2 2 1 0 -1 -2"},
		{"one group", forward, key("a", low), key("a", high), "-2 -1 0 1 2"},
		{"begin is in, end is not", forward, key("a", -1), key("b", -1), "-1 0 1 2 -2"},
		{"begin is in, end is not, backward", backward, key("b", -1), key("a", -1), "-1 -2 2 1 0"},
		{"end after the last column's values", forward, key("a", 2), key("b", low), "2"},
		{"mixed infinities", forward, key("a", high), key("b", 0), "-2 -1"},
		{"mixed infinities backward", backward, key("b", low), key("a", 1), "2"},
		{"between keys", forward, key("aa", 0), key("ab", 0), ""},
		{"one row", forward, key("a", 0), key("a", 1), "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, next := s.scan(t, rangeRequest(tt.direction, tt.begin, tt.end))
			if got := ids(rows); got != tt.want || next != nil {
				t.Errorf("got %q, want %q, next %v", got, tt.want, next)
			}
			// Row by row it must come to the same.
			var seen []plainbuffer.Row
			for begin := tt.begin; begin != nil; {
				m := rangeRequest(tt.direction, begin, tt.end)
				m.Limit = ptr(int32(1))
				rows, begin = s.scan(t, m)
				seen = append(seen, rows...)
			}
			if got := ids(seen); got != tt.want {
				t.Errorf("row by row: %q, want %q", got, tt.want)
			}
		})
	}
	const less, more = "Begin key must less than end key in FORWARD", "Begin key must more than end key in BACKWARD"
	s.refused(t, "GetRange", rangeRequest(forward, key("b", 0), key("a", 0)), "OTSParameterInvalid", less)
	s.refused(t, "GetRange", rangeRequest(forward, key("a", 0), key("a", 0)), "OTSParameterInvalid", less)
	s.refused(t, "GetRange", rangeRequest(forward, key("a", high), key("a", low)), "OTSParameterInvalid", less)
	s.refused(t, "GetRange", rangeRequest(backward, key("a", 0), key("b", 0)), "OTSParameterInvalid", more)
	m := rangeRequest(forward, key(low, low), key(high, high))
	m.Limit = ptr(int32(0))
	s.refused(t, "GetRange", m, "OTSParameterInvalid", "The limit must be greater than 0.")
	m = rangeRequest(forward, key(low, low), key(high, high))
	m.TableName = ptr("u")
	s.refused(t, "GetRange", m, "OTSParameterInvalid", "Request table not exist")
	s.refused(t, "GetRange", rangeRequest(forward, key(low, "x"), key(high, high)), "OTSInvalidPK", "Validate PK type fail. Input: VT_STRING, Meta: VT_INTEGER.")
}

func allRange() *otsprotocol.GetRangeRequest {
	return rangeRequest(forward, []plainbuffer.Cell{cell("id", plainbuffer.InfMin)}, []plainbuffer.Cell{cell("id", plainbuffer.InfMax)})
}

func TestRangeStopsAtItsLimits(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	for from := 0; from < 5010; from += 200 {
		m := &otsprotocol.BatchWriteRowRequest{Tables: []*otsprotocol.TableInBatchWriteRowRequest{{TableName: ptr("t")}}}
		for i := from; i < min(from+200, 5010); i++ {
			m.Tables[0].Rows = append(m.Tables[0].Rows, batchPut(fmt.Sprintf("%05d", i), cell("x", i%2)))
		}
		s.must(t, "BatchWriteRow", m)
	}
	rows, next := s.scan(t, allRange())
	if len(rows) != 5000 || string(next[0].Value.Bytes) != "05000" {
		t.Errorf("%d rows, next %v", len(rows), next)
	}
	m := allRange()
	m.Filter = comparison("x", otsprotocol.ComparatorType_CT_EQUAL, cell("", 7).Value, false, true)
	rows, next = s.scan(t, m)
	if len(rows) != 0 || string(next[0].Value.Bytes) != "05000" {
		t.Errorf("filtered: %d rows, next %v", len(rows), next)
	}

	for i := range 5 {
		s.must(t, "PutRow", putRequest(idKey(fmt.Sprint("large", i)), cell("x", make([]byte, 1<<20))))
	}
	m = allRange()
	m.InclusiveStartPrimaryKey = getRequest(idKey("large0")).PrimaryKey
	rows, next = s.scan(t, m)
	if len(rows) != 3 || string(next[0].Value.Bytes) != "large3" {
		t.Errorf("large: %d rows, next %v", len(rows), next)
	}
}

func TestRangeSkipsRowsWithoutTheWantedColumns(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1)))
	s.must(t, "PutRow", putRequest(idKey("b"), cell("y", 1)))
	s.must(t, "PutRow", putRequest(idKey("c"))) // only a key
	for want, columns := range map[string][]string{"a b c": nil, "a": {"x"}, "a b c ": {"id"}, "a b": {"y", "x"}, "": {"z"}} {
		m := allRange()
		m.ColumnsToGet = columns
		if rows, _ := s.scan(t, m); ids(rows) != strings.TrimSpace(want) {
			t.Errorf("columns %v: rows %s", columns, ids(rows))
		}
	}
}

func TestRangeUnits(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	for i := range 10 {
		s.must(t, "PutRow", putRequest(idKey(decimal(int64(i))), cell("x", make([]byte, 400))))
	}
	var response otsprotocol.GetRangeResponse
	if err := unmarshal(s.must(t, "GetRange", allRange()), &response); err != nil {
		t.Fatal(err)
	}
	if units := response.Consumed.CapacityUnit.GetRead(); units != 2 {
		t.Errorf("10 rows of 412 bytes cost %d", units)
	}
}
