package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// target is a fuzz test.
type target struct {
	folder string // of its package, from the root
	name   string // FuzzX
}

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// find looks for the targets below the folders, in the order of their names.
func find(root string, folders []string) (targets []target, err error) {
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			in, err := filepath.Rel(root, filepath.Dir(path))
			for _, found := range declaration.FindAllSubmatch(source, -1) {
				targets = append(targets, target{in, string(found[1])})
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(targets, func(a, b target) int {
		return strings.Compare(a.folder+"\x00"+a.name, b.folder+"\x00"+b.name)
	})
	return targets, nil
}

// run says how targets run.
type run struct {
	root     string
	time     string
	parallel int
	under    []string

	binaries string // a folder of compiled tests, see binary
	cache    string // where Go keeps the interesting inputs of all packages
}

// result is what a target did. A failure is what it said when it did not hold.
type result struct {
	target
	executions, added, total int
	elapsed                  string
	peakBytes                int64 // resident memory of its largest process
	kept                     int   // inputs beside the target that made it fail, now or once
	failure                  string
}

func (r *run) binary(t target) string {
	return filepath.Join(r.binaries, strings.ReplaceAll(t.folder, string(filepath.Separator), ".")+".test")
}

// compile makes the test programs, with what guides the fuzzer compiled in.
func (r *run) compile(targets []target) (err error) {
	if r.root, err = filepath.Abs(r.root); err != nil {
		return err
	}
	out, err := r.golang("env", "GOCACHE")
	if err != nil {
		return err
	}
	r.cache = filepath.Join(strings.TrimSpace(out), "fuzz")
	if r.binaries, err = os.MkdirTemp("", "fuzz-"); err != nil {
		return err
	}
	for i, t := range targets {
		if i > 0 && targets[i-1].folder == t.folder {
			continue
		}
		if _, err := r.golang("test", "-c", "-fuzz", ".", "-o", r.binary(t), "./"+filepath.ToSlash(t.folder)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) golang(args ...string) (string, error) {
	name := os.Getenv("GO")
	if name == "" {
		name = "go"
	}
	command := exec.Command(name, args...)
	command.Dir = r.root
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, complaints.Bytes())
	}
	return out.String(), nil
}

// progress is a line that a target prints every few seconds and at its end.
var progress = regexp.MustCompile(`fuzz: elapsed: (\S+), execs: (\d+) \(\d+/sec\), new interesting: (\d+) \(total: (\d+)\)`)

// fuzz runs one target. That it fails is a result; an error is that it did not run.
func (r *run) fuzz(t target) (result, error) {
	importPath, err := r.golang("list", "./"+filepath.ToSlash(t.folder))
	if err != nil {
		return result{}, err
	}
	args := slices.Concat(r.under, []string{r.binary(t), "-test.run=^$", "-test.fuzz=^" + t.name + "$", "-test.fuzztime=" + r.time,
		"-test.parallel=" + strconv.Itoa(r.parallel), "-test.fuzzcachedir=" + filepath.Join(r.cache, strings.TrimSpace(importPath))})
	command := exec.Command(args[0], args[1:]...)
	command.Dir = filepath.Join(r.root, t.folder)
	var out bytes.Buffer
	fmt.Printf("%s in %s\n", t.name, t.folder)
	command.Stdout = io.MultiWriter(&out, os.Stdout)
	command.Stderr = command.Stdout
	err = command.Run()
	done := result{target: t}
	lines := progress.FindAllStringSubmatch(out.String(), -1)
	if len(lines) > 0 {
		last := lines[len(lines)-1]
		done.elapsed = last[1]
		for i, n := range []*int{&done.executions, &done.added, &done.total} {
			var e error
			if *n, e = strconv.Atoi(last[2+i]); e != nil {
				return done, e
			}
		}
	}
	if command.ProcessState != nil {
		// Of the processes that were waited for, the largest: the target runs in children of the one started here.
		done.peakBytes = command.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	}
	kept, globErr := filepath.Glob(filepath.Join(command.Dir, "testdata", "fuzz", t.name, "*"))
	if globErr != nil {
		return done, globErr
	}
	done.kept = len(kept)
	switch {
	case err != nil && strings.Contains(out.String(), "--- FAIL: "+t.name):
		done.failure = out.String()
	case err != nil:
		return done, fmt.Errorf("%w\n%s", err, out.Bytes())
	case done.executions == 0:
		return done, fmt.Errorf("it ran nothing\n%s", out.Bytes())
	}
	return done, nil
}
