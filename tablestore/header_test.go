package tablestore

import (
	"bufio"
	"bytes"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

const usual = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Type: application/x-protobuf\r\nAuthorization: OTS id:sig=\r\n" +
	"X-Ots-Contentmd5: XrY7u+Ae7tCTyyK7j1rNww==\r\nx-ots-date: 2026-01-01T00:00:00.000000Z\r\nX-Ots-Requestid:  0001 \r\n\r\n"

func TestUsualHeader(t *testing.T) {
	response := usualHeader([]byte(usual))
	if response == nil {
		t.Fatal("the service's own is not usual")
	}
	if response.StatusCode != 200 || response.ContentLength != 12 || response.Header.Get("X-Ots-Requestid") != "0001" {
		t.Errorf("got %+v", response)
	}
}

func TestUnusualHeaderIsLeftToNetHTTP(t *testing.T) {
	for name, change := range map[string][2]string{
		"another version":       {"HTTP/1.1", "HTTP/1.0"},
		"informational":         {"200 OK", "100 Continue"},
		"without a body":        {"200 OK", "204 No Content"},
		"a status of four":      {"200 OK", "2000 OK"},
		"a negative status":     {"200 OK", "-20 OK"},
		"chunks":                {"Content-Type:", "Transfer-Encoding: chunked\r\nContent-Type:"},
		"the connection's end":  {"Content-Type:", "Connection: close\r\nContent-Type:"},
		"two lengths":           {"Content-Type:", "content-length: 13\r\nContent-Type:"},
		"a negative length":     {": 12", ": -12"},
		"a length with a sign":  {": 12", ": +12"},
		"no length":             {"Content-Length: 12\r\n", ""},
		"an empty length":       {": 12", ":"},
		"an immense length":     {": 12", ": 99999999999999999999"},
		"a folded line":         {"OTS id:sig=", "OTS\r\n id:sig="},
		"a space before colon":  {"Content-Length:", "Content-Length :"},
		"a control character":   {"OTS id", "OTS\x00id"},
		"a bare line feed":      {"protobuf\r\n", "protobuf\n"},
		"a bare return":         {"protobuf\r\n", "proto\rbuf\r\n"},
		"a field without colon": {"Content-Type: ", "Content-Type "},
		"an unknown field":      {"Content-Type", "X-Other"},
	} {
		header := strings.Replace(usual, change[0], change[1], 1)
		if header == usual {
			t.Errorf("%s: nothing was changed", name)
		}
		if got := usualHeader([]byte(header)); got != nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// FuzzUsualHeader: what is taken for usual, net/http reads in the same way, and nothing panics.
func FuzzUsualHeader(f *testing.F) {
	f.Add([]byte(usual))
	f.Add([]byte(strings.Replace(usual, "200", "503", 1)))
	f.Add([]byte("HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, header []byte) {
		got := usualHeader(header)
		if got == nil {
			return
		}
		want, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(header)), nil)
		if err != nil {
			t.Fatalf("net/http refuses it: %v", err)
		}
		if got.StatusCode != want.StatusCode || got.ContentLength != want.ContentLength || want.Close || want.TransferEncoding != nil {
			t.Errorf("got %+v, net/http %+v", got, want)
		}
		if !reflect.DeepEqual(got.Header, want.Header) {
			t.Errorf("got %v, net/http %v", got.Header, want.Header)
		}
	})
}
