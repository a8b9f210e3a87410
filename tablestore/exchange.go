package tablestore

import (
	"bytes"
	"context"
	"crypto/md5" // the protocol's checksum; the signature covers it
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptrace"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// exchange is one call and its one request.
type exchange struct {
	client    *client
	ctx       context.Context
	operation string
	table     string
	use       answerUse
	identity  *identity // what the request is signed with

	began         time.Time
	duration      time.Duration
	requestBytes  int
	responseBytes int
	status        int
	requestID     string

	trace    httptrace.ClientTrace
	sent     atomic.Bool // set by a goroutine of net/http, maybe after the call
	answered bool        // a good answer came
	err      *Error      // why none did
}

// post makes the request of a row operation and decodes its answer.
func (x *exchange) post(data []byte, decode func(*exchange, []byte) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	request := &http.Request{
		Method: http.MethodPost,
		URL:    x.client.urls[x.operation],
		Header: x.signedHeader(data),
	}
	_, body, err := x.roundTrip(request, data)
	if err != nil {
		return err
	}
	return decode(x, body)
}

// apiVersion is that of the protocol.
const apiVersion = "2015-12-31"

// signedHeader is the header of a request with this body.
func (x *exchange) signedHeader(data []byte) http.Header {
	options := &x.client.options
	sum := md5.Sum(data)
	header := make(http.Header, 12)
	values := make([]string, 0, 10)
	set := func(name, value string) {
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set("User-Agent", "sentry-tablestore")
	set("X-Ots-Date", x.client.keys.now().UTC().Format("2006-01-02T15:04:05.000Z"))
	set("X-Ots-Apiversion", apiVersion)
	set("X-Ots-Accesskeyid", x.identity.keys.AccessKeyID)
	set("X-Ots-Instancename", options.Instance)
	set("X-Ots-Contentmd5", base64.StdEncoding.EncodeToString(sum[:]))
	if token := x.identity.keys.STSToken; token != "" {
		set("X-Ots-Ststoken", token)
	}
	name := "X-Ots-Signature"
	if options.Region != "" {
		name = "X-Ots-Signaturev4"
		set("X-Ots-Signdate", x.identity.date)
		set("X-Ots-Signregion", options.Region)
	}
	set(name, x.identity.key.SignRequest(x.operation, header))
	return header
}

// roundTrip makes the one request of the exchange and returns its answer if it is good.
func (x *exchange) roundTrip(request *http.Request, data []byte) (*http.Response, []byte, error) {
	x.began = time.Now()
	x.requestBytes = len(data)
	defer func() { x.duration = time.Since(x.began) }()

	// All requests may be sent twice (writes are idempotent or conditional with a look at the row after a
	// failure), so net/http may use a new connection when an idle one turns out to be closed. It does so for a
	// POST only with this header; having no value it is never sent.
	request.Header["X-Idempotency-Key"] = nil
	request.ContentLength = int64(len(data))
	// Of a body that it knows to be in memory net/http sends header and body in one system call.
	request.Body = io.NopCloser(bytes.NewReader(data))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }

	x.trace.WroteHeaders = func() { x.sent.Store(true) }
	response, err := x.client.transport.RoundTrip(request.WithContext(httptrace.WithClientTrace(x.ctx, &x.trace)))
	if err != nil {
		x.err = transportError(x, err)
		return nil, nil, x.err
	}
	x.status = response.StatusCode
	x.requestID = x.client.redact.foreign(response.Header.Get("X-Ots-Requestid"))

	body, err := readBody(response)
	x.responseBytes = len(body)
	if err != nil {
		x.err = bodyError(x, err)
		return nil, nil, x.err
	}
	if x.err = x.check(response, body); x.err != nil {
		return nil, nil, x.err
	}
	x.answered = true
	return response, body, nil
}
