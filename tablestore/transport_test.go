package tablestore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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

func goodAnswer(t testing.TB) answer {
	return answer{body: gotRow(t, row("a1", []byte("value")))}
}

func TestConnectionIsKept(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.Header.Get("X-Ots-Instancename") {
		case "broken":
			answer{status: 503, body: failed(t, "OTSServerBusy", "Server is busy.")}.write(w, r)
		case "chunked":
			w.(http.Flusher).Flush() // no Content-Length, and no header to verify
		default:
			goodAnswer(t).write(w, r)
		}
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	for _, instance := range []string{"good", "broken", "chunked"} {
		connections.Store(0)
		client := open(t, server.URL, func(o *Options) { o.Instance = instance })
		for range 5 {
			get(t, client)
		}
		if n := connections.Load(); n != 1 {
			t.Errorf("%s: 5 calls made %d connections", instance, n)
		}
	}
}

// An idle connection that the server closed is no failure, even when the request was already on its way.
func TestClosedIdleConnectionIsReplaced(t *testing.T) {
	var requests atomic.Int32
	endpoint := wire(t, func(n int, conn net.Conn, r *bufio.Reader) {
		for i := 0; ; i++ {
			request := readRequest(r)
			if request == nil {
				return
			}
			requests.Add(1)
			if _, there := request.Header["X-Idempotency-Key"]; there {
				t.Error("X-Idempotency-Key was sent")
			}
			if n == 1 && i == 1 {
				return
			}
			_, _ = conn.Write(goodAnswer(t).encoded(request))
		}
	})
	client := open(t, endpoint)
	for sent := 1; sent <= 2; sent++ {
		observer := &recorder{}
		if _, err := client.GetRow(WithObserver(t.Context(), observer), getA1); err != nil {
			t.Fatal(err)
		}
		if n := observer.exchanges[0].Requests; n != sent {
			t.Errorf("call %d tells of %d requests", sent, n)
		}
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("the server saw %d requests, want 3", n)
	}
}

func TestConnectionFaults(t *testing.T) {
	tests := []struct {
		name  string
		kind  Kind
		part  string
		serve func(conn net.Conn, r *bufio.Reader)
	}{
		{"reset before the request was read", Lost, "broke before the answer", func(conn net.Conn, r *bufio.Reader) {
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.(*net.TCPConn).SetLinger(0)
		}},
		{"closed after the request was read", Lost, "broke before the answer", func(_ net.Conn, r *bufio.Reader) {
			readRequest(r)
		}},
		{"reset after the request was read", Lost, "broke before the answer", func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			_ = conn.(*net.TCPConn).SetLinger(0)
		}},
		{"closed in the header", Lost, "broke before the answer", func(conn net.Conn, r *bufio.Reader) {
			_, _ = conn.Write(goodAnswer(t).encoded(readRequest(r))[:len("HTTP/1.1 200 OK\r\n")])
		}},
		{"closed in the body", Lost, "in the middle of the answer", func(conn net.Conn, r *bufio.Reader) {
			encoded := goodAnswer(t).encoded(readRequest(r))
			_, _ = conn.Write(encoded[:len(encoded)-3])
		}},
		{"no HTTP", Corrupt, "the answer is not HTTP", func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.6\r\n\r\n")
		}},
		{"no number as length", Corrupt, "the answer is not HTTP", func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")
		}},
		{"malformed chunks", Corrupt, "the answer is not HTTP", func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		}},
		{"endless header", Corrupt, "its header exceeds 64 KiB", func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n")
			for i := range 4 * maxHeader / 16 {
				fmt.Fprintf(conn, "X-%06d: 12345\r\n", i)
			}
		}},
		{"no real answer", Corrupt, "too many of status 1xx", func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			for range 2 * maxInformational {
				fmt.Fprint(conn, "HTTP/1.1 103 Early Hints\r\n\r\n")
			}
		}},
		{"longer than allowed", Corrupt, "exceeds 64 MiB", func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", maxAnswer+1)
			_, _ = io.Copy(io.Discard, r)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var connections atomic.Int32
			client := open(t, wire(t, func(_ int, conn net.Conn, r *bufio.Reader) {
				connections.Add(1)
				test.serve(conn, r)
			}))
			failure := get(t, client)
			wantKind(t, failure, test.kind, test.part)
			if failure.Operation != "GetRow" || failure.Table != "nodestore" {
				t.Errorf("the error names %q on %q", failure.Operation, failure.Table)
			}
			if got, want := failure.Retryable(), !failure.TooLarge(); got != want {
				t.Errorf("Retryable %v, want %v", got, want)
			}
			if n := connections.Load(); n != 1 {
				t.Errorf("%d connections: a failure on a fresh one is the caller's to repeat", n)
			}
		})
	}
}

// A body without length that goes on for ever is cut off at the limit.
func TestEndlessBody(t *testing.T) {
	hungUp := make(chan struct{})
	client := open(t, wire(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		defer close(hungUp)
		readRequest(r)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		chunk := append([]byte("100000\r\n"), append(make([]byte, 1<<20), "\r\n"...)...)
		for {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	}))
	failure := get(t, client)
	wantKind(t, failure, Corrupt, "exceeds 64 MiB")
	if !failure.TooLarge() || failure.Retryable() {
		t.Error("an answer over the limit is to be halved, not repeated")
	}
	<-hungUp // the rest is not left to arrive
}

func TestChunkedBody(t *testing.T) {
	body := gotRow(t, row("a1", bytes.Repeat([]byte("v"), 300_000)))
	client := open(t, serve(t, func(r *http.Request, _ []byte) answer {
		return answer{body: body, change: func(h http.Header) { h.Set("Transfer-Encoding", "chunked") }}
	}).URL)
	got, err := client.GetRow(t.Context(), getA1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Columns[0].Value.([]byte)); n != 300_000 {
		t.Errorf("read %d bytes", n)
	}
}

// The end of the context ends the call, wherever it waits.
func TestEndOfContext(t *testing.T) {
	tests := []struct {
		name  string
		part  string
		serve func(conn net.Conn, r *bufio.Reader)
	}{
		{"no answer", "while waiting for the answer", func(_ net.Conn, r *bufio.Reader) {
			readRequest(r)
		}},
		{"half a header", "while waiting for the answer", func(conn net.Conn, r *bufio.Reader) {
			_, _ = conn.Write(goodAnswer(t).encoded(readRequest(r))[:40])
		}},
		{"half a body", "middle of the answer", func(conn net.Conn, r *bufio.Reader) {
			encoded := goodAnswer(t).encoded(readRequest(r))
			_, _ = conn.Write(encoded[:len(encoded)-3])
		}},
	}
	for _, test := range tests {
		for _, how := range []string{"cancelled", "time ended"} {
			t.Run(test.name+", "+how, func(t *testing.T) {
				began := make(chan struct{}, 1)
				client := open(t, wire(t, func(_ int, conn net.Conn, r *bufio.Reader) {
					test.serve(conn, r)
					began <- struct{}{}
					_, _ = io.Copy(io.Discard, r) // until the client hangs up
				}))
				ctx, cancel := context.WithCancel(t.Context())
				want := context.Canceled
				if how == "time ended" {
					ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
					want = context.DeadlineExceeded
				} else {
					go func() {
						<-began
						cancel()
					}()
				}
				defer cancel()
				_, err := client.GetRow(ctx, getA1)
				failure := failureOf(t, err)
				wantKind(t, failure, Deadline, how)
				if how == "time ended" {
					wantKind(t, failure, Deadline, test.part)
				}
				if !errors.Is(err, want) {
					t.Errorf("the cause is not %v", want)
				}
				if len(client.slots) != 0 {
					t.Error("the call keeps its slot")
				}
			})
		}
	}
}

func TestConnectionThatCannotBeMade(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	plain := serve(t, always(goodAnswer(t)))

	for name, test := range map[string]struct{ endpoint, part string }{
		"refused":      {"http://" + listener.Addr().String(), "nothing listens there: check end_point"},
		"unknown host": {"http://no-such-host.invalid", "host name is not known: check end_point"},
		"TLS to plain": {strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			failure := get(t, open(t, test.endpoint))
			if name == "unknown host" && failure != nil && !strings.Contains(failure.Error(), test.part) && failure.Kind == NotSent {
				t.Skipf("no resolver answers here: %v", failure)
			}
			wantKind(t, failure, NotSent, test.part)
			if !failure.Retryable() {
				t.Error("not retryable")
			}
		})
	}
}

// A dial after a request was lost on an idle connection must not pass for a request that was never sent.
func TestRefusedAfterSendingIsLost(t *testing.T) {
	stop := make(chan struct{})
	var listener net.Listener
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(stop)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		listener.Close()
		r := bufio.NewReader(conn)
		_, _ = conn.Write(goodAnswer(t).encoded(readRequest(r)))
		readRequest(r)
		conn.Close()
	}()
	client := open(t, "http://"+listener.Addr().String())
	if failure := get(t, client); failure != nil {
		t.Fatal(failure)
	}
	wantKind(t, get(t, client), Lost, "nothing listens there")
	<-stop
}

func TestEnvironmentProxyIsNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	if failure := get(t, open(t, serve(t, always(goodAnswer(t))).URL)); failure != nil {
		t.Error(failure)
	}
}
