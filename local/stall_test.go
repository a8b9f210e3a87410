package local

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	dto "github.com/prometheus/client_model/go"
)

// TestReadsDuringAStall holds all flushes, so that writes come to stand, and has a table operation wait for them: reads, ListTable and
// the metrics go on.
func TestReadsDuringAStall(t *testing.T) {
	held, release := atomic.Bool{}, make(chan struct{})
	disk := errorfs.Wrap(tinyDisk{vfs.NewMem()}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if held.Load() && strings.HasSuffix(op.Path, ".sst") {
			<-release
		}
		return nil
	}))
	s := RunT(t, onDisk(t, disk), func(o *Options) { o.SweepInterval = -1 })
	s.create(t, "t", nil)
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1)))
	held.Store(true)
	var writers sync.WaitGroup
	defer writers.Wait()
	letGo := sync.OnceFunc(func() { held.Store(false); close(release) })
	defer letGo()
	var enough atomic.Bool
	bytes := incompressible(500000)
	for w := range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for i := 0; !enough.Load(); i++ {
				s.codeOf(t, "PutRow", putRequest(idKey(fmt.Sprint(w, i)), cell("x", bytes)))
			}
		}()
	}
	until(t, "a write stalls", func() bool {
		var stalls dto.Metric
		return s.metrics.stalls.Write(&stalls) == nil && value(&stalls) > 0
	})
	enough.Store(true)
	writers.Add(1)
	go func() { defer writers.Done(); s.codeOf(t, "CreateTable", createRequest("u", nil)) }()
	until(t, "the table operation waits for the write", func() bool {
		if s.catalog.mu.TryRLock() {
			s.catalog.mu.RUnlock()
			return false
		}
		return true
	})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		s.must(t, "GetRow", getRequest(idKey("a")))
		s.must(t, "ListTable", &otsprotocol.ListTableRequest{})
		s.scan(t, &otsprotocol.GetRangeRequest{TableName: ptr("t"), Direction: otsprotocol.Direction_FORWARD.Enum(), MaxVersions: ptr(int32(1)), Limit: ptr(int32(1)),
			InclusiveStartPrimaryKey: allRange().InclusiveStartPrimaryKey, ExclusiveEndPrimaryKey: allRange().ExclusiveEndPrimaryKey})
		s.catalog.names()
	}()
	until(t, "reads are answered", func() bool {
		select {
		case <-answered:
			return true
		default:
			return false
		}
	})
	if s.catalog.mu.TryRLock() {
		t.Error("the table operation did not wait: the test tests nothing")
		s.catalog.mu.RUnlock()
	}
}

// tinyDisk is one for which memtables are small.
type tinyDisk struct{ vfs.FS }

func (tinyDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: 1 << 27, TotalBytes: 1 << 27}, nil
}
