package tablestore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// transportError says why there is no answer.
func transportError(x *exchange, err error) *Error {
	failure := &Error{Err: err}
	if x.ctx.Err() != nil {
		failure.Kind, failure.Err = Deadline, x.ctx.Err()
		if x.sent {
			failure.Message = endOfTime(x.ctx) + " while waiting for the answer; the request may have been applied"
		} else {
			failure.Message = endOfTime(x.ctx) + " before the request could be sent: check end_point and the network"
		}
		return failure
	}
	advised, refused := refusedCertificate(err)
	switch {
	case !x.sent && refused:
		failure.Kind, failure.Message = Untrusted, "no connection: the server's certificate is refused: "+advised+": "+x.client.redact.foreign(err.Error())
	case !x.sent:
		failure.Kind, failure.Message = NotSent, "no connection: "+advice(&x.client.redact, err)
	case isMalformed(err):
		failure.Kind, failure.Message = Corrupt, "the answer is not HTTP: "+x.client.redact.foreign(err.Error())
	default:
		failure.Kind, failure.Message = Lost, "the connection broke before the answer: "+advice(&x.client.redact, err)
	}
	return failure
}

// bodyError says why an answer that began did not come to its end.
func bodyError(x *exchange, err error) *Error {
	failure := &Error{Err: err, RequestID: x.requestID, HTTPStatus: x.status}
	switch {
	case errors.Is(err, errAnswerTooLarge):
		failure.Kind, failure.Message = Corrupt, err.Error()
	case x.ctx.Err() != nil:
		failure.Kind, failure.Err = Deadline, x.ctx.Err()
		failure.Message = endOfTime(x.ctx) + " in the middle of the answer; the request may have been applied"
	case isMalformed(err):
		failure.Kind, failure.Message = Corrupt, "the answer is not HTTP: "+x.client.redact.foreign(err.Error())
	default:
		failure.Kind, failure.Message = Lost, "the connection broke in the middle of the answer: "+x.client.redact.foreign(err.Error())
	}
	return failure
}

// endOfTime says how a context ended.
func endOfTime(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.Canceled) {
		return "the call was cancelled"
	}
	return "the call's time ended"
}

// advice says what to do about a failed connection.
func advice(redact *redactor, err error) string {
	text := redact.foreign(err.Error())
	var (
		dns     *net.DNSError
		record  tls.RecordHeaderError
		network net.Error
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host name is not known: check end_point: " + text
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused, nothing listens there: check end_point and that the service runs: " + text
	case errors.As(err, &record):
		return "the server does not speak TLS: check that end_point should not begin with http://: " + text
	case errors.As(err, &network) && network.Timeout():
		return "the network does not answer in time: check end_point, firewall and network: " + text
	}
	return text
}

// isMalformed recognises net/http's errors about an answer that is not HTTP; they have no type.
func isMalformed(err error) bool {
	text := err.Error()
	for _, part := range []string{"malformed", "bad Content-Length", "unsupported transfer encoding", "too many transfer encodings", "response headers exceeded", "invalid byte in chunk length", "chunk"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// panicError is a panic that was stopped. Its text is for the log.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// failure turns what happened, and what the SDK said about it, into the call's error.
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
		failure.Kind, failure.Message = Corrupt, "the answer cannot be decoded: "+x.client.redact.foreign(fmt.Sprint(panicked.value))
	case x.answered:
		failure.Kind, failure.Message = Corrupt, "the answer cannot be decoded: "+x.client.redact.foreign(err.Error())
	case errors.As(err, &panicked):
		failure.Kind, failure.Message = Internal, "panic: "+x.client.redact.foreign(fmt.Sprint(panicked.value))
	case x.began.IsZero():
		failure.Kind, failure.Message = Invalid, "the SDK refused the request: "+x.client.redact.foreign(err.Error())
	default:
		failure.Kind, failure.Message = Internal, "the SDK failed: "+x.client.redact.foreign(err.Error())
	}
	return failure
}
