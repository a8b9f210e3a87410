package errorcode

import (
	"slices"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	codes := All()
	if !slices.IsSortedFunc(codes, func(a, b Code) int { return strings.Compare(a.Code, b.Code) }) {
		t.Error("the table is not sorted")
	}
	for i, c := range codes {
		if i > 0 && codes[i-1].Code == c.Code {
			t.Errorf("%s stands there twice", c.Code)
		}
		if !strings.HasPrefix(c.Code, "OTS") || c.HTTPStatus < 400 || c.Message == "" || c.Description == "" {
			t.Errorf("incomplete entry %+v", c)
		}
		if c.RetryWrite && !c.RetryRead || c.Throttle && !c.RetryWrite {
			t.Errorf("%s: what may be written again may be read again, and a throttled request was not applied", c.Code)
		}
	}
}

func TestRetry(t *testing.T) {
	for _, tt := range []struct {
		code, message           string
		status                  int
		read, write, idempotent bool
	}{
		{ServerBusy, "", 503, true, true, true},
		{FlowControl, "", 429, true, true, true},
		{CapacityUnitExhausted, "", 403, true, true, true},
		{Timeout, "", 503, true, false, true},
		{InternalServerError, "", 500, true, false, true},
		{ServerUnavailable, "", 503, true, false, true},
		{QuotaExhausted, "Too frequent table operations.", 403, true, true, true},
		{QuotaExhausted, "Number of tables exceeded the quota.", 403, false, false, false},
		{AuthFailed, "", 403, false, false, false},
		{ConditionCheckFail, "", 403, false, false, false},
		{"OTSSomethingNew", "", 502, true, false, true},
		{"OTSSomethingNew", "", 429, true, true, true},
		{"OTSSomethingNew", "", 400, false, false, false},
	} {
		c := Find(tt.code, tt.status, tt.message)
		if c.Code != tt.code || c.RetryRead != tt.read || c.RetryWrite != tt.write || c.RetryIdempotentWrite() != tt.idempotent {
			t.Errorf("Find(%s, %d, %q) = %+v", tt.code, tt.status, tt.message, c)
		}
	}
	if _, ok := Lookup("OTSSomethingNew"); ok {
		t.Error("an unknown code is found")
	}
}

func TestIsNoTable(t *testing.T) {
	if !IsNoTable(ObjectNotExist, "") || !IsNoTable(ParameterInvalid, "Request table not exist") || IsNoTable(ParameterInvalid, "Begin key") {
		t.Error("a missing table is not told from other errors")
	}
}
