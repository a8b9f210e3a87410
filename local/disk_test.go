package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// diskWriter puts rows of its own, each once, and remembers those that were acknowledged and those that may have been.
type diskWriter struct {
	name         string
	next         int
	acknowledged []int
	open         map[int]bool
}

func (w *diskWriter) id(n int) string { return fmt.Sprintf("%s%06d", w.name, n) }

// value is one that cannot be compressed.
func (w *diskWriter) value(n int) []byte {
	var seed [32]byte
	copy(seed[:], w.id(n))
	value := make([]byte, 20000)
	_, _ = rand.NewChaCha8(seed).Read(value) // never fails
	return value
}

// put puts the next row; code is the service's if it was refused, err what became of the connection.
func (w *diskWriter) put(t *testing.T, s *TestServer) (code string, err error) {
	n := w.next
	w.next++
	request := s.request(t, "PutRow", mustMarshal(putRequest(idKey(w.id(n)), cell("x", w.value(n)))))
	response, err := http.DefaultClient.Do(request)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(response.Body)
		_ = response.Body.Close()
	}
	if err != nil {
		w.open[n] = true
		return "", err
	}
	a := answer{status: response.StatusCode, body: body}
	e := a.error(t)
	if e.GetCode() == "" {
		w.acknowledged = append(w.acknowledged, n)
	}
	return e.GetCode(), nil
}

// check compares the table with what the writers know.
func (s *TestServer) check(t *testing.T, writers []*diskWriter) {
	t.Helper()
	rows := s.all(t)
	for _, w := range writers {
		for _, n := range w.acknowledged {
			row, found := rows[w.id(n)]
			if !found || !bytes.Equal(row.Get("x").Value.Bytes, w.value(n)) {
				t.Fatalf("row %s was acknowledged; it is there: %t", w.id(n), found)
			}
			delete(rows, w.id(n))
		}
		for n := range w.open {
			delete(rows, w.id(n))
		}
	}
	if len(rows) > 0 {
		t.Errorf("%d rows are there of which the client heard that they were refused", len(rows))
	}
}

func newWriters(n int) (writers []*diskWriter) {
	for i := range n {
		writers = append(writers, &diskWriter{name: string(rune('a' + i)), open: map[int]bool{}})
	}
	return writers
}

const exhausted = "OTSCapacityUnitExhausted"

// TestDiskThatIsReallyFull fills a small file system: the server refuses writes before that, outlives another program that takes the
// last byte, starts on the full disk, and writes again when there is space.
func TestDiskThatIsReallyFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m,mode=0700"); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	program := filepath.Join(t.TempDir(), "tablestore-local")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/tablestore-local").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	k := &killed{program: program, dir: filepath.Join(disk, "data"), arguments: []string{"--faults", "--clock-skew=-1s"}}
	// Space is reclaimed once a minute.
	writesAgain := func(s *TestServer, w *diskWriter) bool {
		response, err := http.Post(s.URL+"/_clock", "", strings.NewReader(`{"advance_ms": 120000}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		code, err := w.put(t, s)
		if err != nil {
			t.Fatal(err)
		}
		return code == ""
	}
	filler := filepath.Join(disk, "filler")
	takeAll := func(pause time.Duration) {
		f, err := os.Create(filler)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		chunk := make([]byte, 1<<20)
		for size := len(chunk); size >= 4096; {
			if _, err := f.Write(chunk[:size]); errors.Is(err, syscall.ENOSPC) {
				size /= 2
			} else if err != nil {
				t.Error(err)
				return
			}
			<-time.After(pause)
		}
	}
	p := k.start(t)
	s := p.ready(t)
	s.create(t, "t", nil)
	writers := newWriters(4)

	// Nobody else writes: puts are refused while there is a reserve, and deletes are not.
	for {
		code, err := writers[0].put(t, s)
		if err != nil || code != "" && code != exhausted {
			t.Fatal(code, err)
		}
		if code == exhausted {
			break
		}
	}
	if n := len(writers[0].acknowledged); n < 1000 {
		t.Errorf("it was full after %d rows of 20 KB on 64 MB", n)
	}
	if u, err := vfs.Default.GetDiskUsage(disk); err != nil || u.AvailBytes < 8<<20 {
		t.Errorf("%d bytes are left, %v", u.AvailBytes, err)
	}
	for range 500 {
		n := writers[0].acknowledged[0]
		s.must(t, "DeleteRow", deleteRequest(idKey(writers[0].id(n))))
		writers[0].acknowledged = writers[0].acknowledged[1:]
	}
	eventually(t, "the space of deleted rows comes back", func() bool { return writesAgain(s, writers[0]) })
	s.check(t, writers)

	// Another program takes the rest, at a gallop and slowly, while four clients write. The process may end, losing nothing.
	ended := 0
	for _, pause := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond} {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for {
					select {
					case <-stop:
						return
					default:
					}
					if code, err := w.put(t, s); err != nil {
						return
					} else if code != "" && code != exhausted {
						t.Errorf("%s", code)
					}
				}
			}()
		}
		takeAll(pause)
		<-time.After(50 * time.Millisecond)
		close(stop)
		wg.Wait()
		if response, err := http.Get(s.URL); err != nil {
			ended++
			t.Logf("it ended, saying %s", p.err.String())
			if err := p.cmd.Wait(); err == nil {
				t.Error("it ended without an error")
			}
		} else {
			_ = response.Body.Close()
			for _, w := range writers {
				if code, err := w.put(t, s); code != exhausted || err != nil {
					t.Errorf("a put on a full disk: %q, %v", code, err)
				}
			}
			s.check(t, writers)
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		// It starts on the full disk, or says why not.
		p = k.start(t)
		line := p.line()
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if line == "" {
			_ = p.cmd.Wait()
			if !strings.Contains(p.err.String(), "no space left on device") {
				t.Errorf("it did not start: %s", p.err.String())
			}
			t.Logf("it did not start on the full disk")
			p = k.start(t)
			line = p.line()
		}
		s = p.serverAt(line)
		s.check(t, writers)
		// Deletes make room for the next round.
		eventually(t, "deletes go on", func() bool {
			return s.code(t, "DeleteRow", mustMarshal(deleteRequest(idKey("none")))) == ""
		})
		for _, w := range writers {
			for len(w.acknowledged) > 100 {
				s.must(t, "DeleteRow", deleteRequest(idKey(w.id(w.acknowledged[0]))))
				w.acknowledged = slices.Delete(w.acknowledged, 0, 1)
			}
		}
		eventually(t, "it writes again", func() bool { return writesAgain(s, writers[0]) })
	}
	t.Logf("of 3 times that the disk was filled under load, the process ended %d times", ended)
	if ended > 1 {
		t.Error("the reserve and the ballast do not help")
	}
}

// brokenDisk is the environment variable that makes TestBrokenDiskHelper a server: the data folder, and which write of the log fails.
const brokenDisk = "TABLESTORE_TEST_BROKEN_DISK"

// TestBrokenDiskHelper is the process that ends in TestLogThatCannotBeWritten.
func TestBrokenDiskHelper(t *testing.T) {
	value := os.Getenv(brokenDisk)
	if value == "" {
		t.Skip("this is a part of another test")
	}
	var dir, errno, operation string
	var after int
	if _, err := fmt.Sscan(value, &errno, &operation, &after, &dir); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	count := 0
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		isLog := strings.HasSuffix(op.Path, ".log")
		isWrite := op.Kind == errorfs.OpFileWrite
		isSync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		if !isLog || operation == "write" && !isWrite || operation == "sync" && !isSync {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if count++; count < after {
			return nil
		}
		if errno == "ENOSPC" {
			return syscall.ENOSPC
		}
		return syscall.EIO
	})
	s, err := Open(Options{Dir: dir, Instance: "sentry", AccessKeyID: "id", AccessKeySecret: "secret", SweepInterval: -1, fs: errorfs.Wrap(vfs.Default, injector)})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("at http://%s\n", listener.Addr())
	t.Fatal(http.Serve(listener, s)) //nolint:gosec // a test
}

// TestLogThatCannotBeWritten: when a write or a sync of the log fails the process ends; all that it acknowledged is there afterwards.
func TestLogThatCannotBeWritten(t *testing.T) {
	for _, how := range []string{"ENOSPC write 60", "ENOSPC sync 40", "EIO write 50", "EIO sync 30"} {
		t.Run(how, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			p := &crashProcess{}
			p.cmd = exec.Command(os.Args[0], "-test.run", "^TestBrokenDiskHelper$")
			p.cmd.Env = append(os.Environ(), brokenDisk+"="+how+" "+dir)
			p.cmd.Stderr = &p.err
			var err error
			if p.out, err = p.cmd.StdoutPipe(); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.cmd.Process.Kill() })
			s := p.ready(t)
			s.create(t, "t", nil)
			writers := newWriters(3)
			var wg sync.WaitGroup
			for _, w := range writers {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for w.next < 2000 {
						if _, err := w.put(t, s); err != nil {
							return
						}
					}
				}()
			}
			wg.Wait()
			err = p.cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 && exit.ExitCode() != 2 {
				t.Errorf("it ended with %v", err)
			}
			want := syscall.ENOSPC.Error()
			if strings.HasPrefix(how, "EIO") {
				want = syscall.EIO.Error()
			}
			if exit.ExitCode() == 2 { // Pebble's own panic, when it is just about to begin a new log
				want = "rotateWAL"
			}
			if !strings.Contains(p.err.String(), want) {
				t.Errorf("it said %q", p.err.String())
			}
			acknowledged := 0
			for _, w := range writers {
				acknowledged += len(w.acknowledged)
			}
			if acknowledged < 10 {
				t.Errorf("only %d writes were acknowledged", acknowledged)
			}
			again := RunT(t, inFolder(dir))
			again.check(t, writers)
			again.must(t, "PutRow", putRequest(idKey("after"), cell("x", 1)))
		})
	}
}
