package store

import (
	"errors"
	"fmt"
	"strings"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Kind names what a failed call means to the caller; each has an exception in Python's errors.py.
type Kind string

const (
	KindOptions        Kind = "options"         // an option is wrong
	KindInvalidID      Kind = "invalid_id"      // the id can be no primary key
	KindValueTooLarge  Kind = "value_too_large" // the value exceeds MaxValueSize
	KindCorruptRow     Kind = "corrupt_row"     // the row is there and cannot be decoded
	KindCorruptAnswer  Kind = "corrupt_answer"  // answers kept failing their checks
	KindAuthentication Kind = "authentication"  // the key, the secret or the clock is wrong
	KindPermission     Kind = "permission"      // the key may not do this
	KindTableMissing   Kind = "table_missing"   // bootstrap has not been run
	KindTableMismatch  Kind = "table_mismatch"  // the table has another shape
	KindTableNotReady  Kind = "table_not_ready" // created a moment ago
	KindThrottled      Kind = "throttled"       // the service asked to slow down, until the deadline
	KindUnavailable    Kind = "unavailable"     // the service failed, until the deadline
	KindConnection     Kind = "connection"      // the service could not be reached, until the deadline
	KindCertificate    Kind = "certificate"     // the server's certificate is refused
	KindTimeout        Kind = "timeout"         // no answer before the deadline
	KindService        Kind = "service"         // any other code of the service
	KindPartial        Kind = "partial"         // rows of a batch failed for different reasons, not all temporary
	KindClosed         Kind = "closed"          // the store or the handle is closed
	KindInternal       Kind = "internal"        // a defect here; the engine goes on
)

// Error is any failure of a Store's call. Its text never holds a credential.
type Error struct {
	Kind       Kind      `json:"kind"`
	Operation  string    `json:"operation"`
	Table      string    `json:"table"`
	Code       string    `json:"code"`
	Message    string    `json:"message"`
	RequestID  string    `json:"request_id"`
	HTTPStatus int       `json:"http_status"`
	IDs        []string  `json:"ids"`      // the nodes concerned, where few
	Failures   []Failure `json:"failures"` // each failed node of a batch
	cause      error
}

// Failure is one failed node of a batch.
type Failure struct {
	ID        string `json:"id"`
	Kind      Kind   `json:"kind"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

// Error says it on one line, without the table and the ids, which Python adds.
func (e *Error) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("%s: %s: %s", e.Operation, e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s", e.Operation, e.Message)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// temporary says whether a kind is one after which Sentry tries a call again.
func (k Kind) temporary() bool {
	switch k {
	case KindThrottled, KindUnavailable, KindConnection, KindTimeout, KindTableNotReady:
		return true
	}
	return false
}

// kindOf says what an error of the service means to the store's caller.
func kindOf(e *tablestore.Error) Kind {
	switch e.Kind {
	case tablestore.NotSent, tablestore.Lost:
		return KindConnection
	case tablestore.Untrusted:
		return KindCertificate
	case tablestore.Deadline:
		return KindTimeout
	case tablestore.Corrupt:
		return KindCorruptAnswer
	case tablestore.Internal, tablestore.Invalid:
		return KindInternal
	}
	switch {
	case e.Authentication():
		return KindAuthentication
	case e.Permission():
		return KindPermission
	case e.TableMissing():
		return KindTableMissing
	case e.TableNotReady():
		return KindTableNotReady
	case e.Throttled():
		return KindThrottled
	case e.Retryable():
		return KindUnavailable
	}
	return KindService
}

// failed turns any error of a call into an *Error that names the operation of
// the store and the nodes concerned.
func (s *Store) failed(operation string, err error, ids ...string) error {
	if err == nil {
		return nil
	}
	for i, id := range ids {
		if len(id) > maxIDSize { // refused, and worth a few words only
			ids[i] = strings.ToValidUTF8(id[:60], "") + "…"
		}
	}
	var own *Error
	if errors.As(err, &own) {
		if own.Operation == "" {
			own.Operation = operation
		}
		if own.Table == "" {
			own.Table = s.options.Table
		}
		if own.IDs == nil {
			own.IDs = ids
		}
		return own
	}
	result := &Error{Kind: KindInternal, Operation: operation, Table: s.options.Table, Message: err.Error(), IDs: ids, cause: err}
	var service *tablestore.Error
	if errors.As(err, &service) {
		result.Kind = kindOf(service)
		result.Code = service.Code
		result.RequestID = service.RequestID
		result.HTTPStatus = service.HTTPStatus
		result.Message = service.Operation + ": " + service.Message
	}
	var gaveUp *gaveUpError
	if errors.As(err, &gaveUp) {
		result.Message += gaveUp.addendum()
	}
	return result
}

// batchFailed makes one error of the failed nodes of a batch: of their own kind when they share one, KindUnavailable
// when each alone would be tried again, as Sentry never repeats a deletion that failed otherwise; else KindPartial.
func (s *Store) batchFailed(operation string, ids []string, errs []error) error {
	var result *Error
	for i, err := range errs {
		if err == nil {
			continue
		}
		one := s.failed(operation, err, ids[i]).(*Error)
		if result == nil {
			copied := *one
			copied.IDs = nil
			result = &copied
		}
		if one.Kind != result.Kind {
			kind := KindPartial
			if one.Kind.temporary() && result.Kind.temporary() {
				kind = KindUnavailable
			}
			result.Kind, result.Code, result.HTTPStatus, result.RequestID = kind, "", 0, ""
		}
		result.Failures = append(result.Failures, Failure{ID: ids[i], Kind: one.Kind, Code: one.Code, Message: one.Message, RequestID: one.RequestID})
	}
	if result == nil {
		return nil
	}
	result.Message = fmt.Sprintf("%d of %d nodes failed, the first with: %s", len(result.Failures), len(ids), result.Message)
	for _, failure := range result.Failures {
		if len(result.IDs) == 10 {
			break
		}
		result.IDs = append(result.IDs, failure.ID)
	}
	return result
}
