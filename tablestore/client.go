package tablestore

import (
	"context"
	"errors"
	"sync"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// client is the real [Client]. Row operations are encoded and decoded here: on their way through the SDK a value is
// copied three times and its checksum computed twice. Table operations go through the SDK. It knows no contexts, so each
// of these calls gets an SDK client of its own for as long as it lasts: see session.
type client struct {
	options   Options
	keys      *keyring
	transport *transport
	redact    redactor

	slots chan struct{} // one entry for each call under way
	mu    sync.Mutex
	idle  []*session // last in, first out
}

// Open makes a client. It refuses options that can never work with an *[Error] of kind Invalid, and
// starts and connects nothing.
func Open(options Options) (Client, error) {
	options, endpoint, err := options.normalize()
	if err != nil {
		return nil, err
	}
	c := &client{
		options:   options,
		keys:      newKeyring(options.Region),
		transport: newTransport(endpoint, options.MaxConnections),
		slots:     make(chan struct{}, options.MaxConnections),
	}
	if options.Credentials != (Credentials{}) {
		c.use(options.Credentials)
	}
	return c, nil
}

// SetCredentials is a method of [Client].
func (c *client) SetCredentials(credentials Credentials) error {
	if err := credentials.validate(); err != nil {
		return &Error{Kind: Invalid, Operation: "SetCredentials", Message: err.Error()}
	}
	c.use(credentials)
	return nil
}

func (c *client) use(credentials Credentials) {
	// First, so that no error of a request made with them shows them.
	c.redact.learn(credentials.AccessKeySecret, credentials.STSToken)
	c.keys.keys.Store(&credentials)
}

var errNoCredentials = errors.New("no credentials have been set")

// Close drops idle connections.
func (c *client) Close() { c.transport.pool.close() }

// answerUse says whether the SDK decodes the answer of a call.
type answerUse bool

const (
	decodeAnswer answerUse = true
	// ignoreAnswer is for operations whose answer says nothing that is needed: an error code or none is all.
	// The SDK panics on an UpdateTable answer without stream details, after the table was changed.
	ignoreAnswer answerUse = false
)

// errIgnored ends an SDK call whose good answer is not to be decoded.
var errIgnored = errors.New("answer not decoded")

// call runs f, which makes one call of the SDK and converts its result, under the context. Whatever goes
// wrong in it, a panic included, comes out as an *[Error].
func (c *client) call(ctx context.Context, operation, table string, use answerUse, f func(*sdk.TableStoreClient) error) error {
	if c.keys.identity() == nil {
		return c.invalid(operation, table, errNoCredentials)
	}
	if err := c.acquire(ctx); err != nil {
		return c.fail(&Error{Kind: Deadline, Operation: operation, Table: table, Message: err.Error(), Err: ctx.Err()})
	}
	defer func() { <-c.slots }()

	x := &exchange{client: c, ctx: ctx, operation: operation, table: table, use: use}
	s := c.takeSession()
	reusable, err := s.run(x, f)
	if reusable {
		c.putSession(s)
	}
	return c.finish(x, err)
}

// post makes the request of a row operation and gives its good answer to decode. Whatever goes wrong, a
// panic included, comes out as an *[Error].
func (c *client) post(ctx context.Context, operation, table string, body []byte, decode func(*exchange, []byte) error) error {
	id := c.keys.identity()
	if id == nil {
		return c.invalid(operation, table, errNoCredentials)
	}
	if err := c.acquire(ctx); err != nil {
		return c.fail(&Error{Kind: Deadline, Operation: operation, Table: table, Message: err.Error(), Err: ctx.Err()})
	}
	defer func() { <-c.slots }()

	x := &exchange{client: c, ctx: ctx, operation: operation, table: table, use: decodeAnswer, identity: id}
	return c.finish(x, x.post(body, decode))
}

// acquire waits for one of MaxConnections slots.
func (c *client) acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New(endOfTime(ctx) + " before it began")
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errors.New(endOfTime(ctx) + " while all connections were in use: raise max_connection or send less")
	}
}

func (c *client) takeSession() *session {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		s := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return s
	}
	c.mu.Unlock()
	return newSession(c)
}

func (c *client) putSession(s *session) {
	c.mu.Lock()
	c.idle = append(c.idle, s)
	c.mu.Unlock()
}

// finish makes the call's error and tells the observer, if there is one and a request was made.
func (c *client) finish(x *exchange, err error) error {
	failure := x.failure(err)
	if failure != nil {
		failure.Operation, failure.Table = x.operation, x.table
		failure = c.fail(failure)
	}
	if x.began.IsZero() {
		if failure == nil {
			failure = c.fail(&Error{Kind: Internal, Operation: x.operation, Table: x.table, Message: "the SDK made no request"})
		}
		return failure
	}
	if observer := observerOf(x.ctx); observer != nil {
		report := Exchange{
			Operation:     x.operation,
			Table:         x.table,
			Requests:      x.requests,
			HTTPStatus:    x.status,
			RequestID:     c.redact.text(x.requestID),
			RequestBytes:  x.requestBytes,
			ResponseBytes: x.responseBytes,
			Duration:      x.duration,
		}
		if failure != nil {
			report.Err = failure
		}
		observer.Exchanged(report)
	}
	if failure != nil {
		return failure
	}
	return nil
}

// fail is the way out of every error: no credential passes it.
func (c *client) fail(e *Error) *Error {
	e.Code = c.redact.text(e.Code)
	e.Message = c.redact.text(e.Message)
	e.RequestID = c.redact.text(e.RequestID)
	e.Err = c.redact.cause(e.Err)
	return e
}
