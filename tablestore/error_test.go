package tablestore

import (
	"errors"
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
)

func TestWhatToDoAboutAnError(t *testing.T) {
	type traits struct {
		retryable, throttled, missing, notReady, condition, tooLarge, auth, permission, exists bool
	}
	of := func(e *Error) traits {
		return traits{e.Retryable(), e.Throttled(), e.TableMissing(), e.TableNotReady(), e.ConditionFailed(), e.TooLarge(),
			e.Authentication(), e.Permission(), e.AlreadyExists()}
	}
	service := func(status int, code, message string) *Error {
		return &Error{Kind: Service, HTTPStatus: status, Code: code, Message: message}
	}
	for _, test := range []struct {
		failure *Error
		want    traits
	}{
		{&Error{Kind: NotSent}, traits{retryable: true}},
		{&Error{Kind: Untrusted}, traits{}},
		{&Error{Kind: Lost}, traits{retryable: true}},
		{&Error{Kind: Corrupt}, traits{retryable: true}},
		{&Error{Kind: Corrupt, Err: errAnswerTooLarge}, traits{tooLarge: true}},
		{&Error{Kind: Deadline}, traits{}},
		{&Error{Kind: Invalid}, traits{}},
		{&Error{Kind: Internal}, traits{}},
		{service(503, "OTSServerBusy", ""), traits{retryable: true, throttled: true}},
		{service(503, "OTSTimeout", ""), traits{retryable: true}},
		{service(500, "OTSInternalServerError", ""), traits{retryable: true}},
		{service(503, "OTSServerUnavailable", ""), traits{retryable: true}},
		{service(503, "OTSPartitionUnavailable", ""), traits{retryable: true}},
		{service(409, "OTSRowOperationConflict", ""), traits{retryable: true}},
		{service(403, "OTSNotEnoughCapacityUnit", ""), traits{retryable: true, throttled: true}},
		{service(429, "OTSFlowControl", ""), traits{retryable: true, throttled: true}},
		{service(403, "OTSQuotaExhausted", "Too frequent table operations."), traits{retryable: true, throttled: true}},
		{service(403, "OTSQuotaExhausted", "Number of tables exceeded the quota."), traits{}},
		{service(404, "OTSTableNotReady", ""), traits{retryable: true, notReady: true}},
		{service(404, "OTSObjectNotExist", ""), traits{missing: true}},
		{service(400, "OTSParameterInvalid", "Request table not exist"), traits{missing: true}},
		{service(400, "OTSParameterInvalid", "Invalid table name: 'x'."), traits{}},
		{service(409, "OTSObjectAlreadyExist", ""), traits{exists: true}},
		{service(403, "OTSConditionCheckFail", ""), traits{condition: true}},
		{service(403, "OTSAuthFailed", ""), traits{auth: true}},
		{service(403, "OTSNoPermissionAccess", ""), traits{permission: true}},
		{service(413, "OTSRequestBodyTooLarge", ""), traits{tooLarge: true}},
		{service(400, "OTSParameterInvalid", "The total data size of BatchWriteRow request exceeds the limit, limit size: 4194304, data size: 5000000."), traits{tooLarge: true}},
		{service(400, "OTSParameterInvalid", "Rows count exceeds the upper limit: 200."), traits{tooLarge: true}},
		// Answers of proxies, and codes that nobody documented.
		{service(502, "", "x"), traits{retryable: true}},
		{service(429, "", "x"), traits{retryable: true, throttled: true}},
		{service(413, "", "x"), traits{tooLarge: true}},
		{service(404, "", "x"), traits{}},
		{service(500, "OTSNew", "x"), traits{retryable: true}},
		{service(400, "OTSNew", "x"), traits{}},
	} {
		if got := of(test.failure); got != test.want {
			t.Errorf("%+v: got %+v, want %+v", test.failure, got, test.want)
		}
	}
	for _, code := range errorcode.All() {
		if got := service(code.HTTPStatus, code.Code, code.Message).Retryable(); got != code.RetryIdempotentWrite() {
			t.Errorf("%s: retryable %v", code.Code, got)
		}
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("cause")
	for want, failure := range map[string]*Error{
		`GetRow on table "t": OTSServerBusy: Server is busy. (HTTP 503, request id r1)`: {
			Kind: Service, Operation: "GetRow", Table: "t", Code: "OTSServerBusy", Message: "Server is busy.", HTTPStatus: 503, RequestID: "r1"},
		`GetRow on table "t": no connection`: {Kind: NotSent, Operation: "GetRow", Table: "t", Message: "no connection", Err: cause},
		`Open: instance is missing`:          {Kind: Invalid, Operation: "Open", Message: "instance is missing"},
		`GetRow: x (HTTP 502)`:               {Kind: Service, Operation: "GetRow", Message: "x", HTTPStatus: 502},
		`GetRow: x (request id r1)`:          {Kind: Service, Operation: "GetRow", Message: "x", RequestID: "r1"},
	} {
		if got := failure.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if failure.Err != nil && !errors.Is(failure, cause) {
			t.Error("the cause is lost")
		}
	}
}
