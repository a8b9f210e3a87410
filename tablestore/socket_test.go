package tablestore

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// A write that was given up must not arrive when the network lets it through again: it would undo what was written since.
func TestRequestThatIsGivenUpIsNotDelivered(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client := open(t, "http://"+listener.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		failed <- client.WriteRow(ctx, "nodestore", &RowChange{
			Kind: Put, PrimaryKey: getA1.PrimaryKey, Columns: []Column{{Name: "data", Value: make([]byte, 2<<20)}},
		})
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	wantKind(t, failureOf(t, <-failed), Deadline, "may have been applied")
	read, err := io.Copy(io.Discard, conn)
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%d bytes arrived later, and then %v", read, err)
	}
}
