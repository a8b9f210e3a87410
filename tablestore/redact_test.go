package tablestore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Whatever a server sends back, no credential gets into an error, its causes, a report or the log.
func TestCredentialsAreNeverShown(t *testing.T) {
	var logged bytes.Buffer
	before := log.Writer()
	log.SetOutput(&logged)
	t.Cleanup(func() { log.SetOutput(before) })

	both := testSecret + " and " + testToken + " and " + url.QueryEscape(testSecret) + " and " + url.QueryEscape(testToken)
	unsigned := func(h http.Header) { clear(h) }
	endpoints := map[string]string{
		"message of the service": serve(t, always(answer{status: 400, body: failed(t, "OTSParameterInvalid", both)})).URL,
		"cut in the middle": serve(t, always(answer{status: 400, body: failed(t, "OTSParameterInvalid",
			strings.Repeat("x", maxMessage-len(testSecret)/2)+testSecret)})).URL,
		"page":                       serve(t, always(answer{status: 502, body: []byte(both), change: unsigned})).URL,
		"page, cut in the middle":    serve(t, always(answer{status: 502, body: []byte(strings.Repeat("x", maxForeign-10) + testSecret), change: unsigned})).URL,
		"page after control letters": serve(t, always(answer{status: 502, body: []byte(strings.Repeat("\x00", 990) + testSecret), change: unsigned})).URL,
		"request id":                 serve(t, always(answer{status: 503, body: []byte("x"), change: func(h http.Header) { h.Set("x-ots-requestid", both) }})).URL,
		"no HTTP": wire(t, func(_ int, conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprintf(conn, "%s\r\n\r\n", both)
		}),
		"malformed header": wire(t, func(_ int, conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", both)
		}),
		"bad length": wire(t, func(_ int, conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", both)
		}),
		"nothing listens": "http://127.0.0.1:1",
	}
	for name, endpoint := range endpoints {
		t.Run(name, func(t *testing.T) {
			client := open(t, endpoint, func(o *Options) { o.STSToken = testToken })
			observer := &recorder{}
			_, err := client.GetRow(WithObserver(t.Context(), observer), getA1)
			if err == nil {
				t.Fatal("no error")
			}
			shown := fmt.Sprintf("%+v %#v %+v", err, *failureOf(t, err), observer.exchanges)
			for cause := err; cause != nil; cause = errors.Unwrap(cause) {
				shown += cause.Error()
			}
			for _, part := range []string{testSecret[:8], testToken[:8], "NeverShown"} {
				if strings.Contains(shown, part) {
					t.Errorf("%q is shown: %s", part, shown)
				}
			}
		})
	}
	if strings.Contains(logged.String(), "NeverShown") {
		t.Errorf("the log: %s", logged.String())
	}
}

func TestRowErrorsAreRedacted(t *testing.T) {
	client := open(t, "http://host", func(o *Options) { o.STSToken = testToken })
	x := &exchange{client: client, operation: "BatchGetRow", table: "nodestore", status: 200}
	err := x.rowError(rowAnswer{failed: true, code: "OTSx", message: "the token " + testToken})
	if text := err.Error(); strings.Contains(text, "NeverShown") || !strings.Contains(text, "the token [redacted]") {
		t.Error(text)
	}
}

func TestRefusedRequestsAreRedacted(t *testing.T) {
	client := open(t, "http://host")
	err := client.WriteRow(t.Context(), "nodestore", &RowChange{Kind: Put, PrimaryKey: key("a"), Columns: []Column{{Name: testSecret, Value: 1}}})
	wantKind(t, failureOf(t, err), Invalid, `column "[redacted]" holds a int`)
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"  plain text ":             "plain text",
		"two\r\nlines\t\x00\x1b[1m": "two lines [1m",
		"Zürich\u202e東京":            "Zürich 東京",
		"\xff\xfe":                  "",
		strings.Repeat("é", 300):    strings.Repeat("é", 200) + "…",
		strings.Repeat("e", 300):    strings.Repeat("e", 200) + "…",
		strings.Repeat("e ", 150):   strings.Repeat("e ", 99) + "e …",
	} {
		if got := printable(text, 200); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// A secret of a letter or two would be found in the service's own words, which decide what an error means.
func TestShortSecretsLeaveErrorsAlone(t *testing.T) {
	var r redactor
	r.learn("b", "", "long enough")
	if got := r.text("OTSObjectNotExist: long enough"); got != "OTSObjectNotExist: "+redacted {
		t.Errorf("%q", got)
	}
}

func TestNoSecretIsForgottenThatIsLearntAtTheSameTime(t *testing.T) {
	for range 500 {
		var r redactor
		var learners sync.WaitGroup
		for i := range 4 {
			learners.Go(func() { r.learn(fmt.Sprintf("secret-number-%d", i)) })
		}
		learners.Wait()
		for i := range 4 {
			if secret := fmt.Sprintf("secret-number-%d", i); strings.Contains(r.text("x "+secret), secret) {
				t.Fatalf("%s is shown", secret)
			}
		}
	}
}
