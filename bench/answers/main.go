// Command answers is the server of the bare HTTP exchange: a POST to /N is answered with N bytes and the headers
// that an answer of Tablestore has, and nothing is done for it. It prints one line with its address.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
)

// headers are as long as the service's own.
var headers = map[string]string{
	"Authorization":     "OTS bench-access-key-id-01:bU1hZGVVcFNpZ25hdHVyZTEyMw=",
	"Content-Type":      "application/x-protobuf",
	"X-Ots-Contentmd5":  "XrY7u+Ae7tCTyyK7j1rNww==",
	"X-Ots-Contenttype": "protocol buffer",
	"X-Ots-Date":        "2026-01-01T00:00:00.000000Z",
	"X-Ots-Requestid":   "00000000-0000-0000-0000-000000000000",
}

// bytes are what answers are cut from; the largest batch of the benchmark is smaller.
var bytes = make([]byte, 64<<20)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("answers: serving at http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, http.HandlerFunc(answer))) //nolint:gosec // its one client is the benchmark
}

func answer(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil || n < 0 || n > len(bytes) {
		http.Error(w, "expected /N with N bytes to answer", http.StatusBadRequest)
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the client is gone
	}
	for name, value := range headers {
		w.Header()[name] = []string{value}
	}
	w.Header().Set("Content-Length", strconv.Itoa(n))
	_, _ = w.Write(bytes[:n])
}
