package local

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
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
