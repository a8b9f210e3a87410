package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A backup is a folder with the files of a store at one moment and a list of them, backupList, that is written last. It gets its name
// when everything in it is on disk and was read once in full. A server refuses to serve it: Restore makes a data folder of it.

const (
	backupList   = "BACKUP.json"
	backupFormat = 1
	lockName     = "LOCK"
)

// BackupInfo describes a backup. It is stored in it, as BACKUP.json.
type BackupInfo struct {
	Format  int          `json:"format"`
	Created time.Time    `json:"created"` // when it was begun: what was acknowledged before is in it
	Tables  int          `json:"tables"`
	Rows    int64        `json:"rows"` // stored, whether expired or not
	Bytes   int64        `json:"bytes"`
	Files   []BackupFile `json:"files"`
}

// BackupFile is a file of a backup.
type BackupFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Backup makes a backup of the data folder dir in the new folder target, which must not exist or be empty. It does not matter whether
// a server runs on the folder: it goes on serving meanwhile, and everything that it acknowledged before is in the backup. A server
// that is started during the backup of an idle folder is refused as for any folder in use.
//
// The backup is complete when Backup returns without an error; otherwise there is no target, even after a crash.
func Backup(ctx context.Context, dir, target string) (info *BackupInfo, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back %s up to %s: %w", dir, target, err)
		}
	}()
	target = filepath.Clean(target)
	if err := checkTarget(dir, target); err != nil {
		return nil, err
	}
	info = &BackupInfo{Format: backupFormat, Created: time.Now().UTC()}
	source, release, err := openSource(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	partial, err := os.MkdirTemp(filepath.Dir(target), filepath.Base(target)+".partial-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if err := info.fill(ctx, source, partial); err != nil {
		return nil, err
	}
	if err := verifyStore(ctx, partial, info); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	list, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := writeSynced(filepath.Join(partial, backupList), append(list, '\n')); err != nil {
		return nil, err
	}
	if err := syncFolder(partial); err != nil {
		return nil, err
	}
	// os.Rename would refuse to replace an empty folder.
	if err := syscall.Rename(partial, target); err != nil {
		return nil, &os.LinkError{Op: "rename", Old: partial, New: target, Err: err}
	}
	return info, syncFolder(filepath.Dir(target))
}

// checkTarget refuses a target that would overwrite something, or is within the data.
func checkTarget(dir, target string) error {
	if err := mustBeReplaceable(target); err != nil {
		return err
	}
	data, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(target))
	if err != nil {
		return err
	}
	if data, err = filepath.Abs(data); err != nil {
		return err
	}
	if parent, err = filepath.Abs(parent); err != nil {
		return err
	}
	if within, err := filepath.Rel(data, parent); err == nil && within != ".." && !strings.HasPrefix(within, "../") {
		return errors.New("the target is within the data folder")
	}
	return nil
}

// mustBeReplaceable returns an error unless a folder that is made beside the target can take its place.
func mustBeReplaceable(target string) error {
	entries, err := os.ReadDir(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	own, err := device(target)
	if err != nil {
		return err
	}
	parent, err := device(filepath.Dir(target))
	if err != nil {
		return err
	}
	switch {
	case own != parent:
		return fmt.Errorf("%s is where a disk is mounted; name a folder below it that does not exist", target)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: it has %s; name a folder below it that does not exist", target, entries[0].Name())
	}
	return nil
}

// device returns the number of the file system that a folder is on.
func device(dir string) (uint64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, nil
	}
	return uint64(stat.Dev), nil //nolint:unconvert // not this type everywhere
}

// mustBeEmpty returns an error unless the folder exists and has nothing but what a new file system has.
func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != lockName && e.Name() != "lost+found" {
			return fmt.Errorf("%s is not empty: it has %s", dir, e.Name())
		}
	}
	return nil
}

// openSource returns a folder whose files are those of the store at one moment, until release is called.
func openSource(ctx context.Context, dir string) (source string, release func() error, err error) {
	if _, err := os.Stat(filepath.Join(dir, lockName)); err != nil {
		return "", nil, fmt.Errorf("this is no data folder: %w", err)
	}
	response, err := askControl(ctx, dir, http.MethodPost, "/checkpoint")
	if errors.Is(err, errNoServer) {
		// It is not lockFolder that is called, for that might make the folder.
		lock, lockErr := pebble.LockDirectory(dir, vfs.Default)
		if lockErr != nil {
			return "", nil, fmt.Errorf("%w, and it cannot be asked for its data: %w", ErrLocked, err)
		}
		if err := refuseUnfinished(dir); err != nil {
			return "", nil, errors.Join(err, lock.Close())
		}
		return dir, lock.Close, nil
	}
	if err != nil {
		return "", nil, err
	}
	var answer checkpointAnswer
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", nil, fmt.Errorf("ask the server for a checkpoint: %w", errors.Join(err, response.Body.Close()))
	}
	if answer.Error != "" || filepath.Base(answer.Name) != answer.Name {
		return "", nil, errors.Join(fmt.Errorf("the server made no checkpoint: %s", answer.Error), response.Body.Close())
	}
	return filepath.Join(dir, checkpointsName, answer.Name), response.Body.Close, nil
}

// fill copies the store's files.
func (info *BackupInfo) fill(ctx context.Context, source, target string) error {
	entries, err := os.ReadDir(source)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return !e.Type().IsRegular() || e.Name() == lockName || e.Name() == ballastName
	})
	need := uint64(0)
	for _, e := range entries {
		i, err := e.Info()
		if err != nil {
			return err
		}
		need += uint64(i.Size())
	}
	if u, err := vfs.Default.GetDiskUsage(target); err == nil && u.AvailBytes < need+reserveOf(u) {
		return fmt.Errorf("the disk of the target has %d bytes left, the backup takes %d and %d are to stay free", u.AvailBytes, need, reserveOf(u))
	}
	for _, e := range entries {
		sum, size, err := copyFile(ctx, filepath.Join(source, e.Name()), filepath.Join(target, e.Name()))
		if err != nil {
			return err
		}
		info.Files = append(info.Files, BackupFile{e.Name(), size, sum})
		info.Bytes += size
	}
	return nil
}

// copyFile copies a file, returns its SHA-256 and size, and leaves it on disk.
func copyFile(ctx context.Context, from, to string) (sum string, size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	hash := sha256.New()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return "", 0, err
		}
		n, err := in.Read(buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", 0, err
		}
		hash.Write(buf[:n])
		size += int64(n)
		if _, err := out.Write(buf[:n]); err != nil {
			return "", 0, err
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), size, out.Sync()
}

func writeSynced(name string, data []byte) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// syncFolder makes the names in a folder last.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// verifyStore reads every row of a store with its large values, checksums included, without changing a byte of it, and counts them.
func verifyStore(ctx context.Context, dir string, info *BackupInfo) (err error) {
	if err := checkFiles(vfs.Default, dir); err != nil {
		return err
	}
	db, err := pebble.Open(dir, &pebble.Options{
		ReadOnly: true, ErrorIfNotExists: true, Logger: quiet{},
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}, // Pebble would end the process
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(), os.Remove(filepath.Join(dir, lockName))) }()
	starts, err := storedStarts(db)
	if err != nil {
		return err
	}
	if err := checkStarts(vfs.Default, dir, starts); err != nil {
		return err
	}
	tables, err := loadCatalog(db)
	if err != nil {
		return err
	}
	info.Tables = len(tables.byName())
	for _, name := range tables.names() {
		rows, err := verifyTable(ctx, db, tables.get(name))
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		info.Rows += rows
	}
	return nil
}

func verifyTable(ctx context.Context, db *pebble.DB, t *table) (rows int64, err error) {
	prefix := tablePrefix(prefixRow, t.id)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	reader := rowReader{store: db}
	for ok := it.First(); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		value, err := it.ValueAndErr()
		if err == nil {
			err = reader.row.decode(value)
		}
		for i := range reader.row.cells {
			if err == nil {
				err = reader.load(t.id, &reader.row.cells[i])
			}
		}
		reader.release()
		if err != nil {
			return 0, fmt.Errorf("row %x: %w", it.Key(), err)
		}
		rows++
	}
	return rows, it.Error()
}

// quiet drops the store's chatter where errors are returned anyway.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
