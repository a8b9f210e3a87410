package local

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestMissingFoldersAreMade(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"a/b/c", "a/b/c", "d", filepath.Join(t.TempDir(), "e", "f")} {
		if err := makeFolder(dir); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
	if err := errors.Join(os.MkdirAll("other/deep", 0o700), os.Symlink("other/deep", "link"), makeFolder("link/../data/x")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("other/data/x"); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := makeFolder("file/below"); err == nil {
		t.Error("a folder was made below a file")
	}
}
