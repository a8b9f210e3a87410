package tablestore

import (
	"fmt"
	"strings"
)

// Kind tells apart what a caller does about an error.
type Kind int

const (
	// Service is an answer of the service with a code: see Error.Code.
	Service Kind = iota + 1
	// NotSent is a failure before the request reached the service: DNS,
	// connection refused, TLS. It was certainly not applied.
	NotSent
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
	Code       string // the service's, OTSServerBusy …; empty unless Kind is Service
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
