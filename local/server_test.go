package local

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/cockroachdb/pebble/v2"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

func inFolder(dir string) func(*Options) {
	return func(o *Options) { o.Memory, o.Dir = false, dir }
}

func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	large := make([]byte, 300000)
	large[200000] = 1
	s := RunT(t, inFolder(dir))
	s.create(t, "t", versionsOf(2))
	s.must(t, "PutRow", putRequest(idKey("a"), cell("small", 1), cell("large", large)))
	s.must(t, "PutRow", putRequest(idKey("gone"), cell("large", large)))
	s.must(t, "DeleteRow", deleteRequest(idKey("gone")))
	if _, err := Open(s.options); !errors.Is(err, ErrLocked) {
		t.Errorf("opening the folder twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = RunT(t, inFolder(dir))
		row, _ := s.get(t, getRequest(idKey("a")))
		if row == nil || row.Get("small").Value.Int() != 1 || !row.Get("large").Value.Equal(cell("", large).Value) {
			t.Error("the row changed over a restart")
		}
		if row, _ := s.get(t, getRequest(idKey("gone"))); row != nil {
			t.Error("a deleted row came back")
		}
		if o := s.catalog.get("t").options; o.maxVersions != 2 {
			t.Errorf("options %+v", o)
		}
		// New large values must not take the numbers of old ones.
		s.must(t, "PutRow", putRequest(idKey("b"), cell("large", make([]byte, 100000))))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := Options{Instance: "i", AccessKeyID: "a", AccessKeySecret: "s"}
	none, both, noKey, notAFolder := full, full, full, full
	both.Memory, both.Dir = true, "x"
	noKey.Memory, noKey.AccessKeySecret = true, ""
	notAFolder.Dir = file
	for _, o := range []Options{none, both, noKey, notAFolder} {
		if s, err := Open(o); err == nil {
			t.Errorf("%+v was accepted", o)
			_ = s.Close()
		}
	}
}

// keys counts the keys of one kind in the store.
func (s *TestServer) keys(t testing.TB, kind byte) (n int) {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	return n
}

func TestLargeValuesAreRemovedWithTheirRows(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	large := make([]byte, 100000)
	for i, step := range []struct {
		do    func()
		blobs int
	}{
		{func() { s.must(t, "PutRow", putRequest(idKey("a"), cell("x", large), cell("y", large), cell("s", 1))) }, 2},
		{func() { s.must(t, "UpdateRow", updateRequest(idKey("a"), cell("s", 2))) }, 2},
		{func() { s.must(t, "UpdateRow", updateRequest(idKey("a"), cell("x", 2))) }, 1},
		{func() { s.must(t, "PutRow", putRequest(idKey("a"), cell("z", large))) }, 1},
		{func() { s.write(t, batch(batchPut("b", cell("z", large)), batchUpdate("b", cell("z", 1)))) }, 1},
		{func() { s.must(t, "DeleteRow", deleteRequest(idKey("a"))) }, 0},
		{func() { s.must(t, "PutRow", putRequest(idKey("a"), cell("z", large))) }, 1},
		{func() { s.must(t, "DeleteTable", &otsprotocol.DeleteTableRequest{TableName: ptr("t")}) }, 0},
	} {
		step.do()
		if n := s.keys(t, prefixBlob); n != step.blobs {
			t.Errorf("step %d: %d large values, want %d", i, n, step.blobs)
		}
	}
	if n := s.keys(t, prefixRow); n != 0 {
		t.Errorf("%d rows outlived their table", n)
	}
}

func TestConcurrentIncrementsAddUp(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	const writers, each = 8, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			add := plainbuffer.Cell{Name: []byte("n"), HasValue: true, Value: plainbuffer.IntegerValue(1), Op: plainbuffer.Increment}
			for i := range each {
				if (w+i)%2 == 0 {
					s.must(t, "UpdateRow", updateRequest(idKey("a"), add))
				} else {
					s.write(t, batch(batchUpdate("b", add), batchUpdate("a", add)))
				}
			}
		}()
	}
	wg.Wait()
	row, _ := s.get(t, getRequest(idKey("a")))
	if n := row.Get("n").Value.Int(); n != writers*each {
		t.Errorf("n = %d, want %d", n, writers*each)
	}
}

// TestReadersSeeWholeRows replaces a row with large values all the time: a reader must see one of its states, never a mixture.
func TestReadersSeeWholeRows(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	put := func(n byte) {
		data := make([]byte, 100000)
		for i := range data {
			data[i] = n
		}
		s.must(t, "PutRow", putRequest(idKey("a"), cell("x", data), cell("y", int(n)), cell("z", data)))
	}
	put(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 200 {
			put(byte(n))
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
		}
		rows, _ := s.scan(t, allRange())
		row, _ := s.get(t, getRequest(idKey("a")))
		if row == nil || len(rows) != 1 {
			t.Fatal("the row is missing")
		}
		for _, row := range []*plainbuffer.Row{row, &rows[0]} {
			n := byte(row.Get("y").Value.Int())
			if x, z := row.Get("x").Value.Bytes, row.Get("z").Value.Bytes; x[0] != n || x[99999] != n || z[50000] != n {
				t.Fatal("the row is a mixture")
			}
		}
	}
}
