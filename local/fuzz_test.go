package local

import (
	"bytes"
	"compress/zlib"
	"math"
	"net/http"
	"net/http/httptest"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
)

var operations = []string{
	"CreateTable", "UpdateTable", "DescribeTable", "ListTable", "DeleteTable", "PutRow", "GetRow", "UpdateRow", "DeleteRow", "BatchGetRow", "BatchWriteRow", "GetRange",
}

// FuzzBody: whatever the body of an authenticated request is, the answer is a result or an error that the client can be blamed for,
// never a panic or an internal error, and the server goes on: a good put and get work afterwards.
func FuzzBody(f *testing.F) {
	add := func(operation string, body []byte) {
		for i, o := range operations {
			if o == operation {
				f.Add(byte(i), body)
			}
		}
	}
	name := ptr("t")
	add("CreateTable", createTableBody("u", 2))
	add("UpdateTable", mustMarshal(&otsprotocol.UpdateTableRequest{TableName: name, TableOptions: &otsprotocol.TableOptions{MaxVersions: ptr(int32(2))}}))
	add("DescribeTable", mustMarshal(&otsprotocol.DescribeTableRequest{TableName: name}))
	add("DeleteTable", mustMarshal(&otsprotocol.DeleteTableRequest{TableName: ptr("u")}))
	add("PutRow", putBody("a", []byte("x")))
	add("GetRow", getBody("a"))
	filtered := getRequest(idKey("a"))
	filtered.Filter = combination(or, comparison("x", eq, cell("", 1).Value, true, true), combination(not, comparison("id", gt, cell("", "a").Value, true, false)))
	add("GetRow", mustMarshal(filtered))
	filtered.Filter, filtered.TimeRange, filtered.ColumnsToGet = page(0, 2), &otsprotocol.TimeRange{StartTime: ptr(int64(0)), EndTime: ptr(int64(1) << 60)}, []string{"x"}
	add("GetRow", mustMarshal(filtered))
	add("UpdateRow", mustMarshal(updateRequest(idKey("a"), cell("x", 1), plainbuffer.Cell{Name: []byte("y"), Op: plainbuffer.DeleteAllVersion})))
	add("DeleteRow", mustMarshal(deleteRequest(idKey("a"))))
	add("BatchWriteRow", mustMarshal(batch(batchPut("a", cell("x", 1)), batchDelete("b"))))
	add("BatchGetRow", mustMarshal(&otsprotocol.BatchGetRowRequest{Tables: []*otsprotocol.TableInBatchGetRowRequest{{
		TableName: name, MaxVersions: ptr(int32(1)), PrimaryKey: [][]byte{getRequest(idKey("a")).PrimaryKey}}}}))
	add("GetRange", mustMarshal(allRange()))

	s, err := Open(Options{Memory: true, Instance: "testing", AccessKeyID: "id", AccessKeySecret: "secret"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	server := &TestServer{Server: s}
	f.Fuzz(func(t *testing.T, operation byte, body []byte) {
		if len(body) > maxRequestBody {
			return
		}
		// A fuzzed request may have deleted or changed the table.
		_, err := server.do(&call{operation: "CreateTable"}, createTableBody("t", 3))
		o := operations[int(operation)%len(operations)]
		// The table has little in it, so an answer is small; a memtable of the store may come on top.
		allocates(t, 16<<20+memTableSize, 8, len(body), func() { _, err = server.do(&call{operation: o}, body) })
		if err != nil {
			if e, expected := asServiceError(err); !expected || e.status >= 500 || e.message == "" {
				t.Fatalf("%s: %v", o, err)
			}
		}
		if o == "CreateTable" || o == "DeleteTable" || o == "UpdateTable" {
			return
		}
		if _, err := server.do(&call{operation: "PutRow"}, putBody("good", []byte("v"))); err != nil {
			t.Fatalf("a good put after %s: %v", o, err)
		}
		if out, err := server.do(&call{operation: "GetRow"}, getBody("good")); err != nil || len(out) < 50 {
			t.Fatalf("a good get after %s: %x, %v", o, out, err)
		}
	})
}

// allocates fails unless do allocates at most fixed bytes and perByte more for each byte of its input: no length in a message makes
// the server reserve memory for what is not there.
func allocates(t *testing.T, fixed, perByte, input int, do func()) {
	t.Helper()
	least := uint64(math.MaxUint64)
	for range 3 { // the fuzzer itself may allocate beside it
		before := allocated()
		do()
		if least = min(least, allocated()-before); least <= uint64(fixed+perByte*input) {
			return
		}
	}
	t.Errorf("%d bytes of input made it allocate %d", input, least)
}

func allocated() uint64 {
	s := []runtimemetrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(s)
	return s[0].Value.Uint64()
}

// FuzzRow: a row of a request is decoded or refused as the client's fault; one that is decoded is written as it was.
func FuzzRow(f *testing.F) {
	f.Add(plainbuffer.Encode(plainbuffer.Row{PrimaryKey: idKey("a"), Attributes: []plainbuffer.Cell{cell("x", 1), cell("y", "text"), cell("z", 1.5).At(5)}}))
	f.Add(plainbuffer.Encode(plainbuffer.Row{PrimaryKey: idKey("a"), Deleted: true}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var row, again plainbuffer.Row
		var err error
		allocates(t, 8<<20, 1, len(data), func() { err = decodeRow(data, &row) })
		if err != nil {
			if e, expected := asServiceError(err); !expected || e.status != 400 {
				t.Fatal(err)
			}
			return
		}
		encoded := plainbuffer.Encode(row)
		if err := decodeRow(encoded, &again); err != nil || !bytes.Equal(plainbuffer.Encode(again), encoded) {
			t.Errorf("%x became %x: %v", data, encoded, err)
		}
	})
}

// FuzzFilter: a filter is refused as the client's fault, or works on any row.
func FuzzFilter(f *testing.F) {
	f.Add(comparison("x", eq, cell("", 1).Value, true, true), false)
	f.Add(combination(or, comparison("x", gt, cell("", "a").Value, true, true), combination(not, comparison("id", gt, cell("", "a").Value, true, false))), true)
	f.Add(page(1, 2), false)
	f.Add(ruled("t=([0-9]+),"), false)
	cells := []*storedCell{{Cell: cell("i", "t=7,")}, {Cell: cell("x", 1)}, {Cell: cell("y", 2.5)}, {Cell: cell("z", []byte{1})}}
	f.Fuzz(func(t *testing.T, data []byte, condition bool) {
		var parsed *filter
		var err error
		allocates(t, 32<<20, 8, len(data), func() { parsed, err = parseFilter(data, condition) })
		if err != nil {
			if e, expected := asServiceError(err); !expected || e.status != 400 {
				t.Fatal(err)
			}
			return
		}
		if parsed.kind == otsprotocol.FilterType_FT_COLUMN_PAGINATION {
			if n := len(parsed.page(cells)); n > len(cells) {
				t.Errorf("a page of %d cells", n)
			}
			return
		}
		if _, err := parsed.matches(&filterRow{idKey("a"), cells, func(*storedCell) error { return nil }}); err != nil {
			t.Error(err)
		}
	})
}

// FuzzCompressedBody: a compressed body becomes as many bytes as it says, at most as many as a body may have, or is refused.
func FuzzCompressedBody(f *testing.F) {
	for _, raw := range [][]byte{nil, []byte("text"), bytes.Repeat([]byte{0}, 100000)} {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		_, _ = w.Write(raw)
		_ = w.Close()
		f.Add(z.Bytes(), decimal(int64(len(raw))), "deflate")
	}
	f.Add([]byte{}, "", "")
	f.Fuzz(func(t *testing.T, body []byte, size, kind string) {
		h := http.Header{headerCompressType: {kind}, headerCompressSize: {size}}
		var raw []byte
		var err error
		allocates(t, 2*maxRequestBody, 1, len(body), func() { raw, err = expandBody(h, body) })
		if err != nil {
			if e, expected := asServiceError(err); !expected || e.status >= 500 {
				t.Fatal(err)
			}
			return
		}
		if strings.TrimSpace(kind) == "" {
			return
		}
		if n, err := strconv.Atoi(signature.Get(h, headerCompressSize)); err != nil || n != len(raw) || n > maxRequestBody {
			t.Errorf("%d bytes, announced as %q", len(raw), size)
		}
	})
}

// FuzzStoredRow: what stands in the store instead of a row is refused, or is a row that is written as it was.
func FuzzStoredRow(f *testing.F) {
	r := row{hasMarker: true, marker: 5}
	r.put(cell("x", 1).At(7))
	r.put(cell("y", "text").At(8))
	f.Add(r.appendTo(nil))
	r.cells[1].blob = 9
	f.Add(r.appendTo(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, again row
		var err error
		allocates(t, 64<<10, 400, len(data), func() { err = r.decode(data) })
		if err != nil {
			return
		}
		written := r.appendTo(nil)
		if len(written) != r.storedSize() {
			t.Errorf("%d bytes, not %d", len(written), r.storedSize())
		}
		if err := again.decode(written); err != nil || !bytes.Equal(again.appendTo(nil), written) {
			t.Errorf("%x became %x: %v", data, written, err)
		}
	})
}

// FuzzStoredKey: what stands in the store instead of a key is refused, or is a primary key that makes the same key.
func FuzzStoredKey(f *testing.F) {
	keys := &table{id: 3, name: "t", key: []keyColumn{{name: []byte("s"), typ: plainbuffer.String}, {name: []byte("i"), typ: plainbuffer.Integer}, {name: []byte("b"), typ: plainbuffer.Blob}}}
	f.Add(appendRowKey(nil, keys.id, []plainbuffer.Cell{cell("s", "a\x00b"), cell("i", -5), cell("b", []byte{0, 255})}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var pk []plainbuffer.Cell
		var err error
		allocates(t, 64<<10, 10, len(data), func() { pk, err = keys.primaryKeyOf(data, nil) })
		if err != nil {
			return
		}
		written := appendRowKey(nil, keys.id, pk)
		if !bytes.Equal(written[9:], data[9:]) {
			t.Errorf("%x became %x", data, written)
		}
	})
}

// FuzzHeaders: whatever the headers, an unsigned request gets an error with all the headers of an answer and changes nothing.
func FuzzHeaders(f *testing.F) {
	f.Add("2026-01-02T03:04:05.000Z", "2015-12-31", "id", "testing", "1B2M2Y8AsgTpgAmY7PhCfg==", "x", "", "", "")
	f.Add("2026-01-02T03:04:05.11236Z", "2015-12-31", "id", "testing", "1B2M2Y8AsgTpgAmY7PhCfg==", "", "x", "20260102", "cn")
	s, err := Open(Options{Memory: true, Instance: "testing", AccessKeyID: "id", AccessKeySecret: "secret"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, date, api, id, instance, md5, v2, v4, signDate, region string) {
		r := httptest.NewRequest(http.MethodPost, "/ListTable", http.NoBody)
		for name, v := range map[string]string{"x-ots-date": date, "x-ots-apiversion": api, "x-ots-accesskeyid": id, "x-ots-instancename": instance,
			"x-ots-contentmd5": md5, "x-ots-signature": v2, "x-ots-signaturev4": v4, "x-ots-signdate": signDate, "x-ots-signregion": region} {
			r.Header.Set(name, v)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 || w.Body.Len() == 0 || signature.Get(w.Header(), headerRequestID) == "" || len(w.Header()["Authorization"]) != 0 {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	})
}
