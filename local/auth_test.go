package local

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Whoever has no key must not make the server set memory aside for a body that is announced.
func TestStrangersGetNoMemory(t *testing.T) {
	s := RunT(t)
	const announced = maxRequestBody
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const strangers = 20
	var conns []net.Conn
	for range strangers {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		r := s.request(t, "PutRow", nil)
		r.Header.Set("x-ots-signature", "AAAA")
		fmt.Fprintf(conn, "POST /PutRow HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n", announced)
		if err := r.Header.Write(conn); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "\r\nx")
	}
	runtime.ReadMemStats(&during)
	if grown := during.TotalAlloc - before.TotalAlloc; grown > strangers*announced/4 {
		t.Errorf("%d strangers cost %d bytes", strangers, grown)
	}
	// Who sends the whole body gets the answer.
	conn := conns[0]
	if _, err := conn.Write(make([]byte, announced-1)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("%v, %v", answer, err)
	}
	for _, conn := range conns {
		conn.Close()
	}
}

// Neither the log nor an answer shows the secret, nor a signature with which a request could be sent again.
func TestSecretsAreNotLogged(t *testing.T) {
	var log lockedBuffer
	s := RunT(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	var shown, signatures []string
	for _, spoil := range []func(*http.Request){
		func(*http.Request) {},
		func(r *http.Request) { r.Header.Set("x-ots-accesskeyid", "who") },
		func(r *http.Request) { r.Header.Set("x-ots-date", "yesterday") },
		func(r *http.Request) { r.Header.Set("x-ots-contentmd5", "AAAA") },
		func(r *http.Request) { r.Header.Del("x-ots-instancename") },
		func(r *http.Request) { r.Method = http.MethodPut },
		func(r *http.Request) { r.URL.Path = "/NoSuchOperation" },
	} {
		r := s.request(t, "ListTable", nil)
		spoil(r)
		a := s.send(t, r)
		shown = append(shown, string(a.body))
		signatures = append(signatures, r.Header.Get("x-ots-signature"))
	}
	text := log.String() + strings.Join(shown, "\n")
	if !strings.Contains(text, "ListTable") || !strings.Contains(text, "OTSAuthFailed") {
		t.Fatalf("the log lacks what happened: %s", text)
	}
	for _, secret := range append(signatures, s.AccessKeySecret) {
		if strings.Contains(text, secret) {
			t.Errorf("%q is shown: %s", secret, text)
		}
	}
}

// lockedBuffer is a buffer for a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
