package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// restoringName is the file that stands in a data folder while a backup is restored into it: without it a server would take the
// folder of a restore that was killed for a new one.
const restoringName = "RESTORING"

// ErrUnfinished says that a restore into the folder was interrupted.
var ErrUnfinished = errors.New("a restore into this folder was interrupted; remove what is in it and restore again")

// ErrBackup says that the folder is a backup, which a server would change.
var ErrBackup = errors.New("this is a backup; restore it into a data folder of its own")

// refuseUnfinished returns an error for a folder that is not to be served.
func refuseUnfinished(dir string) error {
	for name, reason := range map[string]error{restoringName: ErrUnfinished, backupList: ErrBackup} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return reason
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Restore makes a data folder of a backup. The folder must not exist or be empty. Every file is compared with the checksum that it had
// when the backup was made. After an error the folder is empty again; after a crash no server accepts it.
func Restore(ctx context.Context, backup, dir string) (info *BackupInfo, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %s into %s: %w", backup, dir, err)
		}
	}()
	if info, err = readBackupInfo(backup); err != nil {
		return nil, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := refuseUnfinished(dir); err != nil {
		return nil, err
	}
	if err := mustBeEmpty(dir); err != nil {
		return nil, err
	}
	restoring := filepath.Join(dir, restoringName)
	if err := writeSynced(restoring, nil); err != nil {
		return nil, err
	}
	if err := syncFolder(dir); err != nil {
		return nil, err
	}
	if err := info.copyTo(ctx, backup, dir); err != nil {
		for _, f := range info.Files {
			if e := os.Remove(filepath.Join(dir, f.Name)); e != nil && !errors.Is(e, fs.ErrNotExist) {
				return nil, errors.Join(err, e)
			}
		}
		return nil, errors.Join(err, os.Remove(restoring))
	}
	if err := syncFolder(dir); err != nil {
		return nil, err
	}
	if err := os.Remove(restoring); err != nil {
		return nil, err
	}
	return info, syncFolder(dir)
}

// readBackupInfo reads the list that makes a folder a backup.
func readBackupInfo(backup string) (*BackupInfo, error) {
	data, err := os.ReadFile(filepath.Join(backup, backupList))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("this is no complete backup: %w", err)
	}
	if err != nil {
		return nil, err
	}
	info := &BackupInfo{}
	if err := json.Unmarshal(data, info); err != nil {
		return nil, fmt.Errorf("read %s: %w", backupList, err)
	}
	if info.Format != backupFormat {
		return nil, fmt.Errorf("the backup has format %d, this program knows %d", info.Format, backupFormat)
	}
	for _, f := range info.Files {
		if f.Name != filepath.Base(f.Name) || !filepath.IsLocal(f.Name) || f.Name == "." || f.Name == restoringName || f.Name == lockName {
			return nil, fmt.Errorf("%s names the file %q", backupList, f.Name)
		}
	}
	return info, nil
}

func (info *BackupInfo) copyTo(ctx context.Context, backup, dir string) error {
	owner, err := os.Stat(dir)
	if err != nil {
		return err
	}
	// Root restores for the user of the server, to whom the folder belongs.
	stat, isUnix := owner.Sys().(*syscall.Stat_t)
	give := isUnix && os.Geteuid() == 0 && stat.Uid != 0
	for _, f := range info.Files {
		to := filepath.Join(dir, f.Name)
		sum, size, err := copyFile(ctx, filepath.Join(backup, f.Name), to)
		if err != nil {
			return err
		}
		if sum != f.SHA256 || size != f.Size {
			return fmt.Errorf("%s is damaged: it has %d bytes with the checksum %s, it should have %d with %s", f.Name, size, sum, f.Size, f.SHA256)
		}
		if give {
			if err := os.Chown(to, int(stat.Uid), int(stat.Gid)); err != nil {
				return err
			}
		}
	}
	if give {
		return os.Chown(filepath.Join(dir, lockName), int(stat.Uid), int(stat.Gid))
	}
	return nil
}
