package local

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The number of starts of a folder stands in its store and, written after that, in a file: a store that has a smaller one lost what
// was written since, whatever else is right with it. The file also says which logs there were, as a log that is missing is no error to
// Pebble.

const startsName = "STARTS"

type starts struct {
	Starts uint64 `json:"starts"`
	// Oldest is the number from which on logs counted when the last start was through, and FirstLog the first that there was: at a start
	// Pebble gives the number Oldest away without a log. Later ones, which the MANIFEST names when memtables are written out, are logs.
	Oldest   uint64 `json:"oldest"`
	FirstLog uint64 `json:"first_log"`
	// Opening says that the last start did not get through: the two are not those of now.
	Opening bool `json:"opening"`
}

// storedStarts returns the number of starts in the store.
func storedStarts(db *pebble.DB) (uint64, error) {
	value, closer, err := db.Get([]byte(keyStarts))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	number := uint64(0)
	if len(value) == 8 {
		number = binary.BigEndian.Uint64(value)
	}
	return number, closer.Close()
}

// readStarts returns what the file says; found is false if there is none, as in a new folder.
func readStarts(disk vfs.FS, dir string) (f starts, found bool, err error) {
	data, err := readSmall(disk, dir, startsName)
	if errors.Is(err, fs.ErrNotExist) {
		return f, false, nil
	}
	if err != nil {
		return f, false, err
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, false, damaged("%s cannot be read: %v", startsName, err)
	}
	return f, true, nil
}

func writeStarts(disk vfs.FS, dir string, f starts) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return replaceFile(disk, dir, startsName, append(data, '\n'))
}

// checkStarts compares the store's number of starts with the file's.
func checkStarts(disk vfs.FS, dir string, stored uint64) error {
	f, _, err := readStarts(disk, dir)
	if err == nil && stored < f.Starts {
		err = damaged("its server was started %d times, the store knows of %d: what was written since is missing", f.Starts, stored)
	}
	return err
}

// beginChanges checks the files of a folder before the first of them changes.
func (s *Server) beginChanges() error {
	disk, dir := s.disk, s.options.Dir
	if err := checkFiles(disk, dir); err != nil {
		return err
	}
	f, found, err := readStarts(disk, dir)
	if err != nil {
		return err
	}
	if f.Opening = true; found {
		if err := writeStarts(disk, dir, f); err != nil {
			return err
		}
	}
	return unmarkClosed(disk, dir)
}

// countStart begins a new start in the store and in the file.
func (s *Server) countStart() (number uint64, err error) {
	if number, err = storedStarts(s.db); err != nil {
		return 0, err
	}
	if !s.options.Memory {
		if err := checkStarts(s.disk, s.options.Dir, number); err != nil {
			return 0, err
		}
	}
	number++
	if err := s.setNow([]byte(keyStarts), binary.BigEndian.AppendUint64(nil, number)); err != nil || s.options.Memory {
		return number, err
	}
	if number == 1 {
		// The first log of a new store is of an older format, which does not tell what of it was on disk.
		if err := s.db.Flush(); err != nil {
			return 0, err
		}
	}
	m, err := readManifest(s.disk, s.options.Dir)
	if err != nil {
		return 0, err
	}
	return number, writeStarts(s.disk, s.options.Dir, starts{Starts: number, Oldest: m.oldest, FirstLog: m.firstLog()})
}
