package local

import (
	"net/http"
	"net/http/httptest"
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
		// A fuzzed request may have deleted or changed the table.
		_, _ = server.do(&call{operation: "CreateTable"}, createTableBody("t", 3))
		o := operations[int(operation)%len(operations)]
		if _, err := server.do(&call{operation: o}, body); err != nil {
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
