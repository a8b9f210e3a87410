package local

import (
	"fmt"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

func batchPut(id string, cells ...plainbuffer.Cell) *otsprotocol.RowInBatchWriteRowRequest {
	return &otsprotocol.RowInBatchWriteRowRequest{Type: otsprotocol.OperationType_PUT.Enum(), Condition: condition(ignored),
		RowChange: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: idKey(id), Attributes: cells})}
}

func batchDelete(id string) *otsprotocol.RowInBatchWriteRowRequest {
	return &otsprotocol.RowInBatchWriteRowRequest{Type: otsprotocol.OperationType_DELETE.Enum(), Condition: condition(ignored),
		RowChange: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: idKey(id), Deleted: true})}
}

func batchUpdate(id string, cells ...plainbuffer.Cell) *otsprotocol.RowInBatchWriteRowRequest {
	r := batchPut(id, cells...)
	r.Type = otsprotocol.OperationType_UPDATE.Enum()
	return r
}

func batch(rows ...*otsprotocol.RowInBatchWriteRowRequest) *otsprotocol.BatchWriteRowRequest {
	return &otsprotocol.BatchWriteRowRequest{Tables: []*otsprotocol.TableInBatchWriteRowRequest{{TableName: ptr("t"), Rows: rows}}}
}

// write carries a batch out and returns for each row its error code, "" for none.
func (s *TestServer) write(t testing.TB, m *otsprotocol.BatchWriteRowRequest) (codes []string) {
	t.Helper()
	var response otsprotocol.BatchWriteRowResponse
	if err := unmarshal(s.must(t, "BatchWriteRow", m), &response); err != nil {
		t.Fatal(err)
	}
	for i, table := range response.Tables {
		if table.GetTableName() != m.Tables[i].GetTableName() || len(table.Rows) != len(m.Tables[i].Rows) {
			t.Fatalf("table %d of the answer is %s with %d rows", i, table.GetTableName(), len(table.Rows))
		}
		for _, row := range table.Rows {
			if row.GetIsOk() != (row.Error == nil) || row.GetIsOk() && row.Consumed.CapacityUnit.Write == nil {
				t.Errorf("incomplete result %v", row)
			}
			codes = append(codes, row.GetError().GetCode())
		}
	}
	return codes
}

func TestBatchWriteRowResults(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("old"), cell("x", 1)))
	expecting := batchPut("new", cell("x", 1))
	expecting.Condition = condition(exist)
	m := batch(batchPut("a", cell("x", 1)), expecting, batchDelete("old"), batchUpdate("b", cell("y", 2)),
		batchPut("c", cell("x", make([]byte, maxValueLength+1))), batchPut("d", cell("x", 4)))
	m.Tables = append(m.Tables, &otsprotocol.TableInBatchWriteRowRequest{TableName: ptr("missing"), Rows: []*otsprotocol.RowInBatchWriteRowRequest{batchPut("a", cell("x", 1))}})
	wrong := batchPut("x", cell("x", 1))
	wrong.RowChange = plainbuffer.Encode(plainbuffer.Row{PrimaryKey: []plainbuffer.Cell{cell("other", "x")}, Attributes: []plainbuffer.Cell{cell("x", 1)}})
	m.Tables = append(m.Tables, &otsprotocol.TableInBatchWriteRowRequest{TableName: ptr("t"), Rows: []*otsprotocol.RowInBatchWriteRowRequest{wrong}})
	got := fmt.Sprint(s.write(t, m))
	if want := "[ OTSConditionCheckFail   OTSParameterInvalid  OTSObjectNotExist OTSInvalidPK]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for id, want := range map[string]string{"a": "x=1", "new": "none", "old": "none", "b": "y=2", "c": "none", "d": "x=4"} {
		if row, _ := s.get(t, getRequest(idKey(id))); text(row, time.Time{}) != want {
			t.Errorf("row %s: %s, want %s", id, text(row, time.Time{}), want)
		}
	}
}

func TestBatchWriteRowTwice(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	large := make([]byte, 200000)
	s.write(t, batch(batchPut("a", cell("x", large)), batchUpdate("a", cell("y", large)), batchDelete("b"), batchPut("b", cell("z", 1)), batchPut("c", cell("z", 1)), batchDelete("c")))
	for id, want := range map[string]string{"a": "x=200000B y=200000B", "b": "z=1", "c": "none"} {
		if row, _ := s.get(t, getRequest(idKey(id))); text(row, time.Time{}) != want {
			t.Errorf("row %s: %s, want %s", id, text(row, time.Time{}), want)
		}
	}
	expecting := batchPut("a", cell("x", 1))
	expecting.Condition = condition(exist)
	s.refused(t, "BatchWriteRow", batch(expecting, batchPut("a", cell("x", 2))), "OTSParameterInvalid", "Repeated rows do not support row exist expectation check in BatchModify.")
	conditional := batchPut("a", cell("x", 1))
	conditional.Condition = condition(ignored, comparison("x", eq, cell("", 1).Value, true, true))
	s.refused(t, "BatchWriteRow", batch(batchPut("a", cell("x", 2)), conditional), "OTSParameterInvalid", "Repeated rows do not support row condition check in BatchModify.")
}

func TestBatchWriteRowLeavesNothingOfARowThatFails(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	increment := cell("s", 1)
	increment.Op = plainbuffer.Increment
	codes := s.write(t, batch(batchPut("a", cell("s", "text"), cell("x", 1)), batchUpdate("a", cell("x", 2), cell("y", 2), increment), batchUpdate("a", cell("z", 3))))
	if got := fmt.Sprintf("%q", codes); got != `["" "OTSParameterInvalid" ""]` {
		t.Errorf("results %s", got)
	}
	if row, _ := s.get(t, getRequest(idKey("a"))); text(row, time.Time{}) != "s=text x=1 z=3" {
		t.Errorf("the row is %s", text(row, time.Time{}))
	}
}

func TestBatchLimits(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	var rows []*otsprotocol.RowInBatchWriteRowRequest
	keys := &otsprotocol.TableInBatchGetRowRequest{TableName: ptr("t"), MaxVersions: ptr(int32(1))}
	for i := range 201 {
		rows = append(rows, batchPut(decimal(int64(i)), cell("x", i)))
		if i <= 100 {
			keys.PrimaryKey = append(keys.PrimaryKey, getRequest(idKey(decimal(int64(i)))).PrimaryKey)
		}
	}
	s.refused(t, "BatchWriteRow", batch(rows...), "OTSParameterInvalid", "Rows count exceeds the upper limit: 200.")
	s.write(t, batch(rows[:200]...))
	get := &otsprotocol.BatchGetRowRequest{Tables: []*otsprotocol.TableInBatchGetRowRequest{keys}}
	s.refused(t, "BatchGetRow", get, "OTSParameterInvalid", "Rows count exceeds the upper limit: 100.")
	keys.PrimaryKey = keys.PrimaryKey[:100]
	var response otsprotocol.BatchGetRowResponse
	if err := unmarshal(s.must(t, "BatchGetRow", get), &response); err != nil || len(response.Tables[0].Rows) != 100 {
		t.Errorf("%v, %d rows", err, len(response.Tables[0].Rows))
	}
	s.refused(t, "BatchWriteRow", &otsprotocol.BatchWriteRowRequest{}, "OTSParameterInvalid", "No row is specified in BatchWriteRow.")
	s.refused(t, "BatchWriteRow", batch(), "OTSParameterInvalid", "No operation is specified for table: 't'.")
	s.refused(t, "BatchGetRow", &otsprotocol.BatchGetRowRequest{}, "OTSParameterInvalid", "No row specified in the request of BatchGetRow.")
	half := make([]byte, 2<<20-100)
	m := batch(batchPut("a", cell("x", half)), batchPut("b", cell("x", half)), batchPut("c", cell("x", make([]byte, 200))))
	size := 2*(2+1+len(half)+1+8) + (2 + 1 + 200 + 1 + 8)
	s.refused(t, "BatchWriteRow", m, "OTSParameterInvalid", fmt.Sprintf("The total data size of BatchWriteRow request exceeds the limit, limit size: 4194304, data size: %d.", size))
	m = batch(batchPut("a", cell("x", 1)))
	m.IsAtomic = ptr(true)
	s.refused(t, "BatchWriteRow", m, "OTSParameterInvalid", "Try to call method using explicit transaction on explicit-transaction-disabled table.")
}

func TestBatchGetRowResults(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1)))
	key := func(id string) []byte { return getRequest(idKey(id)).PrimaryKey }
	part := func(name string, keys ...[]byte) *otsprotocol.TableInBatchGetRowRequest {
		return &otsprotocol.TableInBatchGetRowRequest{TableName: &name, MaxVersions: ptr(int32(1)), PrimaryKey: keys}
	}
	var response otsprotocol.BatchGetRowResponse
	body := s.must(t, "BatchGetRow", &otsprotocol.BatchGetRowRequest{Tables: []*otsprotocol.TableInBatchGetRowRequest{
		part("t", key("a"), key("none"), getRequest([]plainbuffer.Cell{cell("id", 1)}).PrimaryKey, key("a")), part("u", key("a")), part("t", key("a"))}})
	if err := unmarshal(body, &response); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, table := range response.Tables {
		for _, row := range table.Rows {
			switch {
			case row.Error != nil:
				got = append(got, row.Error.GetCode())
			case row.Row == nil:
				got = append(got, "none")
			default:
				var r plainbuffer.Row
				if err := plainbuffer.DecodeRow(row.Row, &r); err != nil {
					t.Fatal(err)
				}
				got = append(got, text(&r, time.Time{}))
			}
		}
	}
	if want := "[x=1 none OTSInvalidPK x=1 OTSParameterInvalid x=1]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
