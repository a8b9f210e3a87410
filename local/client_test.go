package local

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/protoadapt"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
)

// request returns a signed request, which a test may spoil. change may alter headers before they are signed.
func (s *TestServer) request(t testing.TB, operation string, body []byte, change ...func(http.Header)) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.URL+"/"+operation, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-ots-date", s.now().UTC().Format("2006-01-02T15:04:05.000Z"))
	r.Header.Set("x-ots-apiversion", "2015-12-31")
	r.Header.Set("x-ots-accesskeyid", s.AccessKeyID)
	r.Header.Set("x-ots-instancename", s.Instance)
	r.Header.Set("x-ots-contentmd5", md5Header(body))
	for _, f := range change {
		f(r.Header)
	}
	name := "x-ots-signature"
	if r.Header.Get("x-ots-signregion") != "" {
		name = "x-ots-signaturev4"
		r.Header.Set(name, "x") // lets KeyFor know
	}
	r.Header.Set(name, signature.KeyFor(s.AccessKeySecret, r.Header).SignRequest(operation, r.Header))
	return r
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	signed bool
}

func (s *TestServer) send(t testing.TB, r *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: body}
	a.signed = s.verify(r, response.Header)
	return a
}

// verify reports whether an answer is signed with the key of its request.
func (s *TestServer) verify(r *http.Request, header http.Header) bool {
	return signature.KeyFor(s.AccessKeySecret, r.Header).VerifyAuthorization(s.AccessKeyID, r.URL.Path[1:], header)
}

func md5Header(body []byte) string {
	sum := md5.Sum(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// error returns the error in the body, or the zero error.
func (a answer) error(t testing.TB) otsprotocol.Error {
	t.Helper()
	var e otsprotocol.Error
	if a.status == http.StatusOK {
		return e
	}
	if err := unmarshal(a.body, &e); err != nil {
		t.Fatalf("error body %x: %v", a.body, err)
	}
	return e
}

// call carries an operation out over HTTP and returns the answer's body and the error code and text, if any.
func (s *TestServer) call(t testing.TB, operation string, body []byte) (answerBody []byte, code, message string) {
	t.Helper()
	a := s.send(t, s.request(t, operation, body))
	if !a.signed || a.header.Get("x-ots-contentmd5") != md5Header(a.body) {
		t.Errorf("%s: the answer's signature or MD5 is wrong", operation)
	}
	e := a.error(t)
	return a.body, e.GetCode(), e.GetMessage()
}

// must is call for requests that have to succeed.
func (s *TestServer) must(t testing.TB, operation string, m protoadapt.MessageV1) []byte {
	t.Helper()
	body, code, message := s.call(t, operation, mustMarshal(m))
	if code != "" {
		t.Fatalf("%s: %s: %s", operation, code, message)
	}
	return body
}

// refused checks that a request fails with the given code and text.
func (s *TestServer) refused(t testing.TB, operation string, m protoadapt.MessageV1, code, message string) {
	t.Helper()
	_, gotCode, gotMessage := s.call(t, operation, mustMarshal(m))
	if gotCode != code || gotMessage != message {
		t.Errorf("%s: %s: %q, want %s: %q", operation, gotCode, gotMessage, code, message)
	}
}

func ptr[T any](v T) *T { return &v }

type keySchema struct {
	name string
	typ  otsprotocol.PrimaryKeyType
}

// create makes a table; options may be nil.
func (s *TestServer) create(t testing.TB, name string, options *otsprotocol.TableOptions, keys ...keySchema) {
	t.Helper()
	s.must(t, "CreateTable", createRequest(name, options, keys...))
}

func createRequest(name string, options *otsprotocol.TableOptions, keys ...keySchema) *otsprotocol.CreateTableRequest {
	if len(keys) == 0 {
		keys = []keySchema{{"id", otsprotocol.PrimaryKeyType_STRING}}
	}
	if options == nil {
		options = &otsprotocol.TableOptions{TimeToLive: ptr(int32(-1)), MaxVersions: ptr(int32(1))}
	}
	meta := &otsprotocol.TableMeta{TableName: &name}
	for _, k := range keys {
		meta.PrimaryKey = append(meta.PrimaryKey, &otsprotocol.PrimaryKeySchema{Name: ptr(k.name), Type: k.typ.Enum()})
	}
	return &otsprotocol.CreateTableRequest{TableMeta: meta, TableOptions: options,
		ReservedThroughput: &otsprotocol.ReservedThroughput{CapacityUnit: &otsprotocol.CapacityUnit{Read: ptr(int32(0)), Write: ptr(int32(0))}}}
}

func condition(e otsprotocol.RowExistenceExpectation, filter ...[]byte) *otsprotocol.Condition {
	c := &otsprotocol.Condition{RowExistence: e.Enum()}
	if len(filter) > 0 {
		c.ColumnCondition = filter[0]
	}
	return c
}

const (
	ignored  = otsprotocol.RowExistenceExpectation_IGNORE
	exist    = otsprotocol.RowExistenceExpectation_EXPECT_EXIST
	notExist = otsprotocol.RowExistenceExpectation_EXPECT_NOT_EXIST
)

func putRequest(pk []plainbuffer.Cell, cells ...plainbuffer.Cell) *otsprotocol.PutRowRequest {
	return &otsprotocol.PutRowRequest{TableName: ptr("t"), Condition: condition(ignored), Row: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: pk, Attributes: cells})}
}

func updateRequest(pk []plainbuffer.Cell, cells ...plainbuffer.Cell) *otsprotocol.UpdateRowRequest {
	return &otsprotocol.UpdateRowRequest{TableName: ptr("t"), Condition: condition(ignored), RowChange: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: pk, Attributes: cells})}
}

func deleteRequest(pk []plainbuffer.Cell) *otsprotocol.DeleteRowRequest {
	return &otsprotocol.DeleteRowRequest{TableName: ptr("t"), Condition: condition(ignored), PrimaryKey: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: pk, Deleted: true})}
}

func getRequest(pk []plainbuffer.Cell) *otsprotocol.GetRowRequest {
	return &otsprotocol.GetRowRequest{TableName: ptr("t"), MaxVersions: ptr(int32(1)), PrimaryKey: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: pk})}
}

func rangeRequest(direction otsprotocol.Direction, begin, end []plainbuffer.Cell) *otsprotocol.GetRangeRequest {
	return &otsprotocol.GetRangeRequest{TableName: ptr("t"), Direction: &direction, MaxVersions: ptr(int32(1)),
		InclusiveStartPrimaryKey: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: begin}),
		ExclusiveEndPrimaryKey:   plainbuffer.Encode(plainbuffer.Row{PrimaryKey: end})}
}

func cell(name string, value any) plainbuffer.Cell {
	switch v := value.(type) {
	case int:
		return plainbuffer.NewCell(name, plainbuffer.IntegerValue(int64(v)))
	case float64:
		return plainbuffer.NewCell(name, plainbuffer.DoubleValue(v))
	case bool:
		return plainbuffer.NewCell(name, plainbuffer.BooleanValue(v))
	case string:
		return plainbuffer.NewCell(name, plainbuffer.StringValue(v))
	case []byte:
		return plainbuffer.NewCell(name, plainbuffer.BlobValue(v))
	case plainbuffer.Type:
		return plainbuffer.NewCell(name, plainbuffer.Value{Type: v})
	}
	panic("a value of this type is not for tests")
}

// get reads a row and returns it, nil if it is not there, with the read units.
func (s *TestServer) get(t testing.TB, m *otsprotocol.GetRowRequest) (*plainbuffer.Row, int32) {
	t.Helper()
	var response otsprotocol.GetRowResponse
	if err := unmarshal(s.must(t, "GetRow", m), &response); err != nil {
		t.Fatal(err)
	}
	units := response.Consumed.CapacityUnit
	if units.Read == nil || units.GetWrite() != 0 {
		t.Errorf("consumed %v", units)
	}
	if len(response.Row) == 0 {
		return nil, units.GetRead()
	}
	var row plainbuffer.Row
	if err := plainbuffer.DecodeRow(response.Row, &row); err != nil {
		t.Fatal(err)
	}
	return &row, units.GetRead()
}

// text writes the columns of a row down as name=value@time with the time relative to base.
func text(row *plainbuffer.Row, base time.Time) string {
	if row == nil {
		return "none"
	}
	var b bytes.Buffer
	for i, c := range row.Attributes {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.Write(c.Name)
		b.WriteByte('=')
		b.WriteString(valueText(c.Value))
		if !base.IsZero() {
			b.WriteString("@" + time.Duration(c.Timestamp*1e6-base.UnixMilli()*1e6).String())
		}
	}
	return b.String()
}

func valueText(v plainbuffer.Value) string {
	switch v.Type {
	case plainbuffer.Integer:
		return decimal(v.Int())
	case plainbuffer.Blob, plainbuffer.String:
		if len(v.Bytes) > 20 {
			return decimal(int64(len(v.Bytes))) + "B"
		}
		return string(v.Bytes)
	}
	return v.Type.String()
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
