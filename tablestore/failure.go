package tablestore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"syscall"
)

// transportError says why there is no answer.
func transportError(x *exchange, err error) *Error {
	failure := &Error{Err: err}
	if x.ctx.Err() != nil {
		failure.Kind, failure.Err = Deadline, x.ctx.Err()
		if x.sent.Load() {
			failure.Message = endOfTime(x.ctx) + " while waiting for the answer; the request may have been applied"
		} else {
			failure.Message = endOfTime(x.ctx) + " before the request could be sent: check end_point and the network"
		}
		return failure
	}
	switch {
	case !x.sent.Load():
		failure.Kind, failure.Message = NotSent, "no connection: "+advice(x.redact, err)
	case isMalformed(err):
		failure.Kind, failure.Message = Corrupt, "the answer is not HTTP: "+x.redact.foreign(err.Error())
	default:
		failure.Kind, failure.Message = Lost, "the connection broke before the answer: "+advice(x.redact, err)
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
		failure.Kind, failure.Message = Corrupt, "the answer is not HTTP: "+x.redact.foreign(err.Error())
	default:
		failure.Kind, failure.Message = Lost, "the connection broke in the middle of the answer: "+x.redact.foreign(err.Error())
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
		dns         *net.DNSError
		record      tls.RecordHeaderError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		network     net.Error
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host name is not known: check end_point: " + text
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused, nothing listens there: check end_point and that the service runs: " + text
	case errors.As(err, &record), strings.Contains(text, "HTTP response to HTTPS client"):
		return "the server does not speak TLS: check that end_point should not begin with http://: " + text
	case errors.As(err, &certificate), errors.As(err, &authority):
		return "the server's certificate is not valid for end_point: " + text
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
