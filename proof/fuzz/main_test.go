package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const targets = `package a

import "testing"

func FuzzHolds(f *testing.F) {
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {})
}

func FuzzFails(f *testing.F) {
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 3 {
			t.Fatal("too long")
		}
	})
}
`

func TestRun(t *testing.T) {
	root := t.TempDir()
	create(t, filepath.Join(root, "go.mod"), "module example.com/fuzzed\n\ngo 1.25\n")
	create(t, filepath.Join(root, "a", "a_test.go"), targets)
	save := filepath.Join(root, "docs", "fuzz.md")
	r := run{root: root, time: "2000x", parallel: 1}
	err := r.all([]string{"a"}, save)
	if err == nil || err.Error() != "1 of 2 targets failed" {
		t.Errorf("the run ended with %v", err)
	}
	data, err := os.ReadFile(save)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, line := range []string{
		"- command: `make fuzz FUZZTIME=2000x`",
		`\| a \| FuzzHolds \| \d+s \| 2,\d\d\d \| \d+ \| \d+ \| 0 \| [1-9]\d* MB \|`,
		`\| a \| FuzzFails \| .* \| 1 \| [1-9]\d* MB \|`,
		"FuzzFails in a failed:",
		`.*too long`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(page) {
			t.Errorf("no line is %s:\n%s", line, page)
		}
	}
	if strings.Contains(page, root) {
		t.Errorf("a folder of this machine is in it:\n%s", page)
	}
	if inputs, _ := filepath.Glob(filepath.Join(root, "a", "testdata", "fuzz", "FuzzFails", "*")); len(inputs) != 1 {
		t.Errorf("the inputs that made it fail are %v", inputs)
	}
}

func TestRunOfNothingFails(t *testing.T) {
	root := t.TempDir()
	create(t, filepath.Join(root, "a", "a_test.go"), "package a\n")
	r := run{root: root, time: "1x", parallel: 1}
	if err := r.all([]string{"a"}, ""); err == nil {
		t.Error("there is no target, and no error")
	}
}

func create(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
