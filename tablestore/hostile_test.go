package tablestore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tests/allocated"
)

// A hostile service may send anything. It must neither end the process nor hold a call up, nor make it take more memory than an answer
// may have, and above all no value may come out of what is not the service's own.

// hostile is a service that answers with what it is told.
type hostile struct {
	client *client
	keeps  bool // the connections; else they end with the answer
	answer atomic.Pointer[func(*http.Request) []byte]
	kind   atomic.Bool // answer the first request of a connection well, so that the next one finds a kept connection
}

func newHostile(f *testing.F, keeps bool) *hostile {
	h := &hostile{keeps: keeps}
	good := goodAnswer(f)
	endpoint := wire(f, func(_ int, conn net.Conn, requests *bufio.Reader) {
		defer conn.Close()
		for {
			request := readRequest(requests)
			if request == nil {
				return
			}
			if h.kind.Swap(false) {
				_, _ = conn.Write(good.encoded(request))
				continue
			}
			_, _ = conn.Write((*h.answer.Load())(request))
			if !h.keeps {
				return
			}
		}
	})
	h.client = open(f, endpoint)
	return h
}

// signs has the server answer with this body from now on, as the service signs it.
func (h *hostile) signs(body []byte) {
	signed := func(r *http.Request) []byte { return answer{body: body}.encoded(r) }
	h.answer.Store(&signed)
}

// await sends a GetRow as the C module does: it leaves the waiting to this thread.
func (h *hostile) await(ctx context.Context) (*Row, error, bool) {
	flight := h.client.SendGetRow(ctx, getA1)
	if flight == nil {
		return nil, nil, false
	}
	awaitFlight(flight)
	row, err := flight.Row(ctx)
	return row, err, true
}

// genuine parses an answer with net/http alone, and reports whether it is signed and whole.
func genuine(c *client, raw []byte) bool {
	reader := bufio.NewReader(bytes.NewReader(raw))
	for {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return false
		}
		body, err := io.ReadAll(response.Body)
		if response.StatusCode < 200 {
			continue
		}
		return err == nil && response.StatusCode < 300 && sameMD5(response.Header.Get("X-Ots-Contentmd5"), body) &&
			c.keys.identity().key.VerifyAuthorization(testKeyID, "GetRow", response.Header)
	}
}

// FuzzAnswer: arbitrary bytes on the wire, in both ways of waiting. Only a genuine answer gives a row.
func FuzzAnswer(f *testing.F) {
	h := newHostile(f, false)
	request, _ := http.NewRequest(http.MethodPost, "http://127.0.0.1/GetRow", nil)
	good := goodAnswer(f).encoded(request)
	f.Add(good, false)
	f.Add(good, true)
	for _, seed := range []string{
		"", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.0 503 x\r\n\r\nabc",
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9), "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "\x16\x03\x01\x00\xa5\x01", "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\nabc",
	} {
		f.Add([]byte(seed), len(seed)%2 == 0)
	}
	f.Add(append([]byte("HTTP/1.1 100 Continue\r\n\r\n"), good...), false)
	f.Add(bytes.Replace(good, []byte("Content-Length"), []byte("Content-length"), 1), true)
	f.Add(good[:len(good)-1], true)
	f.Fuzz(func(t *testing.T, raw []byte, outside bool) {
		answer := func(*http.Request) []byte { return raw }
		h.answer.Store(&answer)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var row *Row
		var err error
		began := time.Now()
		took := allocated.By(func() {
			sent := false
			if outside {
				h.kind.Store(true)
				if _, err = h.client.GetRow(ctx, getA1); err != nil {
					t.Fatal(err)
				}
				if row, err, sent = h.await(ctx); !sent {
					t.Fatal("no connection was kept")
				}
			}
			if !sent {
				row, err = h.client.GetRow(ctx, getA1)
			}
		})
		if elapsed := time.Since(began); elapsed > 7*time.Second {
			t.Errorf("took %v", elapsed)
		}
		// A service that announces the largest answer gets some room for it, in each of two attempts, and more only for what it sends.
		if took > 2*maxAhead+16*uint64(len(raw))+8<<20 {
			t.Errorf("%d bytes were allocated for %d", took, len(raw))
		}
		var failure *Error
		switch {
		case err != nil && !errors.As(err, &failure):
			t.Errorf("error %T: %v", err, err)
		case err == nil && !genuine(h.client, raw):
			t.Errorf("a row %+v of an answer that is not the service's", row)
		}
	})
}

// FuzzSignedBody: arbitrary bytes that the service did sign, for each operation on rows. What is decoded stands in the body.
func FuzzSignedBody(f *testing.F) {
	h := newHostile(f, true)
	f.Add(goodAnswer(f).body, byte(0))
	for operation := range byte(5) {
		f.Add([]byte{}, operation)
		f.Add(goodAnswer(f).body, operation)
		f.Add(bytes.Repeat([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, 20), operation)
	}
	f.Fuzz(func(t *testing.T, body []byte, operation byte) {
		h.signs(body)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		keys := []PrimaryKey{getA1.PrimaryKey, {Name: getA1.PrimaryKey.Name, Value: "other"}}
		var rows []Row
		var err error
		took := allocated.By(func() {
			switch operation % 5 {
			case 0:
				var row *Row
				if row, err = h.client.GetRow(ctx, getA1); row != nil {
					rows = append(rows, *row)
				}
			case 1:
				var results []RowResult
				results, err = h.client.BatchGetRow(ctx, &BatchGetRowRequest{Table: getA1.Table, PrimaryKeys: keys})
				if err == nil && len(results) != len(keys) {
					t.Errorf("%d results for %d keys", len(results), len(keys))
				}
				for i, result := range results {
					if result.Row != nil {
						rows = append(rows, *result.Row)
						if result.Row.PrimaryKey != keys[i] {
							t.Errorf("the row of %v for %v", result.Row.PrimaryKey, keys[i])
						}
					}
				}
			case 2:
				rows, _, err = h.client.GetRange(ctx, &GetRangeRequest{Table: getA1.Table, Start: keys[0]})
			case 3:
				err = h.client.WriteRow(ctx, getA1.Table, &RowChange{Kind: Delete, PrimaryKey: keys[0]})
			case 4:
				var failed []error
				changes := []RowChange{{Kind: Delete, PrimaryKey: keys[0]}, {Kind: Delete, PrimaryKey: keys[1]}}
				failed, err = h.client.BatchWriteRow(ctx, getA1.Table, changes)
				if err == nil && len(failed) != len(changes) {
					t.Errorf("%d results for %d changes", len(failed), len(changes))
				}
			}
		})
		if took > 256*uint64(len(body))+8<<20 {
			t.Errorf("%d bytes were allocated for a body of %d", took, len(body))
		}
		var failure *Error
		if err != nil && !errors.As(err, &failure) {
			t.Errorf("error %T: %v", err, err)
		}
		for _, row := range rows {
			for _, column := range row.Columns {
				if value, ok := column.Value.([]byte); ok && !bytes.Contains(body, value) {
					t.Errorf("the value %q is not in the answer", value)
				}
			}
		}
	})
}

// FuzzTableAnswer: arbitrary bytes that the service did sign, for each operation on tables, which the SDK decodes.
func FuzzTableAnswer(f *testing.F) {
	h := newHostile(f, true)
	for operation := range byte(4) {
		f.Add([]byte{}, operation)
		f.Add(message(f, described("nodestore", nil)), operation)
		f.Add(bytes.Repeat([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, 20), operation)
	}
	f.Fuzz(func(t *testing.T, body []byte, operation byte) {
		h.signs(body)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var err error
		took := allocated.By(func() {
			switch operation % 4 {
			case 0:
				var description *TableDescription
				if description, err = h.client.DescribeTable(ctx, "nodestore"); err == nil && !bytes.Contains(body, []byte(description.Name)) {
					t.Errorf("the table %q is not in the answer", description.Name)
				}
			case 1:
				err = h.client.CreateTable(ctx, nodestore())
			case 2:
				err = h.client.UpdateTable(ctx, "nodestore", &TableOptions{TimeToLive: -1, MaxVersions: 1}, nil)
			case 3:
				err = h.client.DeleteTable(ctx, "nodestore")
			}
		})
		if took > 256*uint64(len(body))+8<<20 {
			t.Errorf("%d bytes were allocated for a body of %d", took, len(body))
		}
		var failure *Error
		if err != nil && !errors.As(err, &failure) {
			t.Errorf("error %T: %v", err, err)
		}
	})
}
