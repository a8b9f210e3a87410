// Package errorcode is the one table of the error codes of Tablestore: their HTTP status, their usual text, and what a caller may
// do about them.
//
// The sources are the service's documentation of error codes, the retry tables of the official SDKs (Go 1.8.0, Python 6.4.8) and
// recorded answers.
package errorcode

import (
	"net/http"
	"strings"
)

// The codes by name.
const (
	AuthFailed               = "OTSAuthFailed"
	CapacityUnitExhausted    = "OTSCapacityUnitExhausted"
	ConditionCheckFail       = "OTSConditionCheckFail"
	FlowControl              = "OTSFlowControl"
	ForbiddenUpdateCapacity  = "OTSForbiddenUpdateCapacityUnit"
	InternalServerError      = "OTSInternalServerError"
	InvalidPK                = "OTSInvalidPK"
	MethodNotAllowed         = "OTSMethodNotAllowed"
	NoPermissionAccess       = "OTSNoPermissionAccess"
	NotEnoughCapacityUnit    = "OTSNotEnoughCapacityUnit"
	ObjectAlreadyExist       = "OTSObjectAlreadyExist"
	ObjectNotExist           = "OTSObjectNotExist"
	OperationConflict        = "OTSOperationConflict"
	OperationThrottled       = "OTSOperationThrottled"
	OutOfColumnCountLimit    = "OTSOutOfColumnCountLimit"
	OutOfRowSizeLimit        = "OTSOutOfRowSizeLimit"
	ParameterInvalid         = "OTSParameterInvalid"
	PartitionUnavailable     = "OTSPartitionUnavailable"
	QuotaExhausted           = "OTSQuotaExhausted"
	RequestBodyTooLarge      = "OTSRequestBodyTooLarge"
	RequestTimeout           = "OTSRequestTimeout"
	RowOperationConflict     = "OTSRowOperationConflict"
	ServerBusy               = "OTSServerBusy"
	ServerUnavailable        = "OTSServerUnavailable"
	StorageServerBusy        = "OTSStorageServerBusy"
	TableNotReady            = "OTSTableNotReady"
	Timeout                  = "OTSTimeout"
	TooFrequentThroughput    = "OTSTooFrequentReservedThroughputAdjustment"
	UnsupportedOperation     = "OTSUnsupportOperation"
	messageTooFrequentTables = "Too frequent table operations."
)

// Code describes an error code.
type Code struct {
	Code       string
	HTTPStatus int
	// Message is the usual text; the service may say more.
	Message string
	// RetryRead: the same read may succeed when it is sent again.
	RetryRead bool
	// RetryWrite: the service promises that the request was not applied, so any write may be sent again, even one that must not
	// be applied twice. A write that may be applied twice can be sent again far more often: see RetryIdempotentWrite.
	RetryWrite bool
	// Throttle: the caller sent more than it may; it should wait longer before the next attempt than after other errors.
	Throttle bool
	// Description says what the code means for the caller.
	Description string
}

// RetryIdempotentWrite reports whether a write that may be applied twice can be sent again: an unconditional put, delete or update
// without increment, or a conditional one whose caller looks at the row before it believes that the condition failed. It holds for
// everything that RetryWrite holds for, and for errors that leave open whether the request was applied.
func (c Code) RetryIdempotentWrite() bool { return c.RetryWrite || c.RetryRead }

// table is sorted by code.
var table = []Code{
	{AuthFailed, 403, "Signature mismatch.", false, false, false,
		"The request is not accepted as this instance's: unknown key or instance, wrong signature or MD5, or a clock that is off."},
	{CapacityUnitExhausted, 403, "Capacity unit is not enough.", true, true, true,
		"One partition has used up its throughput. No official SDK retries it; the request was refused before it was applied."},
	{ConditionCheckFail, 403, "Condition check failed.", false, false, false, "The row does not meet the condition of the write."},
	{FlowControl, 429, "The requests have been throttled.", true, true, true,
		"The instance receives more requests than it may. No official SDK retries it; the request was refused before it was applied."},
	{ForbiddenUpdateCapacity, 400, "Your instance is forbidden to update capacity unit.", false, false, false,
		"Only instances with reserved capacity units can change them."},
	{InternalServerError, 500, "Internal server error.", true, false, false, "Unknown; the request may have been applied."},
	{InvalidPK, 400, "Validate PK type fail.", false, false, false, "The primary key does not fit the table's."},
	{MethodNotAllowed, 405, "Only POST method for requests is supported.", false, false, false, "Every operation is a POST."},
	{NoPermissionAccess, 403, "You have no permission to access the requested resource, please contact the resource owner", false, false, false, "The key lacks a permission."},
	{NotEnoughCapacityUnit, 403, "Remaining capacity unit is not enough.", true, true, true,
		"The reserved or allowed throughput is used up; the request was not applied."},
	{ObjectAlreadyExist, 409, "Requested table already exists.", false, false, false, "The table to create is there."},
	{ObjectNotExist, 404, "Requested table does not exist.", false, false, false,
		"There is no such table. Row operations may answer OTSParameterInvalid with \"Request table not exist\" instead."},
	{OperationConflict, 409, "Operation conflict.", true, true, false, "Another table operation is running; this one was not applied."},
	{OperationThrottled, 403, "Operation throttled.", true, true, true, "Too many table operations; this one was not applied."},
	{OutOfColumnCountLimit, 400, "The number of columns from the request exceeded the limit.", false, false, false, "Too many columns."},
	{OutOfRowSizeLimit, 400, "The total data size of columns in one row exceeded the limit.", false, false, false, "The row is too large."},
	{ParameterInvalid, 400, "The parameter is invalid.", false, false, false, "The request breaks a rule; the message names it."},
	{PartitionUnavailable, 503, "The partition is not available.", true, true, false,
		"The partition is being loaded, moved or split, for up to some seconds; the request was not applied."},
	{QuotaExhausted, 403, "Number of tables exceeded the quota.", false, false, false,
		"Too many tables, or, with another text, too many table operations a second: see Find."},
	{RequestBodyTooLarge, 413, "The size of POST data is too large.", false, false, false, "The body exceeds 5 MB."},
	{RequestTimeout, 408, "Request timeout.", true, false, false, "The client took too long to send the request."},
	{RowOperationConflict, 409, "Data is being modified by the other request.", true, true, false,
		"Another request holds the row; this one was not applied."},
	{ServerBusy, 503, "Server is busy.", true, true, true, "The service refused the request to protect itself; it was not applied."},
	{ServerUnavailable, 503, "Server is not available.", true, false, false, "Unknown; the request may have been applied."},
	{StorageServerBusy, 503, "Storage server is busy.", true, true, true, "The storage refused the request; it was not applied."},
	{TableNotReady, 404, "The table is not ready.", true, true, false, "The table was just created and is not loaded yet."},
	{Timeout, 503, "Operation timeout.", true, false, false, "Unknown; the request may have been applied."},
	{TooFrequentThroughput, 403, "Capacity unit adjustment is too frequent.", true, true, true,
		"The reserved throughput was changed a short while ago; this change was not applied."},
	{UnsupportedOperation, 400, "Unsupported operation.", false, false, false, "The instance does not have the operation."},
}

// tooFrequent is OTSQuotaExhausted for the rate of table operations, which passes, unlike that for their number.
var tooFrequent = Code{QuotaExhausted, 403, messageTooFrequentTables, true, true, true,
	"More than 10 table operations a second on this instance; the operation was not applied."}

var byCode = func() map[string]Code {
	m := make(map[string]Code, len(table))
	for _, c := range table {
		m[c.Code] = c
	}
	return m
}()

// Lookup returns the entry of a code; ok is false for one that is not in the table.
func Lookup(code string) (c Code, ok bool) {
	c, ok = byCode[code]
	return c, ok
}

// Find returns the entry for an error of the service. The message decides where one code stands for two cases. A code that is not
// in the table gets an entry by its HTTP status: 5xx is as OTSInternalServerError, 429 as OTSFlowControl, all else final.
func Find(code string, httpStatus int, message string) Code {
	if code == QuotaExhausted && strings.Contains(message, "Too frequent") {
		return tooFrequent
	}
	if c, ok := byCode[code]; ok {
		return c
	}
	c := Code{Code: code, HTTPStatus: httpStatus, Message: message, Description: "The code is not documented."}
	switch {
	case httpStatus == http.StatusTooManyRequests:
		c.RetryRead, c.RetryWrite, c.Throttle = true, true, true
	case httpStatus >= http.StatusInternalServerError:
		c.RetryRead = true
	}
	return c
}

// IsNoTable reports whether an error says that the table does not exist. Table operations answer 404 OTSObjectNotExist; reads of
// rows were seen to answer 400 OTSParameterInvalid with a text of their own.
func IsNoTable(code, message string) bool {
	return code == ObjectNotExist || code == ParameterInvalid && strings.Contains(strings.ToLower(message), "table not exist")
}

// All returns the table, sorted by code.
func All() []Code { return append([]Code(nil), table...) }
