package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// start runs a server in front of a service that counts what it is asked and echoes each request.
func start(t *testing.T, latency time.Duration) (address string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Ots-Requestid", r.Header.Get("X-Ots-Date"))
		fmt.Fprintf(w, "%d %s %d", n, r.URL.Path, len(body))
	}))
	t.Cleanup(service.Close)
	s, address, err := listen(&memory{service: service.URL, known: map[string]answer{}, now: time.Now}, latency)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.serve() }()
	return address, asked
}

func post(t *testing.T, address, path string, body []byte) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Ots-Date", "today")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.Header.Get("X-Ots-Requestid") != "today" {
		t.Fatalf("%v, %v", response.Header, err)
	}
	return string(answer)
}

// row is how a request names a row.
func row(id string) string {
	return string(cell) + fmt.Sprintf("%c\x00\x00\x00\x03%c\x00\x00\x00%s", len(id)+5, len(id), id)
}

func TestARepeatedRequestIsAnsweredFromMemory(t *testing.T) {
	address, asked := start(t, 0)
	for range 3 {
		if got := post(t, address, "/GetRow", []byte(row("a"))); !strings.HasPrefix(got, "1 /GetRow") {
			t.Errorf("got %q", got)
		}
	}
	if got := post(t, address, "/GetRow", []byte(row("b"))); !strings.HasPrefix(got, "2 ") {
		t.Errorf("another row got %q", got)
	}
	for _, ids := range []string{row("a") + row("b"), row("b") + row("a"), row("b")} {
		post(t, address, "/BatchGetRow", []byte(ids))
	}
	if asked.Load() != 5 {
		t.Errorf("the service was asked %d times", asked.Load())
	}
}

func TestWritesAreToldApartByTheirNumberOfRows(t *testing.T) {
	address, asked := start(t, 0)
	post(t, address, "/PutRow", []byte(row("a")+"value"))
	post(t, address, "/PutRow", []byte(row("b")+"other"))
	post(t, address, "/BatchWriteRow", []byte(row("a")+row("b")))
	post(t, address, "/BatchWriteRow", []byte(row("c")+row("d")))
	post(t, address, "/BatchWriteRow", []byte(row("c")))
	if asked.Load() != 3 {
		t.Errorf("the service was asked %d times", asked.Load())
	}
}

func TestAnAnswerIsHeldBack(t *testing.T) {
	address, _ := start(t, 30*time.Millisecond)
	began := time.Now()
	post(t, address, "/PutRow", nil)
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

func TestALargeRequestInPieces(t *testing.T) {
	address, _ := start(t, 0)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := bytes.Repeat([]byte("x"), 1<<20)
	fmt.Fprintf(conn, "POST /PutRow HTTP/1.1\r\ncontent-LENGTH: %d\r\nx-ots-date: today\r\n\r\n", len(body))
	for at := 0; at < len(body); at += 100_000 {
		if _, err := conn.Write(body[at:min(at+100_000, len(body))]); err != nil {
			t.Fatal(err)
		}
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil || !bytes.Contains(answer[:n], fmt.Append(nil, "1 /PutRow ", len(body))) {
		t.Errorf("got %q, %v", answer[:n], err)
	}
}
