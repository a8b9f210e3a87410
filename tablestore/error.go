package tablestore

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
)

// Kind tells apart what a caller does about an error.
type Kind int

const (
	// Service is an answer of the service with a code: see Error.Code.
	Service Kind = iota + 1
	// NotSent is a failure before the request reached the service: DNS,
	// connection refused, TLS. It was certainly not applied.
	NotSent
	// Untrusted is a server whose certificate is refused, which trying again does not cure. Nothing was sent.
	Untrusted
	// Lost is a connection that broke with the request under way: it may or may not
	// have been applied.
	Lost
	// Deadline is the end of the call's time; the request may have been applied.
	Deadline
	// Corrupt is an answer that fails its checks (MD5, signature, checksum, shape, size).
	// The request may have been applied.
	Corrupt
	// Invalid is a request that the client refused to send.
	Invalid
	// Internal is a defect: a panic of the SDK or of this package.
	Internal
)

// Error is any failure of a call. Its text never holds a credential.
type Error struct {
	Kind       Kind
	Operation  string // GetRow, BatchWriteRow …
	Table      string
	Code       string // the service's, OTSServerBusy …; empty unless Kind is Service, and for a proxy's answer
	Message    string
	RequestID  string // empty when no answer came
	HTTPStatus int    // 0 when no answer came
	Err        error  // the cause, or nil
}

// Error says everything that the service's support would ask for, on one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", e.Operation)
	if e.Table != "" {
		fmt.Fprintf(&b, " on table %q", e.Table)
	}
	b.WriteString(": ")
	if e.Code != "" {
		fmt.Fprintf(&b, "%s: ", e.Code)
	}
	b.WriteString(e.Message)
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, " (HTTP %d", e.HTTPStatus)
		if e.RequestID != "" {
			fmt.Fprintf(&b, ", request id %s", e.RequestID)
		}
		b.WriteString(")")
	} else if e.RequestID != "" {
		fmt.Fprintf(&b, " (request id %s)", e.RequestID)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Retryable reports whether the same request may succeed when it is sent again, and does no harm if it was
// applied: true for reads, and for writes that are idempotent or conditional with a look at the row after
// the condition failed, as all of this project's are. Deadline is not retryable: no time is left.
func (e *Error) Retryable() bool {
	switch e.Kind {
	case NotSent, Lost:
		return true
	case Corrupt:
		return !e.TooLarge()
	case Service:
		return e.entry().RetryIdempotentWrite()
	}
	return false
}

// Throttled reports whether the service asks to slow down: wait longer before the next attempt.
func (e *Error) Throttled() bool { return e.Kind == Service && e.entry().Throttle }

// TableMissing reports whether there is no such table.
func (e *Error) TableMissing() bool {
	return e.Kind == Service && errorcode.IsNoTable(e.Code, e.Message)
}

// TableNotReady reports whether the table was created a moment ago and cannot be used yet.
func (e *Error) TableNotReady() bool { return e.is(errorcode.TableNotReady) }

// ConditionFailed reports whether a write was refused because its condition does not hold.
func (e *Error) ConditionFailed() bool { return e.is(errorcode.ConditionCheckFail) }

// AlreadyExists reports whether a table to create is there already.
func (e *Error) AlreadyExists() bool { return e.is(errorcode.ObjectAlreadyExist) }

// Authentication reports whether the service does not know the key or refuses its signature.
func (e *Error) Authentication() bool { return e.is(errorcode.AuthFailed) }

// Permission reports whether the key may not do this.
func (e *Error) Permission() bool { return e.is(errorcode.NoPermissionAccess) }

// TooLarge reports whether a batch, or its answer, exceeds a limit: the same rows pass in several smaller ones.
func (e *Error) TooLarge() bool {
	switch {
	case errors.Is(e.Err, errAnswerTooLarge), e.is(errorcode.RequestBodyTooLarge):
		return true
	case e.Kind == Service && e.Code == "" && e.HTTPStatus == http.StatusRequestEntityTooLarge:
		return true // a proxy's
	case !e.is(errorcode.ParameterInvalid):
		return false
	}
	return strings.Contains(e.Message, "total data size of BatchWriteRow request exceeds") ||
		strings.Contains(e.Message, "Rows count exceeds the upper limit")
}

func (e *Error) is(code string) bool { return e.Kind == Service && e.Code == code }

func (e *Error) entry() errorcode.Code { return errorcode.Find(e.Code, e.HTTPStatus, e.Message) }
