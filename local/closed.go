package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A server that is stopped leaves a list of the files that say where the data is, with checksums: a folder with such a list was not
// left by a crash, and must be as it was. The list goes when the folder is opened.

const closedName = "CLOSED"

type closedFile struct {
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	CRC32 uint32 `json:"crc32c"`
}

// listed reports whether a file belongs into the list. Those with the rows have checksums of their own.
func listed(name string) bool {
	return strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "marker.")
}

func listClosed(disk vfs.FS, dir string) (files []closedFile, err error) {
	names, err := disk.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !listed(name) {
			continue
		}
		file := closedFile{Name: name}
		err := eachBlock(disk, disk.PathJoin(dir, name), func(_ int64, block []byte) error {
			file.Size += int64(len(block))
			file.CRC32 = crc32.Update(file.CRC32, castagnoli, block)
			return nil
		})
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// markClosed writes the list, after the store was closed.
func markClosed(disk vfs.FS, dir string) error {
	files, err := listClosed(disk, dir)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(files, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(disk, dir, closedName, append(data, '\n'))
}

// checkClosed compares the files with the list, if there is one.
func checkClosed(disk vfs.FS, dir string) error {
	data, err := readSmall(disk, dir, closedName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var want []closedFile
	if err := json.Unmarshal(data, &want); err != nil {
		return damaged("%s cannot be read: %v", closedName, err)
	}
	have, err := listClosed(disk, dir)
	if err != nil {
		return err
	}
	found := map[string]closedFile{}
	for _, f := range have {
		found[f.Name] = f
	}
	for _, f := range want {
		switch now, there := found[f.Name]; {
		case !there:
			return damaged("%s is missing", f.Name)
		case now != f:
			return damaged("%s changed since the server was stopped", f.Name)
		}
		delete(found, f.Name)
	}
	for name := range found {
		return damaged("%s was not there when the server was stopped", name)
	}
	return nil
}

// unmarkClosed removes the list: from now on the files change.
func unmarkClosed(disk vfs.FS, dir string) error {
	if err := disk.Remove(disk.PathJoin(dir, closedName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return syncDir(disk, dir)
}

// replaceFile puts a small file into the folder, on disk, as a whole or not at all.
func replaceFile(disk vfs.FS, dir, name string, data []byte) error {
	path := disk.PathJoin(dir, name)
	f, err := disk.Create(path+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := disk.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncDir(disk, dir)
}

func syncDir(disk vfs.FS, dir string) error {
	f, err := disk.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func readSmall(disk vfs.FS, dir, name string) ([]byte, error) {
	f, err := disk.Open(disk.PathJoin(dir, name))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
