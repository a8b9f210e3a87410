package page

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestFactsSayAllAndNoMore(t *testing.T) {
	facts := Facts("make it")
	for _, line := range []string{
		"- command: `make it`",
		`- date: \d{4}-\d\d-\d\d \d\d:\d\d UTC`,
		`- commit: ([0-9a-f]{7,}(-dirty)?|unknown)`,
		`- machine: .+, \d+ cores, \d+ GiB of memory, Linux \d+\.[0-9.]+, load \d+\.\d+ before`,
		`- built with: Go \d.*`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(facts) {
			t.Errorf("no line is %s:\n%s", line, facts)
		}
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(facts, host) {
		t.Errorf("the name of the host is in it:\n%s", facts)
	}
}
