package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// clock is settable and shared by a test's store and server.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// options of a store on the server, with what the test changes.
func optionsFor(server *local.TestServer, change ...func(*Options)) Options {
	options := Options{
		Endpoint: server.URL, Instance: server.Instance, Table: "nodestore",
		AccessKeyID: server.AccessKeyID, AccessKeySecret: server.AccessKeySecret,
		TimeoutMillis: 10_000, MaxConnection: 16,
	}
	for _, f := range change {
		f(&options)
	}
	return options
}

func openStore(t testing.TB, options Options) *Store {
	t.Helper()
	s, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// newStore is a store with its table on a fresh server.
func newStore(t testing.TB, change ...func(*Options)) (*Store, *local.TestServer, *clock) {
	t.Helper()
	c := newClock()
	// Requests are dated by the real clock, which the settable one leaves behind.
	server := local.RunT(t, func(o *local.Options) { o.Clock = c.Now; o.ClockSkew = -1 })
	s := openStore(t, optionsFor(server, change...))
	s.now = c.Now
	if err := s.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, server, c
}

func compression(name string) func(*Options) { return func(o *Options) { o.Compression = name } }

func mustSet(t *testing.T, s *Store, id string, value []byte) {
	t.Helper()
	if err := s.Set(t.Context(), id, value, NoTTL); err != nil {
		t.Fatal(err)
	}
}

// want fails unless the node has the value, nil for none, for Get and for GetMany.
func want(t *testing.T, s *Store, id string, value []byte) {
	t.Helper()
	got, found, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if found != (value != nil) || !bytes.Equal(got, value) {
		t.Fatalf("get %q: %d bytes, found %v; want %d bytes", id, len(got), found, len(value))
	}
	many, err := s.GetMany(t.Context(), []string{id})
	if err != nil {
		t.Fatal(err)
	}
	if (many[0] == nil) != (value == nil) || !bytes.Equal(many[0], value) {
		t.Fatalf("get many %q: %d bytes, absent %v; want %d bytes", id, len(many[0]), many[0] == nil, len(value))
	}
}

// failure is the *Error in err.
func failure(t *testing.T, err error, kind Kind) *Error {
	t.Helper()
	// What the local server of the tests is signed for, and what wrong keys are called.
	if shown := fmt.Sprintf("%v %+v", err, err); strings.Contains(shown, "test-key-secret") || strings.Contains(shown, "hush-hush") {
		t.Errorf("a credential is shown: %s", shown)
	}
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("error %v (%T), want one of kind %s", err, err, kind)
	}
	if failure.Kind != kind {
		t.Fatalf("error %q of kind %s, want %s", failure, failure.Kind, kind)
	}
	return failure
}

// noise does not compress.
func noise(n int) []byte {
	source := rand.NewChaCha8([32]byte{byte(n)})
	value := make([]byte, n)
	source.Read(value)
	return value
}

func text(n int) []byte {
	return bytes.Repeat([]byte(`{"event_id":"6b3c","level":"error"}`), n/35+1)[:n]
}

// rawRow reads all columns of a row past the store.
func rawRow(t *testing.T, s *Store, id string) map[string]any {
	t.Helper()
	row, err := s.client.GetRow(t.Context(), &tablestore.GetRowRequest{Table: s.options.Table, PrimaryKey: primaryKey(id)})
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string]any{}
	if row != nil {
		for _, column := range row.Columns {
			columns[column.Name] = column.Value
		}
	}
	return columns
}

// putRaw writes a row past the store.
func putRaw(t *testing.T, s *Store, id string, columns ...tablestore.Column) {
	t.Helper()
	change := &tablestore.RowChange{Kind: tablestore.Put, PrimaryKey: primaryKey(id), Columns: columns}
	if err := s.client.WriteRow(t.Context(), s.options.Table, change); err != nil {
		t.Fatal(err)
	}
}

func TestEveryCompressionReadsEveryOther(t *testing.T) {
	plain, server, _ := newStore(t)
	stores := map[string]*Store{
		"":     plain,
		"zlib": openStore(t, optionsFor(server, compression("zlib"))),
		"zstd": openStore(t, optionsFor(server, compression("zstd"))),
	}
	for _, size := range []int{0, 1, 255, 256, 10_000, 1 << 20} {
		for writer, w := range stores {
			for kind, value := range map[string][]byte{"text": text(size), "noise": noise(size)} {
				id := fmt.Sprintf("%s-%s-%d", writer, kind, size)
				mustSet(t, w, id, value)
				for _, r := range stores {
					want(t, r, id, value)
				}
			}
		}
	}
	if data := rawRow(t, stores["zstd"], "zstd-text-10000")["data"].([]byte); len(data) > 1000 {
		t.Errorf("zstd stored %d bytes of 10,000 repetitive ones", len(data))
	}
}

func TestWritesReplaceAndDeletesRemove(t *testing.T) {
	s, _, _ := newStore(t, compression("zstd"))
	want(t, s, "node", nil)
	mustSet(t, s, "node", []byte("one"))
	mustSet(t, s, "node", []byte("two"))
	want(t, s, "node", []byte("two"))
	if err := s.Delete(t.Context(), "node"); err != nil {
		t.Fatal(err)
	}
	want(t, s, "node", nil)
	if err := s.Delete(t.Context(), "node"); err != nil {
		t.Errorf("delete of a missing node: %v", err)
	}
}

func TestBatchesKeepOrderAndTakeDuplicates(t *testing.T) {
	s, server, _ := newStore(t, compression("zlib"))
	var ids []string
	var values [][]byte
	for i := range 450 {
		ids = append(ids, fmt.Sprintf("node-%d", i))
		values = append(values, text(i*7))
	}
	ids, values = append(ids, "node-3"), append(values, []byte("the last value counts"))
	if err := s.SetMany(t.Context(), ids, values, NoTTL); err != nil {
		t.Fatal(err)
	}
	values[3] = []byte("the last value counts")

	asked := append([]string{"missing", "node-9", "node-9"}, ids...)
	got, err := s.GetMany(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	for i, wanted := range append([][]byte{nil, values[9], values[9]}, values...) {
		if !bytes.Equal(got[i], wanted) || (got[i] == nil) != (wanted == nil) {
			t.Fatalf("%s: %d bytes, want %d", asked[i], len(got[i]), len(wanted))
		}
	}

	var requests sync.Map
	server.Control(func(operation string, _ []byte) *local.Fault {
		requests.Store(fmt.Sprint(operation, rand.Int64()), operation)
		return nil
	})
	if err := s.DeleteMany(t.Context(), asked); err != nil {
		t.Fatal(err)
	}
	count := 0
	requests.Range(func(_, operation any) bool {
		if operation != "BatchWriteRow" {
			t.Errorf("delete many sent a %v", operation)
		}
		count++
		return true
	})
	if count != 3 {
		t.Errorf("delete many of 451 different ids took %d requests, want 3", count)
	}
	got, err = s.GetMany(t.Context(), ids)
	if err != nil || firstPresent(got) >= 0 {
		t.Errorf("after delete many: %v, node %d is still there", err, firstPresent(got))
	}
}

func firstPresent(values [][]byte) int {
	for i, value := range values {
		if value != nil {
			return i
		}
	}
	return -1
}

func TestEmptyBatchesSendNothing(t *testing.T) {
	s, server, _ := newStore(t)
	server.Control(func(operation string, _ []byte) *local.Fault {
		t.Errorf("sent a %s", operation)
		return nil
	})
	if values, err := s.GetMany(t.Context(), nil); err != nil || len(values) != 0 {
		t.Errorf("get many: %v, %v", values, err)
	}
	if err := s.SetMany(t.Context(), nil, nil, NoTTL); err != nil {
		t.Error(err)
	}
	if err := s.DeleteMany(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestBadIDsAndValuesAreRefusedBeforeAnythingIsSent(t *testing.T) {
	s, server, _ := newStore(t)
	server.Control(func(operation string, _ []byte) *local.Fault {
		t.Errorf("sent a %s", operation)
		return nil
	})
	for _, id := range []string{"", strings.Repeat("x", 1025), "\xff"} {
		_, _, err := s.Get(t.Context(), id)
		failure(t, err, KindInvalidID)
		failure(t, s.Set(t.Context(), id, nil, NoTTL), KindInvalidID)
		failure(t, s.SetMany(t.Context(), []string{"fine", id}, [][]byte{nil, nil}, NoTTL), KindInvalidID)
		failure(t, s.Delete(t.Context(), id), KindInvalidID)
		failure(t, s.DeleteMany(t.Context(), []string{"fine", id}), KindInvalidID)
	}
	large := make([]byte, MaxValueSize+1)
	e := failure(t, s.Set(t.Context(), "large", large, NoTTL), KindValueTooLarge)
	if !strings.Contains(e.Message, "67108865") || !strings.Contains(e.Message, "67108864") {
		t.Errorf("the message %q does not name the size and the limit", e.Message)
	}
	failure(t, s.SetMany(t.Context(), []string{"large"}, [][]byte{large}, NoTTL), KindValueTooLarge)
	failure(t, s.Set(t.Context(), "ttl", nil, 0), KindOptions)
}

func TestIDsAtTheLimits(t *testing.T) {
	s, _, _ := newStore(t)
	for _, id := range []string{"x", strings.Repeat("x", 1024), strings.Repeat("й", 512), "i-o:6b3c", " \n/\x00"} {
		mustSet(t, s, id, []byte(id))
		want(t, s, id, []byte(id))
	}
}

func TestClosedStoreSaysSo(t *testing.T) {
	s, _, _ := newStore(t)
	s.Close()
	_, _, err := s.Get(context.Background(), "node")
	failure(t, err, KindClosed)
}
