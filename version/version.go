// Package version says what this build is: the engine inside the Python package and tablestore-local tell it alike.
package version

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Version and Commit are set by setup.py with -ldflags -X: the version of the Python package, and the Git commit that was
// built, with "-dirty" after it where files differed from it.
var (
	Version string
	Commit  string
)

// String is one line for logs, bug reports and --version: "2.0.0 (commit 1f2e3d, go1.26.8, linux/amd64)". Builds by other
// means than setup.py tell what Go knows of itself.
func String() string {
	v, commit := Version, Commit
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" {
			v = strings.TrimPrefix(info.Main.Version, "v")
		}
		if commit == "" {
			commit = setting(info, "vcs.revision")
		}
	}
	if v == "" {
		v = "(devel)"
	}
	if commit == "" {
		commit = "unknown"
	}
	return v + " (commit " + commit + ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
