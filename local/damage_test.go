package local

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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

// TestDamagedFile flips a bit in every 300th byte of a file of the store, one at a time through the lot: a read gives the right value
// or an error, and a log line with the file's name; nothing ends the process.
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
