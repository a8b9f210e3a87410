package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// all returns every row of table t by its id.
func (s *TestServer) all(t *testing.T) map[string]plainbuffer.Row {
	t.Helper()
	found := map[string]plainbuffer.Row{}
	for next := allRange(); ; {
		rows, key := s.scan(t, next)
		for _, row := range rows {
			found[string(row.PrimaryKey[0].Value.Bytes)] = row
		}
		if key == nil {
			return found
		}
		next.InclusiveStartPrimaryKey = plainbuffer.Encode(plainbuffer.Row{PrimaryKey: key})
	}
}

// TestBackupUnderWrites backs up a server several times while many clients write batches of two rows: what was acknowledged before a
// backup began is in it, of a batch both rows or none, and the backup is of one moment for every client.
func TestBackupUnderWrites(t *testing.T) {
	const clients, backups = 8, 3
	s := RunT(t, inFolder(t.TempDir()))
	s.create(t, "t", nil)
	var acknowledged [clients]atomic.Int64 // number of the last one
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for c := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				// Every batch writes a new pair, and the same pair again; large values go their own way.
				x := cell("x", n)
				if n%5 == 0 {
					x = cell("x", []byte(fmt.Sprint(strings.Repeat("v", inlineLimit), n)))
				}
				mark := cell("n", n)
				codes := s.write(t, batch(batchPut(fmt.Sprintf("%d-a", c), mark, x), batchPut(fmt.Sprintf("%d-%06d-l", c, n), x),
					batchPut(fmt.Sprintf("%d-%06d-r", c, n), x), batchPut(fmt.Sprintf("%d-b", c), mark, x)))
				if slices.ContainsFunc(codes, func(c string) bool { return c != "" }) {
					t.Errorf("a write failed: %q", codes)
					return
				}
				acknowledged[c].Store(int64(n))
			}
		}()
	}
	for i := range backups {
		var before [clients]int64
		eventually(t, "the clients go on", func() bool {
			for c := range clients {
				before[c] = acknowledged[c].Load()
				if before[c] < int64(20*(i+1)) {
					return false
				}
			}
			return true
		})
		target := filepath.Join(t.TempDir(), "backup")
		info, err := Backup(context.Background(), s.options.Dir, target)
		if err != nil {
			t.Fatal(err)
		}
		restored := RunT(t, inFolder(restoreInto(t, target)))
		rows := restored.all(t)
		if info.Rows != int64(len(rows)) || info.Tables != 1 {
			t.Errorf("the backup says %d rows in %d tables, it has %d", info.Rows, info.Tables, len(rows))
		}
		for c := range clients {
			a, b := rows[fmt.Sprintf("%d-a", c)], rows[fmt.Sprintf("%d-b", c)]
			n := a.Get("n").Value.Int()
			if n < before[c] {
				t.Errorf("client %d had %d writes acknowledged, the backup has %d", c, before[c], n)
			}
			if m := b.Get("n").Value.Int(); m != n {
				t.Errorf("client %d: half of write %d or %d", c, n, m)
			}
			pairs := 0
			for id := range rows {
				if strings.HasPrefix(id, fmt.Sprintf("%d-0", c)) {
					pairs++
				}
			}
			if pairs != int(2*n) {
				t.Errorf("client %d: %d rows after write %d", c, pairs, n)
			}
		}
	}
	close(stop)
	wg.Wait()
	eventually(t, "the checkpoints are gone", func() bool { return len(entries(t, filepath.Join(s.options.Dir, checkpointsName))) == 0 })
}

func restoreInto(t *testing.T, backup string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(context.Background(), backup, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// idle makes a folder with some rows that no server runs on.
func idle(t *testing.T) string {
	t.Helper()
	s := RunT(t, inFolder(t.TempDir()))
	s.create(t, "t", versionsOf(2))
	for i := range 30 {
		s.must(t, "PutRow", putRequest(idKey(fmt.Sprint(i)), cell("x", incompressible(3000)), cell("y", incompressible(2*inlineLimit))))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.options.Dir
}

func TestBackupOfAnIdleFolder(t *testing.T) {
	dir := idle(t)
	before := entries(t, dir)
	target := filepath.Join(t.TempDir(), "backup")
	if err := os.Mkdir(target, 0o700); err != nil { // an empty one is as good as none
		t.Fatal(err)
	}
	info, err := Backup(context.Background(), dir, target)
	if err != nil {
		t.Fatal(err)
	}
	if info.Rows != 30 || info.Tables != 1 || info.Bytes < 30*(3000+2*inlineLimit) {
		t.Errorf("%+v", info)
	}
	if after := entries(t, dir); !slices.Equal(before, after) {
		t.Errorf("the backup changed the folder from %q to %q", before, after)
	}
	original, restored := RunT(t, inFolder(dir)), RunT(t, inFolder(restoreInto(t, target)))
	same := func(a, b plainbuffer.Row) bool {
		return string(plainbuffer.Encode(a)) == string(plainbuffer.Encode(b))
	}
	if !maps.EqualFunc(original.all(t), restored.all(t), same) {
		t.Error("the restored rows differ")
	}
	if o := restored.catalog.get("t").options; o.maxVersions != 2 {
		t.Errorf("options %+v", o)
	}
	// A server on the backup itself would change it.
	o := original.options
	o.Dir = target
	if _, err := Open(o); !errors.Is(err, ErrBackup) {
		t.Errorf("a server on the backup: %v", err)
	}
}

func TestBackupRefuses(t *testing.T) {
	dir := idle(t)
	other := t.TempDir()
	full := filepath.Join(t.TempDir(), "full")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("a long name ", 10))
	for _, tt := range []struct{ dir, target, text string }{
		{dir, full, "is not empty: it has x"},
		{dir, filepath.Join(dir, "backup"), "within the data folder"},
		{dir, filepath.Join(dir, "sub", "..", "backup"), "within the data folder"},
		{other, filepath.Join(t.TempDir(), "b"), "this is no data folder"},
		{filepath.Join(other, "none"), filepath.Join(t.TempDir(), "b"), "no such file"},
		{dir, filepath.Join(other, "none", "b"), "no such file"},
		{long, filepath.Join(t.TempDir(), "b"), "no such file"},
	} {
		if _, err := Backup(context.Background(), tt.dir, tt.target); err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s to %s: %v", tt.dir, tt.target, err)
		}
	}
	if names := entries(t, other); len(names) != 0 {
		t.Errorf("it left %q", names)
	}
	// A folder with a long name is no problem for its socket.
	s := RunT(t, inFolder(long))
	s.create(t, "t", nil)
	if _, err := Backup(context.Background(), long, filepath.Join(t.TempDir(), "b")); err != nil {
		t.Error(err)
	}
	if err := CheckHealth(context.Background(), long); err != nil {
		t.Error(err)
	}
	if err := CheckHealth(context.Background(), dir); !errors.Is(err, errNoServer) {
		t.Errorf("health of an idle folder: %v", err)
	}
}

// A damaged store makes no backup, and a damaged backup no folder.
func TestBackupAndRestoreMeetDamage(t *testing.T) {
	dir := idle(t)
	good := filepath.Join(t.TempDir(), "good")
	if _, err := Backup(context.Background(), dir, good); err != nil {
		t.Fatal(err)
	}
	damage := func(dir string) {
		t.Helper()
		files, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
		if len(files) == 0 {
			files, _ = filepath.Glob(filepath.Join(dir, "*.log"))
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 4
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if len(files) == 0 {
			t.Fatal("nothing to damage")
		}
	}
	damage(dir)
	parent := t.TempDir()
	if _, err := Backup(context.Background(), dir, filepath.Join(parent, "b")); err == nil {
		t.Error("a damaged store was backed up")
	}
	if names := entries(t, parent); len(names) != 0 {
		t.Errorf("a failed backup left %q", names)
	}
	damage(good)
	restored := t.TempDir()
	if _, err := Restore(context.Background(), good, restored); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("a damaged backup: %v", err)
	}
	if names := entries(t, restored); !slices.Equal(names, []string{lockName}) {
		t.Errorf("a failed restore left %q", names)
	}
}

func TestRestoreRefuses(t *testing.T) {
	backup := filepath.Join(t.TempDir(), "backup")
	dir := idle(t)
	if _, err := Backup(context.Background(), dir, backup); err != nil {
		t.Fatal(err)
	}
	refused := func(from, to, text string) {
		t.Helper()
		if _, err := Restore(context.Background(), from, to); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("restore %s into %s: %v", from, to, err)
		}
	}
	refused(backup, dir, "is not empty")
	refused(backup, backup, ErrBackup.Error())
	refused(dir, t.TempDir(), "this is no complete backup")
	s := RunT(t, inFolder(filepath.Join(t.TempDir(), "new")))
	refused(backup, s.options.Dir, ErrLocked.Error())

	// What a restore that was killed leaves is neither served nor restored into.
	unfinished := restoreInto(t, backup)
	if err := os.WriteFile(filepath.Join(unfinished, restoringName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(backup, unfinished, ErrUnfinished.Error())
	o := s.options
	o.Dir = unfinished
	if _, err := Open(o); !errors.Is(err, ErrUnfinished) {
		t.Errorf("a server on it: %v", err)
	}
}

// TestKilledBackup kills the command at various moments: there is a complete backup or none.
func TestKilledBackup(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tablestore-local")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/tablestore-local").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	s := RunT(t, inFolder(t.TempDir()))
	s.create(t, "t", nil)
	for i := range 200 {
		s.must(t, "PutRow", putRequest(idKey(fmt.Sprint(i)), cell("x", incompressible(100000))))
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	command := func(target string) *exec.Cmd { return exec.Command(program, "backup", "--data", s.options.Dir, target) }
	begin := time.Now()
	whole := filepath.Join(t.TempDir(), "whole")
	if out, err := command(whole).CombinedOutput(); err != nil || !strings.Contains(string(out), "200 rows") {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(begin)
	killed, complete := 0, 0
	for i := range 12 {
		parent := t.TempDir()
		target := filepath.Join(parent, "backup")
		c := command(target)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(took * time.Duration(i) / 10)
		_ = c.Process.Kill()
		err := c.Wait()
		if err != nil {
			killed++
		}
		if _, statErr := os.Stat(target); statErr == nil {
			complete++
			restored := RunT(t, inFolder(restoreInto(t, target)))
			if n := len(restored.all(t)); n != 200 {
				t.Errorf("%d rows were restored", n)
			}
		} else if !errors.Is(statErr, fs.ErrNotExist) || err == nil {
			t.Errorf("%v, but the command ended with %v", statErr, err)
		}
		for _, name := range entries(t, parent) {
			if name == "backup" {
				continue
			}
			// Only if it was killed when all was done but the last change of name, it is a backup.
			dir := filepath.Join(t.TempDir(), "restored")
			if _, err := Restore(context.Background(), filepath.Join(parent, name), dir); err == nil {
				if n := len(RunT(t, inFolder(dir)).all(t)); n != 200 {
					t.Errorf("%s was restored with %d rows", name, n)
				}
			}
		}
	}
	t.Logf("%d were killed, %d were complete", killed, complete)
	if killed < 3 {
		t.Error("the kills came too late to test anything")
	}
	eventually(t, "the server removed the checkpoints", func() bool { return len(entries(t, filepath.Join(s.options.Dir, checkpointsName))) == 0 })
	s.must(t, "PutRow", putRequest(idKey("after"), cell("x", 1)))
}

// A list of files must not lead out of the folder, neither to read nor to write nor to remove.
func TestRestoreRefusesNamesThatLeadElsewhere(t *testing.T) {
	backup := t.TempDir()
	for _, name := range []string{"..", ".", "", "../x", "/etc/passwd", "sub/x", "a/../../x", lockName, restoringName} {
		list, err := json.Marshal(&BackupInfo{Format: backupFormat, Files: []BackupFile{{Name: name}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(backup, backupList), list, 0o600); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "data")
		if _, err := Restore(t.Context(), backup, dir); err == nil || !strings.Contains(err.Error(), "names the file") {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: there is a folder: %v", name, err)
		}
	}
}

// TestBackupOntoADisk: a disk that is mounted at the target cannot be replaced by a folder that was filled beside it, on another disk.
func TestBackupOntoADisk(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()
	s := RunT(t, inFolder(dir))
	s.create(t, "t", nil)
	found := filepath.Join(disk, "lost+found")
	if err := os.Mkdir(found, 0o700); err != nil {
		t.Fatal(err)
	}
	refused := func(text string) {
		t.Helper()
		if _, err := Backup(context.Background(), dir, disk); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want: %s", err, text)
		}
		if left, _ := filepath.Glob(disk + ".partial-*"); len(left) > 0 {
			t.Errorf("files were copied beside the target: %v", left)
		}
	}
	refused("lost+found; name a folder below it")
	if err := os.Remove(found); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m,mode=0700"); err != nil {
		t.Skipf("a file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	refused("is where a disk is mounted; name a folder below it")
	if _, err := Backup(context.Background(), dir, filepath.Join(disk, "today")); err != nil {
		t.Error(err)
	}
}
