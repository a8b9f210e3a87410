package tablestore

import (
	"io"
	"log"
	"net/http"
	"strings"
	"testing"
)

// quiet is a log for servers that are meant to see errors.
var quiet = log.New(io.Discard, "", 0)

func TestAnswersThatAreNotTheServices(t *testing.T) {
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	without := func(name string) func(http.Header) {
		return func(h http.Header) { h.Del(name) }
	}
	good := gotRow(t, row("a1", []byte("value")))
	busy := failed(t, "OTSServerBusy", "Server is busy.")
	tests := []struct {
		name   string
		answer answer
		kind   Kind
		part   string
	}{
		{"no MD5", answer{body: good, change: without("x-ots-contentmd5")}, Corrupt, "carries no MD5"},
		{"MD5 of something else", answer{body: good, change: set("x-ots-contentmd5", "1B2M2Y8AsgTpgAmY7PhCfg==")}, Corrupt, "MD5 of the answer does not match"},
		{"no signature", answer{body: good, change: without("Authorization")}, Corrupt, "not signed"},
		{"signature of something else", answer{body: good, change: set("Authorization", "OTS "+testKeyID+":AAAAAAAAAAAAAAAAAAAAAAAAAAA=")}, Corrupt, "signature of the answer does not match"},
		{"signed header changed", answer{body: good, change: set("x-ots-date", "2026-01-02T03:04:06.000000Z")}, Corrupt, "signature of the answer does not match"},
		{"signed header added", answer{body: good, change: set("x-ots-more", "1")}, Corrupt, "signature of the answer does not match"},
		{"a page instead", answer{body: []byte("<html>log in</html>"), change: func(h http.Header) { clear(h) }}, Corrupt, "is end_point an endpoint of Tablestore?"},

		{"error", answer{status: 503, body: busy}, Service, "OTSServerBusy: Server is busy. (HTTP 503, request id 00061f-test-request)"},
		{"unsigned error", answer{status: 503, body: busy, change: without("Authorization")}, Service, "OTSServerBusy"},
		{"error with another's signature", answer{status: 503, body: busy, change: set("Authorization", "OTS a:b")}, Corrupt, "signature of the answer does not match"},
		{"error with another's MD5", answer{status: 503, body: busy, change: set("x-ots-contentmd5", "1B2M2Y8AsgTpgAmY7PhCfg==")}, Corrupt, "MD5"},
		{"unknown key", answer{status: 403, body: failed(t, "OTSAuthFailed", "The AccessKeyID does not exist."), change: set("Authorization", "OTS a:b")}, Service, "OTSAuthFailed"},
		{"error without text", answer{status: 500, body: failed(t, "OTSInternalServerError", "")}, Service, "OTSInternalServerError: "},
		{"proxy's page", answer{status: 502, body: []byte("<html>\n\x00Bad\tgateway" + strings.Repeat("x", 1000)), change: func(h http.Header) { clear(h) }}, Service, "not Tablestore's: <html> Bad gatewayxxx"},
		{"protobuf, but no code", answer{status: 502, body: failed(t, "Bad Gateway", "no")}, Service, "not Tablestore's: "},
		{"no body", answer{status: 504, change: func(h http.Header) { clear(h) }}, Service, "gave no reason (HTTP 504)"},
		{"redirect", answer{status: 307, change: set("Location", "http://127.0.0.1:1/")}, Service, "redirects"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			failure := get(t, open(t, serve(t, always(test.answer)).URL))
			wantKind(t, failure, test.kind, test.part)
			if n := len(failure.Message); n > 300 {
				t.Errorf("the message has %d bytes", n)
			}
			status := test.answer.status
			if status == 0 {
				status = 200
			}
			if failure.HTTPStatus != status {
				t.Errorf("status %d, want %d", failure.HTTPStatus, status)
			}
		})
	}
}

// Every single bit of an answer is covered: by the MD5 of the body, or by the signature of the headers.
func TestEveryFlippedBitOfABodyIsNoticed(t *testing.T) {
	good := gotRow(t, row("a1", []byte("value")))
	var flip int
	client := open(t, serve(t, func(r *http.Request, _ []byte) answer {
		body := append([]byte(nil), good...)
		body[flip/8] ^= 1 << (flip % 8)
		var signed http.Header
		return answer{body: body, change: func(h http.Header) {
			recorder := header{}
			answer{body: good}.write(&recorder, r)
			signed = recorder.header
			for name, values := range signed {
				h[name] = values
			}
		}}
	}).URL)
	for flip = range 8 * len(good) {
		wantKind(t, get(t, client), Corrupt, "MD5")
	}
}

// header is a ResponseWriter that keeps the header only.
type header struct{ header http.Header }

func (h *header) Header() http.Header {
	if h.header == nil {
		h.header = http.Header{}
	}
	return h.header
}
func (*header) Write(p []byte) (int, error) { return len(p), nil }
func (*header) WriteHeader(int)             {}
