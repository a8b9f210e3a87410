package tablestore

import (
	"cmp"
	"context"
	"crypto/md5" // the protocol's checksum; the signature covers it
	"encoding/base64"
	"errors"
	"net/http"
	"runtime/debug"
	"sync"
	"syscall"
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

	request  *[]byte // header and, where it is not large, body
	rest     []byte  // the body where it is large
	conn     *connection
	sent     bool // some of the request may have reached the service
	requests int  // how often that was so
	fresh    bool // an idle connection was tried and had been closed
	answer   answering
	whole    bool  // the answer is all there
	broken   error // what ended the reading of the answer before

	answered bool   // a good answer came
	err      *Error // why none did
}

// post makes the request of a row operation and decodes its answer.
func (x *exchange) post(data []byte, decode func(*exchange, []byte) error) (err error) {
	defer x.recovered(&err)
	x.begin(data, x.client.appendSigned)
	return x.end(decode)
}

// recovered turns a panic into the call's error.
func (x *exchange) recovered(err *error) {
	if value := recover(); value != nil {
		x.hangUp()
		*err = &panicError{value: value, stack: debug.Stack()}
	}
}

// end waits for the answer and decodes it.
func (x *exchange) end(decode func(*exchange, []byte) error) (err error) {
	defer x.recovered(&err)
	_, body, err := x.complete()
	if err != nil {
		return err
	}
	return decode(x, body)
}

// apiVersion is that of the protocol.
const apiVersion = "2015-12-31"

const userAgent = "sentry-tablestore"

// appendSigned appends the protocol's header fields for a request with this body, its signature included.
func (c *client) appendSigned(b []byte, x *exchange, data []byte) []byte {
	sum := md5.Sum(data)
	header := make(http.Header, 12)
	values := make([]string, 0, 10)
	set := func(name, value string) {
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
		b = appendHeader(b, name, value)
	}
	b = appendHeader(b, "User-Agent", userAgent)
	set("X-Ots-Date", c.keys.now().UTC().Format("2006-01-02T15:04:05.000Z"))
	set("X-Ots-Apiversion", apiVersion)
	set("X-Ots-Accesskeyid", x.identity.keys.AccessKeyID)
	set("X-Ots-Instancename", c.options.Instance)
	set("X-Ots-Contentmd5", base64.StdEncoding.EncodeToString(sum[:]))
	if token := x.identity.keys.STSToken; token != "" {
		set("X-Ots-Ststoken", token)
	}
	name := "X-Ots-Signature"
	if c.options.Region != "" {
		name = "X-Ots-Signaturev4"
		set("X-Ots-Signdate", x.identity.date)
		set("X-Ots-Signregion", c.options.Region)
	}
	return appendHeader(b, name, x.identity.key.SignRequest(x.operation, header))
}

// requests are buffers for requests on their way. Larger bodies are sent from where they are.
var requests = sync.Pool{New: func() any { return new([]byte) }}

const maxCopied = 128 << 10

// begin composes the request.
func (x *exchange) begin(data []byte, header func([]byte, *exchange, []byte) []byte) {
	x.began = time.Now()
	x.requestBytes = len(data)
	x.request = requests.Get().(*[]byte)
	b := x.client.transport.appendRequest((*x.request)[:0], x.operation, len(data))
	b = header(b, x, data)
	b = append(b, "\r\n"...)
	if len(data) <= maxCopied {
		b = append(b, data...)
	} else {
		x.rest = data
	}
	*x.request = b
}

// send sends the request on a connection, as far as its socket does.
func (x *exchange) send(conn *connection) error {
	x.conn, x.sent = conn, true
	x.requests++
	return conn.send(*x.request, x.rest)
}

// hangUp ends the connection of an exchange that will not come to its end on it.
func (x *exchange) hangUp() {
	if x.conn != nil {
		x.conn.socket.Abort()
		x.conn = nil
	}
}

// complete waits for the answer, after it sent the request unless that is on its way already, and returns it if it
// is good.
func (x *exchange) complete() (*http.Response, []byte, error) {
	defer func() { x.duration = time.Since(x.began) }()
	if err := x.receive(); err != nil {
		x.hangUp()
		var panicked *panicError
		if errors.As(err, &panicked) {
			return nil, nil, err
		}
		if x.answer.response == nil {
			x.err = transportError(x, err)
		} else {
			x.noteAnswer()
			x.err = bodyError(x, err)
		}
		return nil, nil, x.err
	}
	return x.accept()
}

// accept looks at an answer that is all there.
func (x *exchange) accept() (*http.Response, []byte, error) {
	x.noteAnswer()
	if conn := x.conn; conn != nil {
		x.conn = nil
		if conn.reusable(&x.answer) {
			x.client.transport.pool.put(conn)
		} else {
			conn.close()
		}
	}
	if x.request != nil {
		requests.Put(x.request)
		x.request, x.rest = nil, nil
	}
	if x.err = x.check(x.answer.response, x.answer.body); x.err != nil {
		return nil, nil, x.err
	}
	x.answered = true
	return x.answer.response, x.answer.body, nil
}

func (x *exchange) noteAnswer() {
	x.status = x.answer.response.StatusCode
	x.requestID = x.client.redact.foreign(x.answer.response.Header.Get("X-Ots-Requestid"))
	x.responseBytes = x.answer.read
}

// receive waits for the answer. All requests may be sent twice (writes are idempotent or conditional with a look
// at the row after a failure), so it uses a new connection when the idle one turns out to be closed.
func (x *exchange) receive() error {
	for !x.whole {
		err := x.attempt()
		if err == nil {
			break
		}
		if !x.unused() || x.ctx.Err() != nil {
			return err
		}
		x.hangUp()
		x.fresh = true
		x.answer = answering{}
	}
	return nil
}

// unused reports whether nothing at all came over a connection that was idle before.
func (x *exchange) unused() bool {
	return x.conn != nil && x.conn.reused && !x.answer.begun
}

// attempt makes the exchange on a connection, or goes on with it on the one that it has, until the context ends.
func (x *exchange) attempt() error {
	if err := x.broken; err != nil {
		x.broken = nil
		return err
	}
	conn := x.conn
	if conn == nil {
		var err error
		if conn, err = x.connect(); err != nil {
			return err
		}
	}
	if err := conn.socket.wait(); err != nil {
		conn.close()
		return err
	}
	stop := context.AfterFunc(x.ctx, conn.socket.interrupter())
	err := x.exchangeOn(conn)
	if !stop() && err == nil {
		// The interruption may come late, to the next one who uses the connection.
		x.answer.response.Close = true
	}
	return err
}

func (x *exchange) connect() (*connection, error) {
	t := x.client.transport
	if !x.fresh {
		if conn := t.pool.take(); conn != nil {
			return conn, nil
		}
	}
	return t.dial(x.ctx)
}

func (x *exchange) exchangeOn(conn *connection) error {
	var unsent error
	if x.conn == nil {
		unsent = x.send(conn)
	} else {
		unsent = conn.socket.flush()
	}
	// A server that refuses a request half-way may close without having read all. If its answer came, that counts.
	if unsent != nil && !errors.Is(unsent, syscall.EPIPE) && !errors.Is(unsent, syscall.ECONNRESET) {
		return unsent
	}
	if err := conn.receive(&x.answer); err != nil {
		return cmp.Or(unsent, err)
	}
	return nil
}
