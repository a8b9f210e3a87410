package local

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// powerCuts is the environment variable with the number of cuts of TestPowerCut.
const powerCuts = "TABLESTORE_POWER_CUTS"

// TestPowerCut is TestKill for the power: a file system in memory loses what was not synced, all of it or any part, in the middle of
// the load, of a start or of an end. Blocks that were not synced may be on disk in any order, so logs end torn and with holes.
func TestPowerCut(t *testing.T) {
	cuts := askedFor(t, powerCuts, 30)
	save := crashPage(t, "")
	k := newKilled()
	k.dir = t.TempDir()
	power := &power{disk: vfs.NewCrashableMem()}
	if err := power.disk.MkdirAll(k.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// The name of the folder is on disk: what is in the parent is not the server's.
	for dir := k.dir; dir != "/"; dir = power.disk.PathDir(dir) {
		parent, err := power.disk.OpenDir(power.disk.PathDir(dir))
		if err == nil {
			err = errors.Join(parent.Sync(), parent.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	created := false
	between := 0 // cuts at a start or at an end
	for range cuts {
		switch kind := rand.IntN(8); {
		case created && kind == 0:
			power.cutAfter(rand.IntN(60))
			s := k.powered(t, power)
			s.shut(t)
			between++
		case created && kind == 1:
			s := k.powered(t, power)
			k.check(t, s)
			k.load(t, s, 1+rand.Int64N(50), func() { k.end(func() {}) })
			power.cutAfter(rand.IntN(30))
			s.shut(t)
			between++
		default:
			s := k.powered(t, power)
			if !created {
				s.create(t, "t", nil)
				created = true
			}
			k.check(t, s)
			k.load(t, s, 1+rand.Int64N(100), func() { k.end(power.cut) })
			s.shut(t)
		}
		if power.after == nil { // the server ended before the cut was due
			power.cut()
		}
		power.disk, power.after = power.after, nil
	}
	s := k.powered(t, power)
	k.check(t, s)
	t.Logf("%d power cuts, %d of them at a start or at an end; %s", cuts, between, k)
	if n := k.acknowledged(); n < cuts-between {
		t.Errorf("only %d requests were acknowledged: the test tests nothing", n)
	}
	save("the power is cut, in a file system in memory", cuts, between, k)
}

// powered starts a server on the disk.
func (k *killed) powered(t *testing.T, power *power) *TestServer {
	t.Helper()
	disk := errorfs.Wrap(power.disk, errorfs.InjectorFunc(power.operation))
	return RunT(t, func(o *Options) { o.Memory, o.Dir, o.fs, o.SweepInterval = false, k.dir, disk, -1 })
}

// end ends the load: what is acknowledged from now on does not count.
func (k *killed) end(how func()) {
	k.ending.Lock()
	defer k.ending.Unlock()
	k.over = true
	how()
}

// shut closes the server.
func (s *TestServer) shut(t *testing.T) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// power is a disk and what a cut makes of it.
type power struct {
	disk *vfs.MemFS

	mu    sync.Mutex
	left  int        // operations on the disk before the cut, if that is how it comes
	armed bool       // it does
	after *vfs.MemFS // what is on disk after the cut, nil before it
}

func (p *power) cutAfter(operations int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.armed = operations, true
}

// operation is called before each operation on the disk. It makes the sync of the log take its time, as it does on a disk.
func (p *power) operation(op errorfs.Op) error {
	p.mu.Lock()
	due := p.armed && p.left == 0
	p.left--
	if due {
		p.armed = false
	}
	p.mu.Unlock()
	if due {
		p.cut()
	}
	if strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
		time.Sleep(rand.N(3 * time.Millisecond))
	}
	return nil
}

func (p *power) cut() {
	after := p.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rand.IntN(5) * 25, RNG: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.after = false, after
}
