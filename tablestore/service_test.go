package tablestore

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
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
	options := Options{Endpoint: endpoint, Instance: "sentry", Credentials: Credentials{AccessKeyID: testKeyID, AccessKeySecret: testSecret}, MaxConnections: 8}
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

// message encodes a message, even one without required fields.
func message(t testing.TB, m protoadapt.MessageV1) []byte {
	t.Helper()
	body, err := proto.MarshalOptions{AllowPartial: true}.Marshal(protoadapt.MessageV2Of(m))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func decode(body []byte, m protoadapt.MessageV1) error {
	return proto.Unmarshal(body, protoadapt.MessageV2Of(m))
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

// wire serves single connections: n counts them from 1. The connection is closed when f returns.
func wire(t testing.TB, f func(n int, conn net.Conn, requests *bufio.Reader)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		conns.Wait()
	})
	go func() {
		for n := 1; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				defer conns.Done()
				defer conn.Close()
				f(n, conn, bufio.NewReader(conn))
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// readRequest reads a whole request; nil means that the connection ended.
func readRequest(requests *bufio.Reader) *http.Request {
	request, err := http.ReadRequest(requests)
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	return request
}

// encoded is the answer as it goes over the wire.
func (a answer) encoded(request *http.Request) []byte {
	recorder := httptest.NewRecorder()
	a.write(recorder, request)
	response := recorder.Result()
	response.ContentLength = int64(len(a.body))
	var b bytes.Buffer
	_ = response.Write(&b)
	return b.Bytes()
}

// get reads row a1 and returns the failure, or nil.
func get(t testing.TB, c *client) *Error {
	t.Helper()
	_, err := c.GetRow(t.Context(), getA1)
	return failureOf(t, err)
}

var getA1 = &GetRowRequest{Table: "nodestore", PrimaryKey: PrimaryKey{Name: "id", Value: "a1"}}

// failureOf is the error as an *Error; every error must be one, and must show no credential.
func failureOf(t testing.TB, err error) *Error {
	t.Helper()
	if err == nil {
		return nil
	}
	if shown := fmt.Sprintf("%v %+v", err, err); strings.Contains(shown, testSecret) || strings.Contains(shown, testToken) {
		t.Errorf("a credential is shown: %s", shown)
	}
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("%T is no *Error: %v", err, err)
	}
	return failure
}

// wantKind fails the test unless the error is of the kind and its text holds the part.
func wantKind(t testing.TB, failure *Error, kind Kind, part string) {
	t.Helper()
	if failure == nil {
		t.Fatalf("no error, want kind %d with %q", kind, part)
	}
	if failure.Kind != kind || !strings.Contains(failure.Error(), part) {
		t.Fatalf("kind %d, %v; want kind %d with %q", failure.Kind, failure, kind, part)
	}
}
