package tablestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptrace"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/common"
	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// maxKeptBuffer bounds what an idle session holds: one value of the largest column (2 MiB) is not kept.
const maxKeptBuffer = 1 << 20

// session is an SDK client together with what the SDK cannot be told: the call that it is used for. It serves
// one call at a time. It is the SDK's [http.RoundTripper] and credentials provider.
type session struct {
	client   *client
	sdk      *sdk.TableStoreClient
	exchange *exchange // the call under way
	identity *identity // what its request is signed with
	body     answerBody
	buffer   []byte // the body of the last answer; the SDK copies from it
}

// exchange is one call and its one request.
type exchange struct {
	ctx       context.Context
	operation string
	table     string
	use       answerUse
	redact    *redactor

	began         time.Time
	duration      time.Duration
	requestBytes  int
	responseBytes int
	status        int
	requestID     string

	trace    httptrace.ClientTrace
	sent     atomic.Bool // set by a goroutine of net/http, maybe after the call
	answered bool        // a good answer was handed to the SDK
	err      *Error      // why there was none
}

func newSession(c *client) *session {
	s := &session{client: c}
	s.sdk = sdk.NewClientWithCredentialsProvider(c.options.Endpoint, c.options.Instance, s, &sdk.TableStoreConfig{
		// RetryTimes 0 switches the SDK's retries off, HTTPTimeout 0 its timers: both belong to the caller.
		Transport: s,
	})
	return s
}

// GetCredentials is a method of [common.CredentialsProvider]. The SDK calls it once a request.
func (s *session) GetCredentials() common.Credentials {
	s.identity = s.client.keys.identity()
	return s.identity.credentials
}

// run makes the call. A session in which the SDK panicked is not reusable.
func (s *session) run(x *exchange, f func(*sdk.TableStoreClient) error) (reusable bool, err error) {
	s.exchange = x
	defer func() {
		s.exchange = nil
		s.body.Reset(nil)
		if cap(s.buffer) > maxKeptBuffer {
			s.buffer = nil
		}
		if value := recover(); value != nil {
			reusable, err = false, &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return true, f(s.sdk)
}

// panicError is a panic that was stopped. Its text is for the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// shapeError says what is wrong with an answer that the SDK could decode.
type shapeError string

func (e shapeError) Error() string { return string(e) }

// failure turns what the SDK said, and what happened beneath it, into the call's error.
func (x *exchange) failure(err error) *Error {
	if x.err != nil {
		return x.err
	}
	if err == nil || x.answered && x.use == ignoreAnswer && errors.Is(err, errIgnored) {
		return nil
	}
	failure := &Error{RequestID: x.requestID, HTTPStatus: x.status, Err: err}
	var panicked *panicError
	var shape shapeError
	switch {
	case x.answered && errors.As(err, &shape):
		failure.Kind, failure.Message, failure.Err = Corrupt, string(shape), nil
	case x.answered && errors.As(err, &panicked):
		failure.Kind, failure.Message = Corrupt, "the answer cannot be decoded: "+x.redact.foreign(fmt.Sprint(panicked.value))
	case x.answered:
		failure.Kind, failure.Message = Corrupt, "the answer cannot be decoded: "+x.redact.foreign(err.Error())
	case errors.As(err, &panicked):
		failure.Kind, failure.Message = Internal, "the SDK panicked: "+x.redact.foreign(fmt.Sprint(panicked.value))
	case x.began.IsZero():
		failure.Kind, failure.Message = Invalid, "the SDK refused the request: "+x.redact.foreign(err.Error())
	default:
		failure.Kind, failure.Message = Internal, "the SDK failed: "+x.redact.foreign(err.Error())
	}
	return failure
}

// answerBody is an answer's verified body as the SDK reads it.
type answerBody struct{ bytes.Reader }

// Close is a method of [io.Closer].
func (*answerBody) Close() error { return nil }
