package local

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
)

func TestAnswerHeaders(t *testing.T) {
	s := RunT(t)
	a := s.send(t, s.request(t, "ListTable", nil))
	if a.status != 200 || !a.signed {
		t.Errorf("status %d, signed %t", a.status, a.signed)
	}
	for name, pattern := range map[string]string{
		"x-ots-requestid": `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`, "x-ots-date": `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`,
		"x-ots-contenttype": `^protocol buffer$`, "x-ots-contentmd5": `^[A-Za-z0-9+/]{22}==$`, "Content-Length": `^\d+$`, "Content-Type": `^$`,
	} {
		if v := a.header.Get(name); !regexp.MustCompile(pattern).MatchString(v) {
			t.Errorf("%s: %q", name, v)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := RunT(t)
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	unset := func(name string) func(http.Header) { return func(h http.Header) { h.Del(name) } }
	old := s.now().Add(-16 * time.Minute).UTC().Format("2006-01-02T15:04:05.000Z")
	for _, tt := range []struct {
		name    string
		change  func(http.Header)   // before signing
		spoil   func(*http.Request) // after it
		status  int
		code    string
		message string
		signed  bool
	}{
		{name: "GET", spoil: func(r *http.Request) { r.Method = "GET" }, status: 405, code: "OTSMethodNotAllowed", message: "Only POST method for requests is supported."},
		{name: "no date", change: unset("x-ots-date"), status: 400, code: "OTSParameterInvalid", message: "Missing header: 'x-ots-date'."},
		{name: "no signature", spoil: func(r *http.Request) { r.Header.Del("x-ots-signature") }, status: 400, code: "OTSParameterInvalid", message: "Missing header: 'x-ots-signature'."},
		{name: "another API", change: set("x-ots-apiversion", "2014-08-08"), status: 400, code: "OTSParameterInvalid", message: "Invalid API version: '2014-08-08'."},
		{name: "unknown key", change: set("x-ots-accesskeyid", "who"), status: 403, code: "OTSAuthFailed", message: "The AccessKeyID does not exist."},
		{name: "unknown instance", change: set("x-ots-instancename", "other"), status: 403, code: "OTSAuthFailed", message: "The instance is not found."},
		{name: "wrong signature", spoil: func(r *http.Request) { r.Header.Set("x-ots-signature", "AAAA") }, status: 403, code: "OTSAuthFailed", message: "Signature mismatch."},
		{name: "changed header", spoil: func(r *http.Request) { r.Header.Set("x-ots-instancename", "Testing") }, status: 403, code: "OTSAuthFailed", message: "Signature mismatch."},
		{name: "V4 without a date", change: set("x-ots-signregion", "cn-x"), status: 400, code: "OTSParameterInvalid", message: "Missing header: 'x-ots-signdate'."},
		{name: "old", change: set("x-ots-date", old), status: 403, code: "OTSAuthFailed", message: "Mismatch between system time and x-ots-date: " + old + "."},
		{name: "no time", change: set("x-ots-date", "yesterday"), status: 400, code: "OTSParameterInvalid", message: "Invalid date format: yesterday."},
		{name: "wrong MD5", change: set("x-ots-contentmd5", "AAAAAAAAAAAAAAAAAAAAAA=="), status: 403, code: "OTSAuthFailed", message: "Mismatch between MD5 value of request body and x-ots-contentmd5 in header."},
		{name: "unknown compression", change: set("x-ots-request-compress-type", "br"), status: 400, code: "OTSParameterInvalid", message: "Unsupported compress type: 'br'.", signed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var change []func(http.Header)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			r := s.request(t, "ListTable", nil, change...)
			if tt.spoil != nil {
				tt.spoil(r)
			}
			a := s.send(t, r)
			if e := a.error(t); a.status != tt.status || e.GetCode() != tt.code || e.GetMessage() != tt.message || a.signed != tt.signed {
				t.Errorf("%d %s %q, signed %t", a.status, e.GetCode(), e.GetMessage(), a.signed)
			}
		})
	}
	for _, operation := range []string{"Search", "StartLocalTransaction", "listTable", "SQLQuery", ""} {
		if _, code, message := s.call(t, operation, nil); code != "OTSParameterInvalid" || message != "Unsupported operation: '"+operation+"'." {
			t.Errorf("%s: %s %s", operation, code, message)
		}
	}
	if _, code, _ := s.call(t, "GetRow", []byte{0xFF}); code != "OTSParameterInvalid" {
		t.Errorf("a body that is no protobuf: %s", code)
	}
}

func TestRequestsThatAreAccepted(t *testing.T) {
	s := RunT(t)
	for name, change := range map[string]func(http.Header){
		"V4": func(h http.Header) {
			h.Set("x-ots-signdate", "20260102")
			h.Set("x-ots-signregion", "cn-hangzhou")
		},
		"unknown headers":        func(h http.Header) { h.Set("x-ots-sdk-traceid", "abc"); h.Set("x-ots-future", "1") },
		"the Go SDK's fractions": func(h http.Header) { h.Set("x-ots-date", s.now().UTC().Format("2006-01-02T15:04:05")+".112319Z") },
		"an STS token":           func(h http.Header) { h.Set("x-ots-ststoken", "token") },
		"instance in capitals":   func(h http.Header) { h.Set("x-ots-instancename", strings.ToUpper(s.Instance)) },
	} {
		if a := s.send(t, s.request(t, "ListTable", nil, change)); a.status != 200 || !a.signed {
			t.Errorf("%s: %d, signed %t: %s", name, a.status, a.signed, a.body)
		}
	}
	r := s.request(t, "ListTable", nil)
	r.URL.Path = "/some/path/ListTable"
	if a := s.send(t, r); a.status != 200 {
		t.Errorf("a path before the operation: %d", a.status)
	}
}

func TestCompressedRequest(t *testing.T) {
	s := RunT(t)
	raw := mustMarshal(createRequest("t", nil))
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(raw)
	_ = w.Close()
	send := func(size string) answer {
		return s.send(t, s.request(t, "CreateTable", z.Bytes(), func(h http.Header) {
			h.Set("x-ots-request-compress-type", "deflate")
			h.Set("x-ots-request-compress-size", size)
		}))
	}
	for _, size := range []string{"", "-1", decimal(int64(len(raw) - 1)), decimal(int64(len(raw) + 1))} {
		if a := send(size); a.status != 400 {
			t.Errorf("size %q: status %d", size, a.status)
		}
	}
	if a := send(decimal(maxRequestBody + 1)); a.status != 413 {
		t.Errorf("a raw size above the limit: status %d", a.status)
	}
	if a := send(decimal(int64(len(raw)))); a.status != 200 {
		t.Errorf("status %d: %s", a.status, a.body)
	}
}

func TestBodyLimit(t *testing.T) {
	s := RunT(t)
	body := make([]byte, maxRequestBody+1)
	a := s.send(t, s.request(t, "PutRow", body))
	if e := a.error(t); a.status != 413 || e.GetCode() != "OTSRequestBodyTooLarge" || e.GetMessage() != "The size of POST data is too large." {
		t.Errorf("%d %v", a.status, &e)
	}
	r := s.request(t, "PutRow", body)
	r.ContentLength = -1 // chunked
	if a := s.send(t, r); a.status != 413 {
		t.Errorf("chunked: %d", a.status)
	}
}

func TestClosedServer(t *testing.T) {
	s := RunT(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	a := s.send(t, s.request(t, "ListTable", nil))
	if e := a.error(t); e.GetCode() != "OTSPartitionUnavailable" {
		t.Errorf("%d %v", a.status, &e)
	}
	if err := s.Close(); err != ErrClosed {
		t.Errorf("second Close: %v", err)
	}
}

func TestTableQuota(t *testing.T) {
	s := RunT(t, func(o *Options) { o.MaxTables = 1 })
	s.create(t, "t", nil)
	s.refused(t, "CreateTable", createRequest("u", nil), "OTSQuotaExhausted", "Number of tables exceeded the quota.")
	s.refused(t, "CreateTable", createRequest("t", nil), "OTSObjectAlreadyExist", "Requested table already exists.")
	s.refused(t, "DeleteTable", &otsprotocol.DeleteTableRequest{TableName: ptr("u")}, "OTSObjectNotExist", "Requested table does not exist.")
}

// A client that sends all before it reads, as that of the Java SDK nearly does, gets the answer and can go on.
func TestTooLargeBodiesAreReadToTheirEnd(t *testing.T) {
	s := RunT(t)
	for _, length := range []int64{32 << 20, -1} { // known, and in chunks
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		answers := bufio.NewReader(connection)
		for _, size := range []int{32 << 20, 0} {
			r := s.request(t, "ListTable", make([]byte, size))
			if size > 0 {
				r.ContentLength = length
			}
			if err := r.Write(connection); err != nil {
				t.Fatalf("send %d bytes: %v", size, err)
			}
			a, err := http.ReadResponse(answers, r)
			if err != nil {
				t.Fatalf("read the answer to %d bytes: %v", size, err)
			}
			_ = a.Body.Close()
			if want := map[bool]int{true: 413, false: 200}[size > 0]; a.StatusCode != want {
				t.Errorf("status %d for %d bytes, want %d", a.StatusCode, size, want)
			}
		}
	}
}
