package local

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// ErrLocked says that another server holds the data folder.
var ErrLocked = errors.New("the data folder is in use by another server")

// ErrClosed says that the server was closed.
var ErrClosed = errors.New("the server is closed")

// serviceError is an error that the client gets to see, for a request or for one row of a batch.
type serviceError struct {
	status  int
	code    string
	message string
}

func (e *serviceError) Error() string { return e.code + ": " + e.message }

// fail returns a service error with a text of its own.
func fail(code, format string, args ...any) *serviceError {
	return &serviceError{statusOf(code), code, fmt.Sprintf(format, args...)}
}

// failCode returns a service error with the usual text of its code.
func failCode(code string) *serviceError {
	c, _ := errorcode.Lookup(code)
	return &serviceError{c.HTTPStatus, code, c.Message}
}

func invalid(format string, args ...any) *serviceError {
	return fail(errorcode.ParameterInvalid, format, args...)
}

func statusOf(code string) int {
	if c, ok := errorcode.Lookup(code); ok {
		return c.HTTPStatus
	}
	return 400
}

// asServiceError returns err as the client shall see it: anything unexpected is an internal error without details.
func asServiceError(err error) (e *serviceError, expected bool) {
	if errors.As(err, &e) {
		return e, true
	}
	return failCode(errorcode.InternalServerError), false
}

// badRow translates what the PlainBuffer decoder says.
func badRow(err error) *serviceError {
	if errors.Is(err, plainbuffer.ErrChecksum) {
		return invalid("Cell data broken, checksum is mismatch, %v.", err)
	}
	return invalid("data format is invalid, %v.", err)
}

// appendError appends the fields of an Error message. The text is always there: the Go SDK fails on an error without one.
func appendError(dst []byte, e *serviceError) []byte {
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	dst = protowire.AppendString(dst, e.code)
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	return protowire.AppendString(dst, e.message)
}
