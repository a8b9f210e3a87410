package local

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

func incompressible(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// fill puts rows until one is refused, and returns how many were not.
func (s *TestServer) fill(t *testing.T, most int) int {
	t.Helper()
	for i := range most {
		_, code, message := s.call(t, "PutRow", mustMarshal(putRequest(idKey(fmt.Sprint(i)), cell("x", incompressible(100000)))))
		if code == "" {
			continue
		}
		if code != "OTSCapacityUnitExhausted" || !strings.HasSuffix(message, "; reads and deletes go on.") {
			t.Fatalf("%s: %s", code, message)
		}
		return i
	}
	t.Fatalf("%d rows were accepted", most)
	return 0
}

func (s *TestServer) code(t *testing.T, operation string, body []byte) string {
	t.Helper()
	_, code, _ := s.call(t, operation, body)
	return code
}

func TestMaxBytes(t *testing.T) {
	const limit = 6_000_000
	s := RunT(t, inFolder(t.TempDir()), func(o *Options) { o.MaxBytes = limit })
	s.create(t, "t", nil)
	n := s.fill(t, 100)
	if n < 40 {
		t.Errorf("it is full after %d rows of 100 KB, which is too early", n)
	}
	// While a flush or a compaction runs, its input and its output take space.
	eventually(t, "the data takes little more than it may", func() bool { return usedSpace(s.db.Metrics()) < limit+limit/10 })
	if code := s.code(t, "UpdateRow", mustMarshal(updateRequest(idKey("1"), cell("y", 1)))); code != exhausted {
		t.Errorf("an update: %q", code)
	}
	if code := s.code(t, "CreateTable", mustMarshal(createRequest("u", nil))); code != exhausted {
		t.Errorf("a new table: %q", code)
	}
	drop := batchUpdate("0", plainbuffer.Cell{Name: []byte("x"), Op: plainbuffer.DeleteAllVersion})
	if codes := s.write(t, batch(batchPut("new", cell("x", 1)), batchDelete("1"), drop)); codes[0] != exhausted || codes[1] != "" || codes[2] != "" {
		t.Errorf("a batch: %q", codes)
	}
	if row, _ := s.get(t, getRequest(idKey("2"))); text(row, time.Time{}) != "x=100000B" {
		t.Error("a row cannot be read any more")
	}
	if rows, _ := s.scan(t, allRange()); len(rows) == 0 {
		t.Error("the rows cannot be read any more")
	}
	for i := range n {
		s.must(t, "DeleteRow", deleteRequest(idKey(fmt.Sprint(i))))
	}
	eventually(t, "there is space again", func() bool {
		s.AdvanceClock(2 * reclaimEvery)
		return s.code(t, "PutRow", mustMarshal(putRequest(idKey("again"), cell("x", 1)))) == ""
	})
	s.fill(t, 100)
}

// smallDisk says how much space is left.
type smallDisk struct {
	vfs.FS
	left atomic.Int64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(d.left.Load()), TotalBytes: 100 << 30}, nil
}

func TestFullDisk(t *testing.T) {
	disk := &smallDisk{FS: vfs.Default}
	disk.left.Store(1 << 30)
	s := RunT(t, inFolder(t.TempDir()), func(o *Options) { o.fs = disk })
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("0"), cell("x", 1)))
	disk.left.Store(diskReserve - 1)
	s.fill(t, 100)
	s.must(t, "DeleteRow", deleteRequest(idKey("0")))
	disk.left.Store(diskReserve)
	s.must(t, "PutRow", putRequest(idKey("0"), cell("x", 1)))
}
