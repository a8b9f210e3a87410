package tablestore

import (
	"crypto/md5"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/golang/protobuf/proto"
)

// What all tests sign with.
const (
	testKeyID  = "LTAItestkeyid"
	testSecret = "5ecretOfTheTest/+=NeverShown"
	testToken  = "CAISt0ken/OfTheTest+=NeverShown"
)

// answer is what a test's server says to one request.
type answer struct {
	status int // 0 stands for 200
	body   []byte
	change func(http.Header) // after signing
}

// write signs the answer as the service does and sends it.
func (a answer) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	sum := md5.Sum(a.body)
	header.Set("x-ots-contentmd5", base64.StdEncoding.EncodeToString(sum[:]))
	header.Set("x-ots-contenttype", "protocol buffer")
	header.Set("x-ots-date", "2026-01-02T03:04:05.000000Z")
	header.Set("x-ots-requestid", "00061f-test-request")
	operation := r.URL.Path[1:]
	header.Set("Authorization", signature.KeyFor(testSecret, r.Header).Authorization(testKeyID, operation, header))
	if a.change != nil {
		a.change(header)
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body)
}

// serve starts a server that gives the answer of f to each request.
func serve(t testing.TB, f func(*http.Request, []byte) answer) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		f(r, body).write(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

// always gives the same answer.
func always(a answer) func(*http.Request, []byte) answer {
	return func(*http.Request, []byte) answer { return a }
}

func open(t testing.TB, endpoint string, change ...func(*Options)) *client {
	t.Helper()
	options := Options{Endpoint: endpoint, Instance: "sentry", AccessKeyID: testKeyID, AccessKeySecret: testSecret, MaxConnections: 8}
	for _, f := range change {
		f(&options)
	}
	opened, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return opened.(*client)
}

func message(t testing.TB, m proto.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func consumed() *otsprotocol.ConsumedCapacity {
	return &otsprotocol.ConsumedCapacity{CapacityUnit: &otsprotocol.CapacityUnit{Read: proto.Int32(1), Write: proto.Int32(0)}}
}

// row is a row of PlainBuffer with one BINARY column, data.
func row(id string, data []byte) []byte {
	return plainbuffer.Encode(plainbuffer.Row{
		PrimaryKey: []plainbuffer.Cell{plainbuffer.NewCell("id", plainbuffer.StringValue(id))},
		Attributes: []plainbuffer.Cell{plainbuffer.NewCell("data", plainbuffer.BlobValue(data)).At(1700000000000)},
	})
}

// gotRow is a good answer to GetRow.
func gotRow(t testing.TB, row []byte) []byte {
	return message(t, &otsprotocol.GetRowResponse{Consumed: consumed(), Row: row})
}

// failed is the body of an error of the service.
func failed(t testing.TB, code, text string) []byte {
	return message(t, &otsprotocol.Error{Code: &code, Message: &text})
}

func TestGetRow(t *testing.T) {
	client := open(t, serve(t, always(answer{body: gotRow(t, row("a1", []byte("value")))})).URL)
	got, err := client.GetRow(t.Context(), &GetRowRequest{Table: "nodestore", PrimaryKey: PrimaryKey{"id", "a1"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Columns) != 1 || string(got.Columns[0].Value.([]byte)) != "value" || got.Columns[0].Timestamp != 1700000000000 {
		t.Fatalf("got %+v", got)
	}
}
