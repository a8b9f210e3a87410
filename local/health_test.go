package local

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
)

// health asks as an operator's probe does.
func (s *TestServer) probe(t *testing.T) (status int, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.HealthHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestHealth(t *testing.T) {
	disk := &smallDisk{FS: vfs.Default}
	disk.left.Store(1 << 30)
	s := RunT(t, inFolder(t.TempDir()), func(o *Options) { o.fs = disk })
	expect := func(status int, text string) {
		t.Helper()
		if gotStatus, gotText := s.probe(t); gotStatus != status || !strings.Contains(gotText, text) {
			t.Errorf("%d %q, want %d %q", gotStatus, gotText, status, text)
		}
	}
	expect(200, "ok")
	disk.left.Store(1000)
	expect(503, "writes are refused: The disk has only 1000 bytes left")
	disk.left.Store(1 << 30)
	expect(200, "ok")
	eventually(t, "the error shows", func() bool {
		s.backgroundError(errors.New("input/output error"))
		status, text := s.probe(t) // a flush of the store's own may just have worked
		return status == 503 && strings.Contains(text, "the store cannot write to the disk: input/output error")
	})
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1)))
	if err := s.db.Flush(); err != nil { // one that works
		t.Fatal(err)
	}
	expect(200, "ok")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	expect(503, "the server is closed")
}

func TestDrain(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1)))
	entered, leave := make(chan struct{}), make(chan struct{})
	s.Control(func(operation string, _ []byte) *Fault {
		if operation == "GetRow" {
			close(entered)
			<-leave
		}
		return nil
	})
	slow := make(chan answer, 1)
	go func() { slow <- s.send(t, s.request(t, "GetRow", mustMarshal(getRequest(idKey("a"))))) }()
	<-entered

	expired, cancel := context.WithCancel(context.Background())
	cancel()
	if left := s.Drain(expired); left != 1 {
		t.Errorf("%d requests were left, want 1", left)
	}
	if status, text := s.probe(t); status != 503 || text != ErrStopping.Error() {
		t.Errorf("health while draining: %d %s", status, text)
	}
	a := s.send(t, s.request(t, "PutRow", mustMarshal(putRequest(idKey("b"), cell("x", 1)))))
	if e := a.error(t); a.status != 503 || e.GetCode() != "OTSPartitionUnavailable" || !a.signed {
		t.Errorf("a new request: %d %v, signed %t", a.status, &e, a.signed)
	} else if code, _ := errorcode.Lookup(e.GetCode()); !code.RetryWrite {
		t.Errorf("clients do not send a write again after %s", e.GetCode())
	}
	done := make(chan int, 1)
	go func() { done <- s.Drain(context.Background()) }()
	select {
	case <-done:
		t.Error("the request that ran was not waited for")
	case <-time.After(20 * time.Millisecond):
	}
	close(leave)
	if left := <-done; left != 0 {
		t.Errorf("%d requests were left", left)
	}
	if a := <-slow; a.status != 200 {
		t.Errorf("the request that ran: %d", a.status)
	}
	s.Control(nil)
	// The refused put was not carried out.
	c := &call{server: s.Server, now: s.now().UnixMilli(), body: mustMarshal(getRequest(idKey("b")))}
	if err := s.getRow(c); err != nil || c.rowsRead != 0 {
		t.Errorf("the row of the refused put: %d, %v", c.rowsRead, err)
	}
}
