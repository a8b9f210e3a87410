package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// logText collects log records of many goroutines.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), text)
}

// TestDamagedFile flips a bit at 20 places of the largest file with rows, one at a time: a read gives the right value or an error, and
// a log line with the file's name; nothing ends the process.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	value := incompressible(3000)
	const rows = 20
	s := RunT(t, inFolder(dir))
	s.create(t, "t", nil)
	for i := range rows {
		s.must(t, "PutRow", putRequest(idKey(fmt.Sprint(i)), cell("x", value)))
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	file, size := "", 0
	var sound []byte
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > size {
			file, sound, size = name, data, len(data)
		}
	}
	refused, failed, good := 0, 0, 0
	for at := 100; at < size; at += size / 20 {
		damaged := bytes.Clone(sound)
		damaged[at] ^= 4
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		log := &logText{}
		o := s.options
		o.Logger, o.SweepInterval = slog.New(slog.NewTextHandler(log, nil)), -1
		s, err := Open(o)
		if err != nil {
			refused++
			continue
		}
		bad := 0
		for i := range rows {
			c := &call{server: s, now: s.now().UnixMilli(), body: mustMarshal(getRequest(idKey(fmt.Sprint(i))))}
			err := s.getRow(c)
			if _, expected := asServiceError(err); err != nil && expected {
				t.Errorf("damage at %d: %v", at, err)
			}
			switch {
			case err != nil:
				bad++
			case bytes.Contains(c.out, value):
				good++
			default:
				t.Errorf("damage at %d: a row is wrong", at)
			}
		}
		if failed += bad; bad > 0 && !log.contains("the data is damaged") {
			t.Errorf("damage at %d: nothing in the log", at)
		}
		if err := s.Close(); err != nil {
			t.Errorf("damage at %d: close: %v", at, err)
		}
	}
	t.Logf("%d reads failed, %d were right; the folder was refused %d times", failed, good, refused)
	if failed == 0 || good == 0 {
		t.Error("the damage was not met, or met everywhere")
	}
	if err := os.WriteFile(file, sound[:size/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(s.options); err == nil {
		t.Error("a folder with half of a file was accepted")
		_ = s.Close()
	} else {
		t.Log(err)
	}
}

// damagedFolder is a data folder with rows in several files with rows and in the log, to be copied and damaged.
type damagedFolder struct {
	dir     string
	options Options
}

const damagedRows = 60

func damagedRow(i int) string { return fmt.Sprintf("%03d", i) }

// putDamagedRow puts row i with a value of the given size in bytes.
func (s *TestServer) putDamagedRow(t *testing.T, i, size int) {
	t.Helper()
	s.must(t, "PutRow", putRequest(idKey(damagedRow(i)), cell("x", strings.Repeat(damagedRow(i), size/3))))
}

// open opens the folder and counts the rows that are right; refused says that it did not open, and whether anything was changed.
func (f *damagedFolder) open(t *testing.T, dir string) (right int, refused error) {
	t.Helper()
	before := files(t, dir)
	o := f.options
	o.Dir = dir
	s, err := Open(o)
	if err != nil {
		if !errors.Is(err, ErrDamaged) && !strings.Contains(err.Error(), "corrupt") && !strings.Contains(err.Error(), "malformed") {
			t.Errorf("refused for a reason that does not name damage: %v", err)
		}
		if now := files(t, dir); errors.Is(err, ErrDamaged) && !maps.Equal(now, before) && now[startsName] == before[startsName] {
			t.Errorf("the folder was refused and changed: it had %d files and has %d", len(before), len(now))
		}
		return 0, err
	}
	for i := range damagedRows {
		c := &call{server: s, now: s.now().UnixMilli(), body: mustMarshal(getRequest(idKey(damagedRow(i))))}
		if err := s.getRow(c); err == nil && bytes.Contains(c.out, []byte(strings.Repeat(damagedRow(i), 1000))) {
			right++
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return right, nil
}

// files returns the regular files of a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		if !e.Type().IsRegular() || e.Name() == lockName || e.Name() == ballastName {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = string(data)
	}
	return found
}

func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// flipped is data with another bit in the byte at.
func flipped(data string, at int) string {
	damaged := []byte(data)
	damaged[at] ^= 4
	return string(damaged)
}

// TestDamagedManifestAndLogs flips bits in, cuts and removes the files that say where the data is, in a folder whose server was killed
// and in one whose server was stopped: the folder is refused and left as it is, or serves all that was acknowledged. Of a server that
// was killed the last record of the log may be lost, as what a crash tore looks no different.
func TestDamagedManifestAndLogs(t *testing.T) {
	dir := t.TempDir()
	s := RunT(t, inFolder(dir), func(o *Options) { o.SweepInterval = -1 })
	s.create(t, "t", nil)
	for i := range damagedRows {
		s.putDamagedRow(t, i, 3000)
		if i < 40 && i%10 == 9 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	folder := &damagedFolder{dir, s.options}
	left := map[string]map[string]string{"killed": files(t, dir)}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	left["stopped"] = files(t, dir)
	for how, sound := range left {
		t.Run(how, func(t *testing.T) {
			if right, err := folder.open(t, folderOf(t, sound)); err != nil || right != damagedRows {
				t.Fatalf("the sound folder serves %d rows: %v", right, err)
			}
			refused, served := 0, 0
			try := func(what, name, data string, least int) {
				now := maps.Clone(sound)
				now[name] = data
				if data == "" {
					delete(now, name)
				}
				right, err := folder.open(t, folderOf(t, now))
				switch {
				case err != nil:
					refused++
				case right < least || how == "stopped":
					t.Errorf("%s, %s: %d of %d rows are served", name, what, right, damagedRows)
				default:
					served++
				}
			}
			for name, data := range sound {
				if !listed(name) {
					continue
				}
				least := damagedRows
				if strings.HasSuffix(name, ".log") {
					least--
				}
				for at := 0; at < len(data); at += max(5, len(data)/47) {
					try(fmt.Sprint("a bit at ", at), name, flipped(data, at), least)
				}
				if len(data) > 0 && !strings.HasSuffix(name, ".log") || how == "stopped" {
					try("half of it", name, data[:len(data)/2], damagedRows)
				}
				if !strings.HasPrefix(name, "marker.format") || how == "stopped" {
					try("removed", name, "", damagedRows)
				}
			}
			t.Logf("%d times refused, %d times served in full, or without the last row", refused, served)
			if refused < 50 {
				t.Error("hardly any damage was noticed")
			}
		})
	}
}

// TestDamagedLog flips bits all over a log of rows that are smaller or larger than its blocks, and cuts it at the same places: damage
// is refused unless it is in the last row, and a log that ends early, as after a power cut, is not.
func TestDamagedLog(t *testing.T) {
	for _, size := range []int{3000, 50000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := t.TempDir()
			s := RunT(t, inFolder(dir), func(o *Options) { o.SweepInterval = -1 })
			s.create(t, "t", nil)
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
			for i := range damagedRows {
				s.putDamagedRow(t, i, size)
			}
			folder := &damagedFolder{dir, s.options}
			sound := files(t, dir)
			names := slices.Sorted(maps.Keys(sound))
			names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".log") })
			refused := 0
			for _, name := range names {
				data := sound[name]
				if len(data) < 2*size {
					continue
				}
				for at := 100; at < len(data); at += len(data) / 20 {
					now := maps.Clone(sound)
					now[name] = flipped(data, at)
					right, err := folder.open(t, folderOf(t, now))
					switch {
					case err == nil && right < damagedRows-1:
						t.Errorf("a bit of %s at %d: %d rows are served", name, at, right)
					case err != nil && !errors.Is(err, ErrDamaged):
						t.Errorf("a bit of %s at %d: %v", name, at, err)
					case err != nil:
						refused++
					}
					if now[name] = data[:at]; name != names[len(names)-1] {
						continue
					}
					if right, err := folder.open(t, folderOf(t, now)); err != nil || right < at/(size+200) {
						t.Errorf("%s ends at %d: %d rows are served, %v", name, at, right, err)
					}
				}
			}
			if t.Logf("%d times refused", refused); refused < 18 {
				t.Error("hardly any damage was noticed")
			}
		})
	}
}

// TestBackupOfADamagedFolder: what a server would refuse to open is no backup.
func TestBackupOfADamagedFolder(t *testing.T) {
	dir := t.TempDir()
	s := RunT(t, inFolder(dir))
	s.create(t, "t", nil)
	for i := range 20 {
		s.putDamagedRow(t, i, 3000)
	}
	sound := files(t, dir)
	for name, data := range sound {
		if !strings.HasSuffix(name, ".log") || len(data) < 10000 {
			continue
		}
		now := maps.Clone(sound)
		now[name] = flipped(data, 2000)
		damaged := folderOf(t, now)
		if err := os.WriteFile(filepath.Join(damaged, lockName), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Backup(context.Background(), damaged, filepath.Join(t.TempDir(), "backup")); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s with a flipped bit was backed up: %v", name, err)
		}
	}
}
