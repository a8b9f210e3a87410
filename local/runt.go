package local

import (
	"errors"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestServer is a server in memory for one test.
type TestServer struct {
	*Server
	URL             string // where it listens, such as http://127.0.0.1:12345
	Instance        string
	AccessKeyID     string
	AccessKeySecret string
}

// RunT starts a server in memory that ends with the test. Options that change may be given as functions.
func RunT(t testing.TB, change ...func(*Options)) *TestServer {
	t.Helper()
	o := Options{Memory: true, Instance: "testing", AccessKeyID: "test-key-id", AccessKeySecret: "test-key-secret"}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
		if err := s.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Errorf("close the server: %v", err)
		}
	})
	return &TestServer{s, "http://" + listener.Addr().String(), o.Instance, o.AccessKeyID, o.AccessKeySecret}
}
