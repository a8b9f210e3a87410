package tablestore

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
)

func TestPutReplacesTheRow(t *testing.T) {
	client, _ := withTable(t)
	put(t, client, "a", Column{Name: "data", Value: "old"}, Column{Name: "more", Value: int64(1)})
	put(t, client, "a", Column{Name: "data", Value: "new", Timestamp: 1_700_000_000_000})
	got := read(t, client, "a")
	if !reflect.DeepEqual(got.Columns, []Column{{"data", "new", 1_700_000_000_000}}) {
		t.Errorf("got %+v", got)
	}
}

func TestUpdateSetsAndDeletesColumns(t *testing.T) {
	client, _ := withTable(t)
	put(t, client, "a", Column{Name: "gone", Value: "x"}, Column{Name: "kept", Value: "x"},
		Column{Name: "then", Value: "x", Timestamp: 1_700_000_000_000}, Column{Name: "other", Value: "x", Timestamp: 1_700_000_000_000})
	change := &RowChange{
		Kind:       Update,
		PrimaryKey: key("a"),
		Columns:    []Column{{Name: "new", Value: []byte{}}, {Name: "dated", Value: int64(1), Timestamp: 1_700_000_001_000}},
		Deletes: []ColumnDelete{
			{Name: "gone"}, {Name: "missing"}, {Name: "then", Timestamp: 1_700_000_000_000}, {Name: "other", Timestamp: 1_699_999_999_000},
		},
	}
	if err := client.WriteRow(t.Context(), "nodestore", change); err != nil {
		t.Fatal(err)
	}
	got := read(t, client, "a")
	if want := map[string]any{"kept": "x", "other": "x", "new": []byte{}, "dated": int64(1)}; !reflect.DeepEqual(values(got), want) {
		t.Errorf("got %v, want %v", values(got), want)
	}
	if got.Columns[0].Name != "dated" || got.Columns[0].Timestamp != 1_700_000_001_000 {
		t.Errorf("got %+v", got.Columns[0])
	}
}

func TestDeleteRow(t *testing.T) {
	client, _ := withTable(t)
	put(t, client, "a", Column{Name: "data", Value: "x"})
	for range 2 { // the second finds nothing, which is fine
		if err := client.WriteRow(t.Context(), "nodestore", &RowChange{Kind: Delete, PrimaryKey: key("a")}); err != nil {
			t.Fatal(err)
		}
	}
	if row := read(t, client, "a"); row != nil {
		t.Errorf("got %+v", row)
	}
}

// Whether a condition holds, for a column that is there and one that is not.
func TestConditions(t *testing.T) {
	client, _ := withTable(t)
	tests := []struct {
		condition  Filter
		set, unset bool // whether it holds with the column at 5, and without it
	}{
		{Filter{Column: "n", Comparator: Equal, Value: int64(5)}, true, false},
		{Filter{Column: "n", Comparator: Equal, Value: int64(5), PassIfMissing: true}, true, true},
		{Filter{Column: "n", Comparator: Equal, Value: int64(6)}, false, false},
		{Filter{Column: "n", Comparator: Equal, Value: int64(6), PassIfMissing: true}, false, true},
		{Filter{Column: "n", Comparator: NotEqual, Value: int64(6)}, true, false},
		{Filter{Column: "n", Comparator: NotEqual, Value: int64(5), PassIfMissing: true}, false, true},
		{Filter{Column: "n", Comparator: LessEqual, Value: int64(5)}, true, false},
		{Filter{Column: "n", Comparator: LessEqual, Value: int64(4)}, false, false},
		{Filter{Column: "n", Comparator: Equal, Value: int64(5), And: &Filter{Column: "b", Comparator: Equal, Value: []byte{}}}, true, false},
		{Filter{Column: "n", Comparator: Equal, Value: int64(5), And: &Filter{Column: "b", Comparator: Equal, Value: []byte{1}}}, false, false},
		{Filter{Column: "n", Comparator: Equal, Value: int64(5), PassIfMissing: true, And: &Filter{Column: "s", Comparator: Equal, Value: "x", PassIfMissing: true,
			And: &Filter{Column: "b", Comparator: NotEqual, Value: []byte{}, PassIfMissing: true}}}, false, true},
	}
	for i, test := range tests {
		for _, set := range []bool{true, false} {
			for _, kind := range []ChangeKind{Put, Update, Delete} {
				put(t, client, "a", Column{Name: "other", Value: "x"})
				if set {
					put(t, client, "a", Column{Name: "n", Value: int64(5)}, Column{Name: "b", Value: []byte{}}, Column{Name: "s", Value: "x"})
				}
				change := &RowChange{Kind: kind, PrimaryKey: key("a"), Condition: &test.condition}
				if kind != Delete {
					change.Columns = []Column{{Name: "done", Value: int64(1)}}
				}
				err := client.WriteRow(t.Context(), "nodestore", change)
				want := test.unset
				if set {
					want = test.set
				}
				failure := failureOf(t, err)
				if held := failure == nil; held != want || !held && !failure.ConditionFailed() {
					t.Errorf("test %d, %s, column there %v: %v", i, kind.operation(), set, err)
				}
			}
		}
	}
}

func TestBatchWriteRow(t *testing.T) {
	client, server := withTable(t)
	put(t, client, "id0", Column{Name: "n", Value: int64(1)})
	put(t, client, "id1", Column{Name: "n", Value: int64(1)}, Column{Name: "m", Value: int64(1)})
	changes := []RowChange{
		{Kind: Delete, PrimaryKey: key("id0")},
		{Kind: Update, PrimaryKey: key("id1"), Columns: []Column{{Name: "n", Value: int64(2)}}, Deletes: []ColumnDelete{{Name: "m"}}},
		{Kind: Put, PrimaryKey: key("id2"), Columns: []Column{{Name: "n", Value: int64(3)}}},
		{Kind: Put, PrimaryKey: key("id3"), Columns: []Column{{Name: "n", Value: int64(4)}},
			Condition: &Filter{Column: "n", Comparator: Equal, Value: int64(9)}},
	}
	for i := 4; i < 200; i++ {
		changes = append(changes, RowChange{Kind: Put, PrimaryKey: key(fmt.Sprint("id", i)), Columns: []Column{{Name: "n", Value: int64(i)}}})
	}
	if err := server.SetFaults(local.Rule{Operation: "BatchWriteRow", Fault: local.Fault{Code: "OTSRowOperationConflict", Rows: []int{150}}}); err != nil {
		t.Fatal(err)
	}
	failures, err := client.BatchWriteRow(t.Context(), "nodestore", changes)
	if err != nil {
		t.Fatal(err)
	}
	if len(failures) != 200 {
		t.Fatalf("%d results", len(failures))
	}
	for i, err := range failures {
		failure := failureOf(t, err)
		switch i {
		case 3:
			if failure == nil || !failure.ConditionFailed() || failure.Retryable() {
				t.Errorf("row 3: %v", err)
			}
		case 150:
			wantKind(t, failure, Service, "OTSRowOperationConflict")
			if !failure.Retryable() || failure.Throttled() {
				t.Errorf("row 150: %+v", failure)
			}
		default:
			if failure != nil {
				t.Errorf("row %d: %v", i, err)
			}
		}
	}
	for id, want := range map[string]map[string]any{"id0": nil, "id1": {"n": int64(2)}, "id2": {"n": int64(3)}, "id3": nil, "id150": nil, "id199": {"n": int64(199)}} {
		if got := values(read(t, client, id)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", id, got, want)
		}
	}

	_, err = client.BatchWriteRow(t.Context(), "nodestore", append(changes, changes[199]))
	if failure := failureOf(t, err); failure == nil || !failure.TooLarge() {
		t.Errorf("201 rows: %v", err)
	}
	big := make([]byte, 2<<20)
	changes = changes[:2:2]
	for i := range 2 {
		changes = append(changes, RowChange{Kind: Put, PrimaryKey: key(fmt.Sprint("big", i)), Columns: []Column{{Name: "data", Value: big}}})
	}
	_, err = client.BatchWriteRow(t.Context(), "nodestore", changes)
	if failure := failureOf(t, err); failure == nil || !failure.TooLarge() {
		t.Errorf("over 4 MiB: %v", err)
	}
	if failures, err := client.BatchWriteRow(t.Context(), "nodestore", nil); failures != nil || err != nil {
		t.Errorf("no changes: %v, %v", failures, err)
	}
}

// What can never work is refused before anything is sent.
func TestChangesThatAreNotSent(t *testing.T) {
	client := open(t, "http://127.0.0.1:1")
	data := []Column{{Name: "data", Value: "x"}}
	for part, change := range map[string]RowChange{
		`column "n" holds a int, not`:          {Kind: Put, Columns: []Column{{Name: "n", Value: 1}}},
		`column "n" holds a <nil>, not`:        {Kind: Update, Columns: []Column{{Name: "n"}}},
		"unknown kind of change 0":             {Columns: data},
		"a Put deletes no single columns":      {Kind: Put, Columns: data, Deletes: []ColumnDelete{{Name: "x"}}},
		"a Delete removes the whole row":       {Kind: Delete, Columns: data},
		"unknown comparator 0":                 {Kind: Put, Columns: data, Condition: &Filter{Column: "n", Value: "x"}},
		`filter on column "n" holds a float32`: {Kind: Put, Columns: data, Condition: &Filter{Column: "n", Comparator: Equal, Value: float32(1.5)}},
		`on column "m" holds a uint8`: {Kind: Put, Columns: data, Condition: &Filter{Column: "n", Comparator: Equal, Value: "x",
			And: &Filter{Column: "m", Comparator: Equal, Value: uint8(1)}}},
	} {
		wantKind(t, failureOf(t, client.WriteRow(t.Context(), "nodestore", &change)), Invalid, part)
		_, err := client.BatchWriteRow(t.Context(), "nodestore", []RowChange{change})
		wantKind(t, failureOf(t, err), Invalid, "change 0: ")
	}
	_, _, err := client.GetRange(t.Context(), &GetRangeRequest{Table: "nodestore", Filter: &Filter{Column: "n"}})
	wantKind(t, failureOf(t, err), Invalid, "filter on column")
	if err := client.CreateTable(t.Context(), &TableDescription{Name: strings.Repeat("x", 101), PrimaryKey: nodestore().PrimaryKey}); failureOf(t, err).Kind != Invalid {
		t.Errorf("%v", err)
	}
}

// The condition as it goes over the wire: the service's filter_if_missing is the opposite of pass-if-missing.
func TestConditionOnTheWire(t *testing.T) {
	var body []byte
	client := open(t, serve(t, func(_ *http.Request, b []byte) answer {
		body = b
		return answer{body: message(t, &otsprotocol.PutRowResponse{Consumed: consumed()})}
	}).URL)
	for _, pass := range []bool{true, false} {
		err := client.WriteRow(t.Context(), "nodestore", &RowChange{
			Kind: Put, PrimaryKey: key("a"), Columns: []Column{{Name: "data", Value: "x"}},
			Condition: &Filter{Column: "n", Comparator: LessEqual, Value: int64(1), PassIfMissing: pass},
		})
		if err != nil {
			t.Fatal(err)
		}
		var request otsprotocol.PutRowRequest
		var filter otsprotocol.Filter
		var single otsprotocol.SingleColumnValueFilter
		if err := decode(body, &request); err != nil {
			t.Fatal(err)
		}
		if err := decode(request.Condition.ColumnCondition, &filter); err != nil {
			t.Fatal(err)
		}
		if err := decode(filter.Filter, &single); err != nil {
			t.Fatal(err)
		}
		if request.Condition.GetRowExistence() != otsprotocol.RowExistenceExpectation_IGNORE || single.GetFilterIfMissing() == pass ||
			!single.GetLatestVersionOnly() || single.GetComparator() != otsprotocol.ComparatorType_CT_LESS_EQUAL {
			t.Errorf("pass %v: sent %v, %v", pass, &request, &single)
		}
	}
}
