package local

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// row reads everything of a row as text, with cell times relative to start.
func (s *TestServer) row(t testing.TB, id string) string {
	t.Helper()
	m := getRequest(idKey(id))
	m.MaxVersions = ptr(int32(math.MaxInt32))
	row, _ := s.get(t, m)
	return text(row, start)
}

func TestPutRowReplaces(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "t", versionsOf(3))
	now := start.UnixMilli()
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1).At(now+5000), cell("y", 1), cell("z", make([]byte, 100000))))
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 2).At(now-5000)))
	if got := s.row(t, "a"); got != "x=2@-5s" {
		t.Errorf("got %s", got)
	}
	s.must(t, "PutRow", putRequest(idKey("a")))
	if row, _ := s.get(t, getRequest(idKey("a"))); row == nil || len(row.Attributes) != 0 || len(row.PrimaryKey) != 1 {
		t.Errorf("a row without columns reads as %+v", row)
	}
	s.must(t, "PutRow", putRequest(idKey("a"), cell("v", 1).At(now-4), cell("v", 2).At(now-3), cell("v", 3).At(now-2), cell("v", 4).At(now-1)))
	if got := s.row(t, "a"); got != "v=4@-1ms v=3@-2ms v=2@-3ms" {
		t.Errorf("versions: %s", got)
	}
	s.must(t, "DeleteRow", deleteRequest(idKey("a")))
	if got := s.row(t, "a"); got != "none" {
		t.Errorf("after the delete: %s", got)
	}
}

func TestUpdateRow(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "t", versionsOf(3))
	now := start.UnixMilli()
	del := func(name string) plainbuffer.Cell {
		return plainbuffer.Cell{Name: []byte(name), Op: plainbuffer.DeleteAllVersion}
	}
	delOne := func(name string, ts int64) plainbuffer.Cell {
		return plainbuffer.Cell{Name: []byte(name), Op: plainbuffer.DeleteOneVersion, HasTimestamp: true, Timestamp: ts}
	}
	increment := func(name string, n int) plainbuffer.Cell {
		c := cell(name, n)
		c.Op = plainbuffer.Increment
		return c
	}
	for i, step := range []struct {
		cells []plainbuffer.Cell
		want  string
	}{
		{[]plainbuffer.Cell{del("x")}, "none"},
		{[]plainbuffer.Cell{cell("x", 1).At(now - 3), cell("y", "why")}, "x=1@-3ms y=why@0s"},
		{[]plainbuffer.Cell{cell("x", 2).At(now - 2), cell("x", 3).At(now - 1)}, "x=3@-1ms x=2@-2ms x=1@-3ms y=why@0s"},
		{[]plainbuffer.Cell{delOne("x", now-2), delOne("x", now-9)}, "x=3@-1ms x=1@-3ms y=why@0s"},
		{[]plainbuffer.Cell{increment("x", 4), increment("n", -7)}, "n=-7@0s x=7@0s x=3@-1ms x=1@-3ms y=why@0s"},
		{[]plainbuffer.Cell{increment("n", 7), cell("l", make([]byte, 100000))}, "l=100000B@0s n=0@0s x=7@0s x=3@-1ms x=1@-3ms y=why@0s"},
		{[]plainbuffer.Cell{del("x"), del("l")}, "n=0@0s y=why@0s"},
		{[]plainbuffer.Cell{del("y"), cell("y", "new")}, "n=0@0s y=new@0s"},
		{[]plainbuffer.Cell{del("n"), del("y")}, "none"},
	} {
		s.must(t, "UpdateRow", updateRequest(idKey("a"), step.cells...))
		if got := s.row(t, "a"); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	s.must(t, "PutRow", putRequest(idKey("a"), cell("s", "text")))
	s.refused(t, "UpdateRow", updateRequest(idKey("a"), increment("s", 1)), "OTSParameterInvalid", "The column 's' to increment is not an integer.")
}

func TestWritesThatAreRefused(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "t", nil)
	pk := idKey("a")
	op := func(c plainbuffer.Cell, op plainbuffer.Op) plainbuffer.Cell { c.Op = op; return c }
	bare := func(name string) plainbuffer.Cell { return plainbuffer.Cell{Name: []byte(name)} }
	var many []plainbuffer.Cell
	for i := range 1025 {
		many = append(many, cell(fmt.Sprint("c", i), i))
	}
	large := make([]byte, 2<<20)
	for _, tt := range []struct {
		message string
		cells   []plainbuffer.Cell
	}{
		{"OpType cannot be given for column name: 'x' in PutRow.", []plainbuffer.Cell{op(cell("x", 1), plainbuffer.Increment)}},
		{"Invalid request of put row: find cells without values.", []plainbuffer.Cell{bare("x")}},
		{"Invalid column name: '1x'.", []plainbuffer.Cell{cell("1x", 1)}},
		{"No name is given for attribute column.", []plainbuffer.Cell{cell("", 1)}},
		{"Invalid column name: '" + strings.Repeat("x", 256) + "'.", []plainbuffer.Cell{cell(strings.Repeat("x", 256), 1)}},
		{"Duplicated attribute column name with primary key column: 'id'.", []plainbuffer.Cell{cell("id", 1)}},
		{"The length of attribute column: 'x' exceeds the MaxLength:2097152 with CurrentLength:2097153.", []plainbuffer.Cell{cell("x", make([]byte, 2<<20+1))}},
		{"The total data size of PutRow request exceeds the limit, limit size: 4194304, data size: 4194325.", []plainbuffer.Cell{cell("x", large), cell("y", large)}},
		{"The number of attribute columns exceeds the limit, limit count: 1024, column count: 1025.", many},
		{"NaN can't be set to double value.", []plainbuffer.Cell{cell("x", math.NaN())}},
		{"Infinity can't be set to double value.", []plainbuffer.Cell{cell("x", math.Inf(-1))}},
		{"Value of column 'x' must be UTF8 encoding.", []plainbuffer.Cell{cell("x", "\xff")}},
		{"VT_INF_MIN is an invalid type for the attribute column.", []plainbuffer.Cell{cell("x", plainbuffer.InfMin)}},
		{"Invalid timestamp. Cell: x.", []plainbuffer.Cell{cell("x", 1).At(start.UnixMilli() + 86400*1000)}},
		{"Timestamp must be in range [0, INT64_MAX/1000).", []plainbuffer.Cell{cell("x", 1).At(-1)}},
	} {
		s.refused(t, "PutRow", putRequest(pk, tt.cells...), "OTSParameterInvalid", tt.message)
	}
	for _, tt := range []struct {
		message string
		cells   []plainbuffer.Cell
	}{
		{"Attribute column is missing.", nil},
		{"No value is given for column name: 'x'.", []plainbuffer.Cell{bare("x")}},
		{"Column value cannot be given when type is DELETE_ONE_VERSION,DELETE_ALL_VERSION.", []plainbuffer.Cell{op(cell("x", 1), plainbuffer.DeleteAllVersion)}},
		{"Timestamp must be given when type is DELETE_ONE_VERSION.", []plainbuffer.Cell{op(bare("x"), plainbuffer.DeleteOneVersion)}},
		{"Timestamp cannot be given when type is DELETE_ALL_VERSION.", []plainbuffer.Cell{op(bare("x").At(1), plainbuffer.DeleteAllVersion)}},
		{"The total data size of UpdateRow request exceeds the limit, limit size: 4194304, data size: 4194325.", []plainbuffer.Cell{cell("x", large), cell("y", large)}},
	} {
		s.refused(t, "UpdateRow", updateRequest(pk, tt.cells...), "OTSParameterInvalid", tt.message)
	}
	marked := putRequest(pk, cell("x", 1))
	marked.Row = deleteRequest(pk).PrimaryKey
	s.refused(t, "PutRow", marked, "OTSParameterInvalid", "Invalid request of put/update row: unexpected RowDeleteMarker in request.")
	unmarked := deleteRequest(pk)
	unmarked.PrimaryKey = getRequest(pk).PrimaryKey
	s.refused(t, "DeleteRow", unmarked, "OTSParameterInvalid", "Invalid request of delete row: missing RowDeleteMarker in request.")
	m := putRequest(pk, cell("x", 1))
	m.TableName = ptr("u")
	s.refused(t, "PutRow", m, "OTSObjectNotExist", "Requested table does not exist.")
	if got := s.row(t, "a"); got != "none" {
		t.Errorf("a refused write left %s", got)
	}
	// The largest that is accepted.
	s.must(t, "PutRow", putRequest(pk, cell("x", large), cell("y", large[:2<<20-21])))
	s.must(t, "PutRow", putRequest(pk, many[:1024]...))
}

func TestConditions(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "t", nil)
	xIs := func(n int) []byte { return comparison("x", eq, cell("", n).Value, true, true) }
	const failed, there, notThere = "Condition check failed.", "Row exists which is expected nonexistent", "Row does not exist which is expected existent"
	for _, tt := range []struct {
		name    string
		stored  bool
		c       *otsprotocol.Condition
		message string
	}{
		{"ignore, no row", false, condition(ignored), ""}, {"ignore, row", true, condition(ignored), ""},
		{"exist, row", true, condition(exist), ""}, {"exist, no row", false, condition(exist), notThere},
		{"not exist, no row", false, condition(notExist), ""}, {"not exist, row", true, condition(notExist), there},
		{"column", true, condition(ignored, xIs(1)), ""}, {"column differs", true, condition(ignored, xIs(2)), failed},
		{"column, no row", false, condition(ignored, xIs(1)), failed},
		{"column may be missing, no row", false, condition(ignored, comparison("x", eq, cell("", 1).Value, false, true)), ""},
		{"both", true, condition(exist, xIs(1)), ""}, {"both, column differs", true, condition(exist, xIs(2)), failed},
		{"both, no row", false, condition(exist, xIs(1)), notThere},
	} {
		t.Run(tt.name, func(t *testing.T) {
			put, update, remove := putRequest(idKey("a"), cell("x", 9)), updateRequest(idKey("a"), cell("x", 9)), deleteRequest(idKey("a"))
			put.Condition, update.Condition, remove.Condition = tt.c, tt.c, tt.c
			for operation, m := range map[string][]byte{"PutRow": mustMarshal(put), "UpdateRow": mustMarshal(update), "DeleteRow": mustMarshal(remove)} {
				s.must(t, "DeleteRow", deleteRequest(idKey("a")))
				if tt.stored {
					s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1)))
				}
				before := s.row(t, "a")
				body, code, message := s.call(t, operation, m)
				switch {
				case message != tt.message || (code == "OTSConditionCheckFail") != (message != ""):
					t.Errorf("%s: %s %s", operation, code, message)
				case code != "" && s.row(t, "a") != before:
					t.Errorf("%s: the row was changed", operation)
				case code == "":
					want := "0a060a0408001001"
					if tt.c.GetRowExistence() != ignored || tt.c.ColumnCondition != nil {
						want = "0a060a0408011001"
					}
					if got := fmt.Sprintf("%x", body); got != want {
						t.Errorf("%s: answer %s, want %s", operation, got, want)
					}
				}
			}
		})
	}
}

func TestReturnContent(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "t", nil)
	returned := func(body []byte) (out plainbuffer.Row) {
		var response otsprotocol.UpdateRowResponse
		if err := unmarshal(body, &response); err != nil {
			t.Fatal(err)
		}
		if err := plainbuffer.DecodeRow(response.Row, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	m := putRequest(idKey("a"), cell("x", 1), cell("y", make([]byte, 100000)))
	m.ReturnContent = &otsprotocol.ReturnContent{ReturnType: otsprotocol.ReturnType_RT_PK.Enum()}
	if row := returned(s.must(t, "PutRow", m)); len(row.PrimaryKey) != 1 || len(row.Attributes) != 0 {
		t.Errorf("primary key wanted, got %+v", row)
	}
	u := updateRequest(idKey("a"), plainbuffer.Cell{Name: []byte("x"), HasValue: true, Value: plainbuffer.IntegerValue(4), Op: plainbuffer.Increment})
	u.ReturnContent = &otsprotocol.ReturnContent{ReturnType: otsprotocol.ReturnType_RT_AFTER_MODIFY.Enum(), ReturnColumnNames: []string{"x", "y"}}
	row := returned(s.must(t, "UpdateRow", u))
	if got := text(&row, start); got != "x=5@0s y=100000B@0s" {
		t.Errorf("after modify: %s", got)
	}
	u.ReturnContent.ReturnColumnNames = nil
	row = returned(s.must(t, "UpdateRow", u))
	if got := text(&row, start); got != "x=9@0s" {
		t.Errorf("after modify: %s", got)
	}
}

func TestAutoIncrement(t *testing.T) {
	s := RunT(t)
	req := createRequest("t", nil, keySchema{"g", otsprotocol.PrimaryKeyType_STRING}, keySchema{"n", otsprotocol.PrimaryKeyType_INTEGER})
	req.TableMeta.PrimaryKey[1].Option = otsprotocol.PrimaryKeyOption_AUTO_INCREMENT.Enum()
	s.must(t, "CreateTable", req)
	var last int64
	for range 3 {
		m := putRequest([]plainbuffer.Cell{cell("g", "a"), cell("n", plainbuffer.AutoIncrement)}, cell("x", 1))
		m.ReturnContent = &otsprotocol.ReturnContent{ReturnType: otsprotocol.ReturnType_RT_PK.Enum()}
		var response otsprotocol.PutRowResponse
		if err := unmarshal(s.must(t, "PutRow", m), &response); err != nil {
			t.Fatal(err)
		}
		var row plainbuffer.Row
		if err := plainbuffer.DecodeRow(response.Row, &row); err != nil {
			t.Fatal(err)
		}
		if n := row.PrimaryKey[1].Value.Int(); n <= last {
			t.Errorf("%d after %d", n, last)
		} else {
			last = n
		}
	}
	s.refused(t, "GetRow", getRequest([]plainbuffer.Cell{cell("g", "a"), cell("n", plainbuffer.AutoIncrement)}), "OTSParameterInvalid", "PKAutoIncr can't be used for read operations.")
}

func TestTimeToLive(t *testing.T) {
	s := RunT(t, fixedClock, func(o *Options) { o.SweepInterval = -1 }) // expired data stays, so that it can come back
	s.create(t, "t", &otsprotocol.TableOptions{TimeToLive: ptr(int32(86400)), MaxVersions: ptr(int32(2)), DeviationCellVersionInSec: ptr(int64(86400 * 10))})
	now := start.UnixMilli()
	day := int64(86400 * 1000)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1).At(now-day+2000), cell("y", 1)))
	s.must(t, "PutRow", putRequest(idKey("empty")))
	s.refused(t, "PutRow", putRequest(idKey("b"), cell("x", 1).At(now-day-1000)), "OTSParameterInvalid", "Invalid timestamp. Cell: x.")
	if got := s.row(t, "a"); got != "x=1@-23h59m58s y=1@0s" {
		t.Errorf("at first: %s", got)
	}
	s.AdvanceClock(3 * time.Second)
	if got := s.row(t, "a"); got != "y=1@0s" {
		t.Errorf("after 3 s: %s", got)
	}
	s.AdvanceClock(24 * time.Hour)
	for _, id := range []string{"a", "empty"} {
		if got := s.row(t, id); got != "none" {
			t.Errorf("after a day: %s", got)
		}
	}
	if rows, _ := s.scan(t, allRange()); len(rows) != 0 {
		t.Errorf("a range sees %d expired rows", len(rows))
	}
	m := putRequest(idKey("a"), cell("z", 1))
	m.Condition = condition(exist)
	s.refused(t, "PutRow", m, "OTSConditionCheckFail", "Row does not exist which is expected existent")
	m.Condition = condition(notExist)
	s.must(t, "PutRow", m)

	// What is expired but not removed comes back if the table keeps its rows longer.
	s.must(t, "UpdateTable", &otsprotocol.UpdateTableRequest{TableName: ptr("t"), TableOptions: &otsprotocol.TableOptions{TimeToLive: ptr(int32(-1))}})
	if got := s.row(t, "empty"); got != "" {
		t.Errorf("after the time to live was raised: %s", got)
	}
}

func TestDeviation(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "t", &otsprotocol.TableOptions{DeviationCellVersionInSec: ptr(int64(10))})
	now := start.UnixMilli()
	for offset, fine := range map[int64]bool{-11000: false, -10001: false, -10000: true, 0: true, 9999: true, 10000: false} {
		_, code, _ := s.call(t, "PutRow", mustMarshal(putRequest(idKey("a"), cell("x", 1).At(now+offset))))
		if (code == "") != fine {
			t.Errorf("offset %d ms: %q", offset, code)
		}
	}
}
