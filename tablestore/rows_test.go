package tablestore

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
)

// openLocal opens a client of a tablestore-local of its own.
func openLocal(t testing.TB, change ...func(*Options)) (*client, *local.TestServer) {
	t.Helper()
	server := local.RunT(t)
	return open(t, server.URL, append([]func(*Options){func(o *Options) {
		o.Instance, o.AccessKeyID, o.AccessKeySecret = server.Instance, server.AccessKeyID, server.AccessKeySecret
	}}, change...)...), server
}

// withTable makes the table nodestore in it.
func withTable(t testing.TB, change ...func(*Options)) (*client, *local.TestServer) {
	t.Helper()
	client, server := openLocal(t, change...)
	if err := client.CreateTable(t.Context(), nodestore()); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func nodestore() *TableDescription {
	return &TableDescription{
		Name:       "nodestore",
		PrimaryKey: []PrimaryKeySchema{{"id", "STRING"}},
		Options:    TableOptions{TimeToLive: -1, MaxVersions: 1, MaxTimeDeviation: 10 * 365 * 86400},
	}
}

func key(id string) PrimaryKey { return PrimaryKey{Name: "id", Value: id} }

func put(t testing.TB, c *client, id string, columns ...Column) {
	t.Helper()
	if err := c.WriteRow(t.Context(), "nodestore", &RowChange{Kind: Put, PrimaryKey: key(id), Columns: columns}); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, c *client, id string, columns ...string) *Row {
	t.Helper()
	row, err := c.GetRow(t.Context(), &GetRowRequest{Table: "nodestore", PrimaryKey: key(id), ColumnsToGet: columns})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// values are a row's columns by name.
func values(row *Row) map[string]any {
	if row == nil {
		return nil
	}
	m := make(map[string]any)
	for _, column := range row.Columns {
		m[column.Name] = column.Value
	}
	return m
}

func TestValuesSurvive(t *testing.T) {
	for _, region := range []string{"", "cn-hangzhou"} {
		client, _ := withTable(t, func(o *Options) { o.Region = region })
		want := map[string]any{
			"blob": []byte{0, 1, 255}, "blobempty": []byte{}, "large": make([]byte, 2<<20),
			"int": int64(-1), "intmin": int64(-1 << 63), "text": "Zürich 東京 🦀", "textempty": "",
		}
		var columns []Column
		for name, value := range want {
			columns = append(columns, Column{Name: name, Value: value})
		}
		put(t, client, "ключ", columns...)
		got := read(t, client, "ключ")
		if !reflect.DeepEqual(values(got), want) {
			t.Errorf("region %q: got other values", region)
		}
		for i, column := range got.Columns {
			if column.Timestamp == 0 {
				t.Errorf("column %q has no timestamp", column.Name)
			}
			if i > 0 && got.Columns[i-1].Name >= column.Name {
				t.Errorf("column %q is not in order", column.Name)
			}
		}
		if got.PrimaryKey != key("ключ") {
			t.Errorf("the key is %+v", got.PrimaryKey)
		}
	}
}

func TestMissingRowIsNoError(t *testing.T) {
	client, _ := withTable(t)
	put(t, client, "a", Column{Name: "data", Value: []byte("1")}, Column{Name: "flags", Value: int64(0)})
	if row := read(t, client, "b"); row != nil {
		t.Errorf("got %+v", row)
	}
	if row := read(t, client, "a", "other"); row != nil {
		t.Errorf("none of the columns: got %+v", row)
	}
	if got := values(read(t, client, "a", "flags", "other")); !reflect.DeepEqual(got, map[string]any{"flags": int64(0)}) {
		t.Errorf("one of the columns: got %v", got)
	}
}

func TestBatchGetRow(t *testing.T) {
	client, server := withTable(t)
	for i := range 100 {
		if i%3 != 0 {
			put(t, client, fmt.Sprint("id", i), Column{Name: "data", Value: fmt.Append(nil, i)}, Column{Name: "flags", Value: int64(i)})
		}
	}
	request := &BatchGetRowRequest{Table: "nodestore", ColumnsToGet: []string{"data"}}
	for i := range 100 {
		request.PrimaryKeys = append(request.PrimaryKeys, key(fmt.Sprint("id", 99-i)))
	}
	if err := server.SetFaults(local.Rule{Operation: "BatchGetRow", Fault: local.Fault{Code: "OTSServerBusy", Rows: []int{1, 50}}}); err != nil {
		t.Fatal(err)
	}
	results, err := client.BatchGetRow(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	for i, result := range results {
		n := 99 - i
		switch {
		case i == 1 || i == 50:
			failure := failureOf(t, result.Err)
			wantKind(t, failure, Service, `BatchGetRow on table "nodestore": OTSServerBusy`)
			if !failure.Retryable() || !failure.Throttled() || failure.RequestID == "" {
				t.Errorf("row %d: %+v", i, failure)
			}
		case result.Err != nil:
			t.Errorf("row %d: %v", i, result.Err)
		case n%3 == 0:
			if result.Row != nil {
				t.Errorf("row %d: got %+v", i, result.Row)
			}
		case !reflect.DeepEqual(values(result.Row), map[string]any{"data": fmt.Append(nil, n)}):
			t.Errorf("row %d: got %v", i, values(result.Row))
		}
	}

	request.PrimaryKeys = append(request.PrimaryKeys, key("one too many"))
	_, err = client.BatchGetRow(t.Context(), request)
	if failure := failureOf(t, err); failure == nil || !failure.TooLarge() || failure.Retryable() {
		t.Errorf("101 keys: %v", err)
	}
	if results, err := client.BatchGetRow(t.Context(), &BatchGetRowRequest{Table: "nodestore"}); results != nil || err != nil {
		t.Errorf("no keys: %v, %v", results, err)
	}
}

func TestMissingTable(t *testing.T) {
	client, _ := openLocal(t)
	_, err := client.GetRow(t.Context(), getA1)
	if failure := failureOf(t, err); failure == nil || !failure.TableMissing() || failure.Retryable() {
		t.Errorf("GetRow: %v", err)
	}
	_, err = client.DescribeTable(t.Context(), "nodestore")
	if failure := failureOf(t, err); failure == nil || !failure.TableMissing() {
		t.Errorf("DescribeTable: %v", err)
	}
}

func TestGetRange(t *testing.T) {
	client, _ := withTable(t)
	for i := range 25 {
		put(t, client, fmt.Sprintf("%02d", i), Column{Name: "data", Value: []byte{byte(i)}, Timestamp: 1_700_000_000_000 + int64(i)*1000},
			Column{Name: "flags", Value: int64(i % 2)})
	}
	scan := func(request GetRangeRequest) (ids []string, requests int) {
		request.Table = "nodestore"
		if request.Start.Name == "" {
			request.Start = PrimaryKey{Name: "id"}
		}
		for requests = 1; requests < 100; requests++ {
			rows, next, err := client.GetRange(t.Context(), &request)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range rows {
				ids = append(ids, row.PrimaryKey.Value)
			}
			if next == nil {
				return ids, requests
			}
			request.Start = *next
		}
		t.Fatal("the scan does not end")
		return nil, 0
	}

	all, requests := scan(GetRangeRequest{Limit: 10})
	if len(all) != 25 || all[0] != "00" || all[24] != "24" || requests != 3 {
		t.Errorf("all in %d requests: %v", requests, all)
	}
	if ids, _ := scan(GetRangeRequest{}); !reflect.DeepEqual(ids, all) {
		t.Errorf("no limit: %v", ids)
	}
	if ids, _ := scan(GetRangeRequest{Start: key("20")}); !reflect.DeepEqual(ids, all[20:]) {
		t.Errorf("from 20: %v", ids)
	}
	if ids, _ := scan(GetRangeRequest{ColumnsToGet: []string{"data"}, TimeRange: &TimeRange{0, 1_700_000_000_000 + 5000}}); !reflect.DeepEqual(ids, all[:5]) {
		t.Errorf("older than the cutoff: %v", ids)
	}
	if ids, _ := scan(GetRangeRequest{Filter: &Filter{Column: "flags", Comparator: LessEqual, Value: int64(0)}, Limit: 7}); len(ids) != 13 || ids[1] != "02" {
		t.Errorf("flags <= 0: %v", ids)
	}
}

// The row of another id must never pass for the row that was asked for.
func TestAnswersForOtherRows(t *testing.T) {
	encode := func(pk []plainbuffer.Cell, attributes ...plainbuffer.Cell) []byte {
		return plainbuffer.Encode(plainbuffer.Row{PrimaryKey: pk, Attributes: attributes})
	}
	cell := func(name string, value plainbuffer.Value) plainbuffer.Cell {
		return plainbuffer.NewCell(name, value).At(1)
	}
	id := func(name string, value plainbuffer.Value) []plainbuffer.Cell {
		return []plainbuffer.Cell{plainbuffer.NewCell(name, value)}
	}
	a1 := id("id", plainbuffer.StringValue("a1"))
	data := cell("data", plainbuffer.BlobValue([]byte("x")))
	for name, test := range map[string]struct {
		row  []byte
		part string
	}{
		"another id":          {row("a2", []byte("x")), `holds the row "a2", not "a1"`},
		"another key column":  {encode(id("key", plainbuffer.StringValue("a1")), data), `not the STRING column "id"`},
		"another type of key": {encode(id("id", plainbuffer.IntegerValue(1)), data), `not the STRING column "id"`},
		"two key columns":     {encode(append(a1[:1:1], a1...), data), "not of one column"},
		"no key":              {encode(nil, data), "without a primary key"},
		"a column twice":      {encode(a1, data, cell("flags", plainbuffer.IntegerValue(0)), data), `column "data" twice`},
	} {
		t.Run(name, func(t *testing.T) {
			batch := message(t, &otsprotocol.BatchGetRowResponse{Tables: []*otsprotocol.TableInBatchGetRowResponse{{
				TableName: proto.String("nodestore"),
				Rows:      []*otsprotocol.RowInBatchGetRowResponse{missing(), {IsOk: proto.Bool(true), Consumed: consumed(), Row: test.row}},
			}}})
			client := open(t, serve(t, func(r *http.Request, _ []byte) answer {
				if strings.HasSuffix(r.URL.Path, "BatchGetRow") {
					return answer{body: batch}
				}
				return answer{body: gotRow(t, test.row)}
			}).URL)
			wantKind(t, get(t, client), Corrupt, test.part)
			results, err := client.BatchGetRow(t.Context(), &BatchGetRowRequest{Table: "nodestore", PrimaryKeys: []PrimaryKey{key("a0"), key("a1")}})
			wantKind(t, failureOf(t, err), Corrupt, test.part)
			if results != nil {
				t.Errorf("results beside the error: %v", results)
			}
		})
	}
}

// The service may show a row without the columns that were asked for by its key alone.
func TestRowWithoutColumns(t *testing.T) {
	bare := plainbuffer.Encode(plainbuffer.Row{PrimaryKey: []plainbuffer.Cell{plainbuffer.NewCell("id", plainbuffer.StringValue("a1"))}})
	client := open(t, serve(t, always(answer{body: gotRow(t, bare)})).URL)
	row, err := client.GetRow(t.Context(), &GetRowRequest{Table: "nodestore", PrimaryKey: key("a1"), ColumnsToGet: []string{"data"}})
	if row != nil || err != nil {
		t.Errorf("with columns to get: %+v, %v", row, err)
	}
	if row, err = client.GetRow(t.Context(), getA1); row == nil || len(row.Columns) != 0 || err != nil {
		t.Errorf("any column: %+v, %v", row, err)
	}
}

// What the service is asked for by a scan, field by field.
func TestRangeOnTheWire(t *testing.T) {
	var body []byte
	client := open(t, serve(t, func(_ *http.Request, b []byte) answer {
		body = b
		return answer{body: message(t, &otsprotocol.GetRangeResponse{Consumed: consumed(), Rows: []byte{}})}
	}).URL)
	ask := func(request GetRangeRequest) (*otsprotocol.GetRangeRequest, plainbuffer.Value, plainbuffer.Value) {
		t.Helper()
		if _, _, err := client.GetRange(t.Context(), &request); err != nil {
			t.Fatal(err)
		}
		var sent otsprotocol.GetRangeRequest
		if err := decode(body, &sent); err != nil {
			t.Fatal(err)
		}
		var ends [2]plainbuffer.Value
		for i, key := range [][]byte{sent.InclusiveStartPrimaryKey, sent.ExclusiveEndPrimaryKey} {
			var row plainbuffer.Row
			if err := plainbuffer.DecodeRow(key, &row); err != nil {
				t.Fatal(err)
			}
			ends[i] = row.PrimaryKey[0].Value
		}
		return &sent, ends[0], ends[1]
	}
	sent, start, end := ask(GetRangeRequest{Table: "nodestore", Start: key("")})
	if start.Type != plainbuffer.InfMin || end.Type != plainbuffer.InfMax || sent.GetDirection() != otsprotocol.Direction_FORWARD ||
		sent.GetMaxVersions() != 1 || sent.Limit != nil || sent.TimeRange != nil || sent.Filter != nil || sent.ColumnsToGet != nil {
		t.Errorf("from the beginning: sent %v from %v to %v", sent, start, end)
	}
	sent, start, end = ask(GetRangeRequest{Table: "nodestore", Start: key("a"), Limit: 7, TimeRange: &TimeRange{0, 5}, ColumnsToGet: []string{"data"}})
	if _, _, end := ask(GetRangeRequest{Table: "nodestore", Start: key("a"), End: "b"}); end.Type != plainbuffer.String || string(end.Bytes) != "b" {
		t.Errorf("up to b: sent %v", end)
	}
	if string(start.Bytes) != "a" || end.Type != plainbuffer.InfMax || sent.GetLimit() != 7 || sent.ColumnsToGet[0] != "data" ||
		sent.TimeRange.GetEndTime() != 5 || sent.TimeRange.SpecificTime != nil {
		t.Errorf("from a: sent %v from %v to %v", sent, start, end)
	}
}

func TestColumnsAreSorted(t *testing.T) {
	unsorted := plainbuffer.Encode(plainbuffer.Row{
		PrimaryKey: []plainbuffer.Cell{plainbuffer.NewCell("id", plainbuffer.StringValue("a1"))},
		Attributes: []plainbuffer.Cell{plainbuffer.NewCell("b", plainbuffer.IntegerValue(2)), plainbuffer.NewCell("a", plainbuffer.IntegerValue(1))},
	})
	client := open(t, serve(t, always(answer{body: gotRow(t, unsorted)})).URL)
	row, err := client.GetRow(t.Context(), getA1)
	if err != nil {
		t.Fatal(err)
	}
	if row.Columns[0].Name != "a" || row.Columns[1].Name != "b" {
		t.Errorf("got %+v", row.Columns)
	}
}

func TestRangesThatGoNowhere(t *testing.T) {
	next := func(id string) []byte {
		return plainbuffer.Encode(plainbuffer.Row{PrimaryKey: []plainbuffer.Cell{plainbuffer.NewCell("id", plainbuffer.StringValue(id))}})
	}
	rows := func(first, second string) []byte { return append(row(first, nil), row(second, nil)[4:]...) }
	for name, test := range map[string]struct {
		rows, next []byte
		part       string
	}{
		"from where it was":    {[]byte{}, next("a0"), "goes on from a row that was read"},
		"from the last row":    {row("a1", nil), next("a1"), "goes on from a row that was read"},
		"back":                 {[]byte{}, next("a"), "goes on from a row that was read"},
		"back in the range":    {rows("a1", "a3"), next("a2"), "goes on from a row that was read"},
		"beyond the end":       {row("a1", nil), next("b1"), "after the end of the range"},
		"the same row twice":   {rows("a1", "a1"), nil, "a row twice"},
		"rows in disorder":     {rows("a2", "a1"), nil, "not in order"},
		"a row before it":      {rows("a", "a1"), nil, "not in the range"},
		"a row at its end":     {rows("a1", "b0"), nil, "not in the range"},
		"another table's rows": {plainbuffer.Encode(plainbuffer.Row{PrimaryKey: []plainbuffer.Cell{plainbuffer.NewCell("k", plainbuffer.StringValue("a1"))}}), nil, "not the STRING column"},
	} {
		client := open(t, serve(t, always(answer{body: message(t, &otsprotocol.GetRangeResponse{
			Consumed: consumed(), Rows: test.rows, NextStartPrimaryKey: test.next,
		})})).URL)
		_, _, err := client.GetRange(t.Context(), &GetRangeRequest{Table: "nodestore", Start: key("a0"), End: "b0"})
		t.Log(name)
		wantKind(t, failureOf(t, err), Corrupt, test.part)
	}
}
