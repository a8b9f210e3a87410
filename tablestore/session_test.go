package tablestore

import (
	"net/http"
	"strings"
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
)

// Answers of the wrong shape, which the SDK panics on or would take for good, are Corrupt, and the client works on.
func TestAnswersOfTheWrongShape(t *testing.T) {
	header := []byte{0x75, 0, 0, 0}
	noValue := plainbuffer.Row{
		PrimaryKey: []plainbuffer.Cell{plainbuffer.NewCell("id", plainbuffer.StringValue("a1"))},
		Attributes: []plainbuffer.Cell{{Name: []byte("data"), HasTimestamp: true, Timestamp: 1}},
	}
	noKeyValue := plainbuffer.Row{PrimaryKey: []plainbuffer.Cell{{Name: []byte("id")}}}
	batchGet := func(rows ...*otsprotocol.RowInBatchGetRowResponse) []byte {
		return message(t, &otsprotocol.BatchGetRowResponse{Tables: []*otsprotocol.TableInBatchGetRowResponse{
			{TableName: proto.String("nodestore"), Rows: rows},
		}})
	}
	batchWrite := func(table string, rows ...*otsprotocol.RowInBatchWriteRowResponse) []byte {
		return message(t, &otsprotocol.BatchWriteRowResponse{Tables: []*otsprotocol.TableInBatchWriteRowResponse{
			{TableName: &table, Rows: rows},
		}})
	}
	written := &otsprotocol.RowInBatchWriteRowResponse{IsOk: proto.Bool(true), Consumed: consumed()}

	getRow := func(c *client) error { _, err := c.GetRow(t.Context(), getA1); return err }
	batchGetRow := func(c *client) error {
		_, err := c.BatchGetRow(t.Context(), &BatchGetRowRequest{Table: "nodestore", PrimaryKeys: []PrimaryKey{getA1.PrimaryKey}})
		return err
	}
	write := func(c *client, kind ChangeKind) error {
		change := RowChange{Kind: kind, PrimaryKey: getA1.PrimaryKey}
		if kind != Delete {
			change.Columns = []Column{{Name: "data", Value: []byte("x")}}
		}
		return c.WriteRow(t.Context(), "nodestore", &change)
	}
	put := func(c *client) error { return write(c, Put) }
	batchWriteRow := func(c *client) error {
		_, err := c.BatchWriteRow(t.Context(), "nodestore", []RowChange{{Kind: Delete, PrimaryKey: getA1.PrimaryKey}})
		return err
	}
	getRange := func(c *client) error {
		_, _, err := c.GetRange(t.Context(), &GetRangeRequest{Table: "nodestore", Start: PrimaryKey{Name: "id"}})
		return err
	}
	describe := func(c *client) error { _, err := c.DescribeTable(t.Context(), "nodestore"); return err }

	for name, test := range map[string]struct {
		call func(*client) error
		body []byte
	}{
		"GetRow, empty":                        {getRow, nil},
		"PutRow, empty":                        {put, nil},
		"UpdateRow, empty":                     {func(c *client) error { return write(c, Update) }, nil},
		"DeleteRow, empty":                     {func(c *client) error { return write(c, Delete) }, nil},
		"BatchGetRow, empty":                   {batchGetRow, nil},
		"BatchWriteRow, empty":                 {batchWriteRow, nil},
		"GetRange, empty":                      {getRange, nil},
		"DescribeTable, empty":                 {describe, nil},
		"GetRow, no row field":                 {getRow, message(t, &otsprotocol.PutRowResponse{Consumed: consumed()})},
		"GetRow, garbage":                      {getRow, []byte("<html>")},
		"GetRow, header only":                  {getRow, gotRow(t, header)},
		"GetRow, half a row":                   {getRow, gotRow(t, row("a1", []byte("value"))[:30])},
		"GetRow, no PlainBuffer":               {getRow, gotRow(t, []byte("garbage"))},
		"GetRow, cell without value":           {getRow, gotRow(t, plainbuffer.Encode(noValue))},
		"GetRow, key without value":            {getRow, gotRow(t, plainbuffer.Encode(noKeyValue))},
		"BatchGetRow, header only":             {batchGetRow, batchGet(&otsprotocol.RowInBatchGetRowResponse{IsOk: proto.Bool(true), Consumed: consumed(), Row: header})},
		"BatchGetRow, failed without reason":   {batchGetRow, batchGet(&otsprotocol.RowInBatchGetRowResponse{IsOk: proto.Bool(false)})},
		"BatchGetRow, no rows":                 {batchGetRow, batchGet()},
		"BatchGetRow, a row too many":          {batchGetRow, batchGet(missing(), missing())},
		"BatchWriteRow, no rows":               {batchWriteRow, batchWrite("nodestore")},
		"BatchWriteRow, a row too many":        {batchWriteRow, batchWrite("nodestore", written, written)},
		"BatchWriteRow, another table":         {batchWriteRow, batchWrite("other", written)},
		"BatchWriteRow, another table's fault": {batchWriteRow, batchWrite("other", &otsprotocol.RowInBatchWriteRowResponse{IsOk: proto.Bool(false), Error: &otsprotocol.Error{Code: proto.String("OTSServerBusy")}})},
		"GetRange, header only in next key":    {getRange, message(t, &otsprotocol.GetRangeResponse{Consumed: consumed(), Rows: []byte{}, NextStartPrimaryKey: header})},
		"GetRange, key without value":          {getRange, message(t, &otsprotocol.GetRangeResponse{Consumed: consumed(), Rows: plainbuffer.Encode(noKeyValue)})},
		"DescribeTable, no status":             {describe, message(t, described("nodestore", func(r *otsprotocol.DescribeTableResponse) { r.TableStatus = nil }))},
		"DescribeTable, no deviation":          {describe, message(t, described("nodestore", func(r *otsprotocol.DescribeTableResponse) { r.TableOptions.DeviationCellVersionInSec = nil }))},
		"DescribeTable, no ttl":                {describe, message(t, described("nodestore", func(r *otsprotocol.DescribeTableResponse) { r.TableOptions.TimeToLive = nil }))},
		"DescribeTable, another table":         {describe, message(t, described("other", nil))},
	} {
		t.Run(name, func(t *testing.T) {
			broken := true
			client := open(t, serve(t, func(*http.Request, []byte) answer {
				if broken {
					return answer{body: test.body}
				}
				return goodAnswer(t)
			}).URL)
			failure := failureOf(t, test.call(client))
			part := "the answer "
			switch {
			case strings.HasSuffix(name, ", empty"):
				part = "the answer is empty"
			case strings.HasPrefix(name, "BatchGetRow, a row too many"):
				part = "the answer holds 2 rows of 1 tables, 1 rows of one table were asked for"
			}
			wantKind(t, failure, Corrupt, part)
			if failure.RequestID == "" || failure.HTTPStatus != 200 || !failure.Retryable() {
				t.Errorf("%+v", failure)
			}
			if strings.Contains(failure.Error(), "goroutine") {
				t.Errorf("the message holds a stack: %v", failure)
			}
			broken = false
			if failure := get(t, client); failure != nil {
				t.Errorf("the next call: %v", failure)
			}
		})
	}
}

// missing is a row of a BatchGetRow answer that is not there.
func missing() *otsprotocol.RowInBatchGetRowResponse {
	return &otsprotocol.RowInBatchGetRowResponse{IsOk: proto.Bool(true), Consumed: consumed()}
}

func TestPanicBeforeTheRequest(t *testing.T) {
	client := open(t, "http://127.0.0.1:1")
	err := client.call(t.Context(), "GetRow", "nodestore", decodeAnswer, func(*sdk.TableStoreClient) error {
		panic("boom " + testSecret)
	})
	failure := failureOf(t, err)
	wantKind(t, failure, Internal, "panic: boom [redacted]")
	if stack := failure.Err.Error(); !strings.Contains(stack, "session_test.go") || strings.Contains(stack, testSecret) {
		t.Errorf("the cause is no stack, or holds the secret: %s", stack)
	}
	if len(client.slots) != 0 || len(client.idle) != 0 {
		t.Error("the session that panicked is kept, or its slot")
	}
}

func TestOneRequestACall(t *testing.T) {
	client := open(t, serve(t, always(goodAnswer(t))).URL)
	criteria := &sdk.SingleRowQueryCriteria{TableName: "nodestore", PrimaryKey: sdkKey(getA1.PrimaryKey), MaxVersion: 1}
	err := client.call(t.Context(), "GetRow", "nodestore", decodeAnswer, func(c *sdk.TableStoreClient) error {
		if _, err := c.GetRow(&sdk.GetRowRequest{SingleRowQueryCriteria: criteria}); err != nil {
			t.Error(err)
		}
		_, err := c.GetRow(&sdk.GetRowRequest{SingleRowQueryCriteria: criteria})
		return err
	})
	if err == nil {
		t.Error("a second request was made")
	}
}

// Nothing is repeated here, by the SDK in particular: the caller does that, with its own clock.
func TestNothingIsRetried(t *testing.T) {
	for _, code := range []string{"OTSServerBusy", "OTSTimeout", "OTSRowOperationConflict"} {
		requests := 0
		client := open(t, serve(t, func(*http.Request, []byte) answer {
			requests++
			return answer{status: 503, body: failed(t, code, "text")}
		}).URL)
		wantKind(t, get(t, client), Service, code)
		_, err := client.DescribeTable(t.Context(), "nodestore")
		wantKind(t, failureOf(t, err), Service, code)
		if requests != 2 {
			t.Errorf("%s: %d requests", code, requests)
		}
	}
}

// A failed row needs no text, and a written one no numbers for the bill.
func TestFailedRows(t *testing.T) {
	client := open(t, serve(t, func(*http.Request, []byte) answer {
		return answer{body: message(t, &otsprotocol.BatchGetRowResponse{Tables: []*otsprotocol.TableInBatchGetRowResponse{{
			TableName: proto.String("nodestore"),
			Rows: []*otsprotocol.RowInBatchGetRowResponse{
				{IsOk: proto.Bool(false), Error: &otsprotocol.Error{Code: proto.String("OTSServerBusy"), Message: proto.String("Server is busy.")}},
				{IsOk: proto.Bool(false), Error: &otsprotocol.Error{Code: proto.String("OTSTimeout")}},
				{IsOk: proto.Bool(true)},
			},
		}}})}
	}).URL)
	results, err := client.BatchGetRow(t.Context(), &BatchGetRowRequest{Table: "nodestore", PrimaryKeys: []PrimaryKey{key("a"), key("b"), key("c")}})
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, failureOf(t, results[0].Err), Service, "Server is busy.")
	wantKind(t, failureOf(t, results[1].Err), Service, "")
	if failure := failureOf(t, results[1].Err); failure.Code != "OTSTimeout" || failure.RequestID == "" || failure.HTTPStatus != 200 {
		t.Errorf("%+v", failure)
	}
	if results[2].Err != nil || results[2].Row != nil {
		t.Errorf("%+v", results[2])
	}
}

func TestFinishedCallLeavesNothingInTheSession(t *testing.T) {
	client := open(t, serve(t, always(answer{body: message(t, described("nodestore", nil))})).URL)
	if _, err := client.DescribeTable(t.Context(), "nodestore"); err != nil {
		t.Fatal(err)
	}
	if s := client.idle[0]; s.exchange != nil || s.body.Len() != 0 {
		t.Error("the session remembers the call")
	}
}
