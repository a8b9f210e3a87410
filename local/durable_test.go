package local

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"google.golang.org/protobuf/protoadapt"
)

// onDisk puts the data on a file system that a test made. The folder's lock and socket stay in a real folder.
func onDisk(t testing.TB, disk vfs.FS) func(*Options) {
	t.Helper()
	dir := t.TempDir()
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return func(o *Options) { o.Memory, o.Dir, o.fs = false, dir, disk }
}

// heldLog is a disk whose log can be held: nothing of it gets to the disk until it is let go.
type heldLog struct {
	vfs.FS
	held atomic.Pointer[chan struct{}]
}

func newHeldLog(disk vfs.FS) *heldLog {
	h := &heldLog{}
	h.FS = errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if c := h.held.Load(); c != nil && strings.HasSuffix(op.Path, ".log") {
			switch op.Kind {
			case errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
				<-*c
			}
		}
		return nil
	}))
	return h
}

func (h *heldLog) hold() { c := make(chan struct{}); h.held.Store(&c) }

func (h *heldLog) letGo() { close(*h.held.Swap(nil)) }

// until waits until something that is under way has happened.
func until(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestAnswersThatBuildOnOthersWrites has a write that can be seen and is not on disk, and requests that find nothing to do because of
// it, or are refused: they are answered only when it is on disk.
func TestAnswersThatBuildOnOthersWrites(t *testing.T) {
	conditional := putRequest(idKey("new"), cell("x", 2))
	conditional.Condition = condition(notExist)
	inBatch := batchPut("new", cell("x", 2))
	inBatch.Condition = condition(notExist)
	for name, tt := range map[string]struct {
		do   func(s *TestServer) (code string)
		want string
	}{
		"delete again":       {func(s *TestServer) string { return s.codeOf(t, "DeleteRow", deleteRequest(idKey("old"))) }, ""},
		"delete in a batch":  {func(s *TestServer) string { return s.write(t, batch(batchDelete("old"), batchDelete("other")))[0] }, ""},
		"put what is there":  {func(s *TestServer) string { return s.codeOf(t, "PutRow", conditional) }, "OTSConditionCheckFail"},
		"put it in a batch":  {func(s *TestServer) string { return s.write(t, batch(inBatch))[0] }, "OTSConditionCheckFail"},
		"update what is not": {func(s *TestServer) string { return s.codeOf(t, "UpdateRow", mustExist("old")) }, "OTSConditionCheckFail"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := newHeldLog(vfs.NewMem())
			s := RunT(t, onDisk(t, disk), func(o *Options) { o.SweepInterval = -1 })
			s.create(t, "t", nil)
			s.must(t, "PutRow", putRequest(idKey("old"), cell("x", 1)))
			disk.hold()
			var let sync.Once
			letGo := func() { let.Do(disk.letGo) }
			defer letGo() // the server could not be closed
			var first sync.WaitGroup
			for operation, m := range map[string]protoadapt.MessageV1{
				"DeleteRow": deleteRequest(idKey("old")), "PutRow": putRequest(idKey("new"), cell("x", 1)),
			} {
				first.Add(1)
				go func() { defer first.Done(); s.codeOf(t, operation, m) }()
			}
			until(t, "the first writes can be seen", func() bool { return !s.sees("old") && s.sees("new") })
			logged := s.db.Metrics().WAL.BytesIn
			second := make(chan string, 1)
			go func() { second <- tt.do(s) }()
			until(t, "the second request is answered, or waits for the log", func() bool {
				return len(second) > 0 || s.db.Metrics().WAL.BytesIn > logged
			})
			if len(second) > 0 {
				t.Error("it was answered before the first write was on disk")
			}
			letGo()
			if code := <-second; code != tt.want {
				t.Errorf("answered with %q, want %q", code, tt.want)
			}
			first.Wait()
		})
	}
}

// sees reports whether a plain read finds the row.
func (s *TestServer) sees(id string) bool {
	c := &call{server: s.Server, now: s.now().UnixMilli(), body: mustMarshal(getRequest(idKey(id)))}
	return s.getRow(c) == nil && c.rowsRead == 1
}

func (s *TestServer) codeOf(t testing.TB, operation string, m protoadapt.MessageV1) string {
	_, code, _ := s.call(t, operation, mustMarshal(m))
	return code
}

func mustExist(id string) *otsprotocol.UpdateRowRequest {
	m := updateRequest(idKey(id), cell("x", 2))
	m.Condition = condition(exist)
	return m
}

// TestNothingToWriteCostsNoSync: what finds nothing to do waits for the disk only if there is something on its way to it.
func TestNothingToWriteCostsNoSync(t *testing.T) {
	s := RunT(t, onDisk(t, vfs.NewMem()), func(o *Options) { o.SweepInterval = -1 })
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1)))
	logged := s.db.Metrics().WAL.BytesIn
	s.must(t, "DeleteRow", deleteRequest(idKey("b")))
	s.write(t, batch(batchDelete("b"), batchDelete("c")))
	if n := s.db.Metrics().WAL.BytesIn - logged; n > 0 {
		t.Errorf("%d bytes were written to the log", n)
	}
	if n := s.unsynced.Load(); n != 0 {
		t.Errorf("%d writes are said to be under way", n)
	}
}
