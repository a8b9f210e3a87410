package tablestore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// idleTimeout is the SDK's: shorter than the service keeps idle connections.
	idleTimeout = 25 * time.Second
	// bufferSize lets a request or an answer of a usual node pass in one system call.
	bufferSize = 64 << 10
	// maxAnswer bounds what an answer may cost in memory. GetRange stops at 4 MiB scanned; a cell holds 2 MiB
	// at most, so only a BatchGetRow of more than 30 of the largest values, or a read of that many parts of one row,
	// comes near: the caller halves it (Error.TooLarge).
	maxAnswer = 64 << 20
)

// newTransport makes the connections that all sessions share. No proxy from the environment, as the SDK.
func newTransport(maxConnections int) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		},
		Protocols:           &protocols,
		DisableCompression:  true,
		MaxIdleConnsPerHost: maxConnections,
		IdleConnTimeout:     idleTimeout,
		WriteBufferSize:     bufferSize,
		ReadBufferSize:      bufferSize,
	}
}

// RoundTrip is a method of [http.RoundTripper]: it makes the one request of the call under way. An answer reaches
// the SDK only when it is good; all else is kept in the exchange.
func (s *session) RoundTrip(request *http.Request) (*http.Response, error) {
	x := s.exchange
	if !x.began.IsZero() {
		return nil, errors.New("second request in one call")
	}
	x.began = time.Now()
	x.requestBytes = int(request.ContentLength)

	// All requests may be sent twice (writes are idempotent or conditional with a look at the row after a
	// failure), so net/http may use a new connection when an idle one turns out to be closed. It does so for a
	// POST only with this header; having no value it is never sent.
	request.Header["X-Idempotency-Key"] = nil

	x.trace.WroteHeaders = func() { x.sent.Store(true) }
	response, err := s.exchangeBytes(request.WithContext(httptrace.WithClientTrace(x.ctx, &x.trace)))
	x.duration = time.Since(x.began)
	if err == nil && x.use == ignoreAnswer {
		err = errIgnored
	}
	if err != nil {
		return nil, err
	}
	return response, nil
}

func (s *session) exchangeBytes(request *http.Request) (*http.Response, error) {
	x := s.exchange
	response, err := s.client.transport.RoundTrip(request)
	if err != nil {
		x.err = transportError(x, err)
		return nil, x.err
	}
	x.status = response.StatusCode
	x.requestID = x.redact.foreign(response.Header.Get("X-Ots-Requestid"))

	s.buffer, err = readBody(s.buffer[:0], response)
	x.responseBytes = len(s.buffer)
	if err != nil {
		x.err = bodyError(x, err)
		return nil, x.err
	}
	if x.err = s.check(response, s.buffer); x.err != nil {
		return nil, x.err
	}
	x.answered = true
	s.body.Reset(s.buffer)
	response.Body = &s.body
	return response, nil
}

var errAnswerTooLarge = fmt.Errorf("the answer exceeds %d MiB", maxAnswer>>20)

// readBody appends the body to dst. It reads to the end, so that the connection can be used again.
func readBody(dst []byte, response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	if n := response.ContentLength; n >= 0 {
		if n > maxAnswer {
			return dst, errAnswerTooLarge
		}
		if int64(cap(dst)) < n {
			dst = make([]byte, 0, n)
		}
		read, err := io.ReadFull(response.Body, dst[:n])
		return dst[:read], err
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := response.Body.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		case len(dst) > maxAnswer:
			return dst, errAnswerTooLarge
		}
	}
}
