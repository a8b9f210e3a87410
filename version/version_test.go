package version

import (
	"regexp"
	"runtime"
	"testing"
)

func TestStringTellsWhatTheBuilderSet(t *testing.T) {
	defer func(v, c string) { Version, Commit = v, c }(Version, Commit)
	Version, Commit = "2.0.0", "1f2e3d"
	want := "2.0.0 (commit 1f2e3d, " + runtime.Version() + ", linux/" + runtime.GOARCH + ")"
	if got := String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStringIsCompleteWithoutABuilder(t *testing.T) {
	defer func(v, c string) { Version, Commit = v, c }(Version, Commit)
	Version, Commit = "", ""
	if got := String(); !regexp.MustCompile(`^\S+ \(commit \S+, go\S+, \w+/\w+\)$`).MatchString(got) {
		t.Errorf("got %q", got)
	}
}
