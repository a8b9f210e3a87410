// Command fuzz runs every fuzz target of the repository for a time and writes down what came of it: `make fuzz`.
//
// Targets are compiled first, so that the memory that is measured is theirs and not the compiler's. What they find goes where
// `go test -fuzz` puts it: interesting inputs into Go's cache, from which the next run goes on, and an input that makes a target
// fail into testdata/fuzz beside it, where it is a test case from then on.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/PMExtra/sentry-tablestore/v2/bench/page"
)

func main() {
	r := run{root: "."}
	flag.StringVar(&r.time, "time", "60s", "how `long` each target runs, or how often as in 1000x")
	flag.IntVar(&r.parallel, "parallel", 2, "how many `processes` run a target")
	under := flag.String("under", "", "a `command` that starts each target, such as 'flock FILE' on a shared machine")
	save := flag.String("save", "", "the `file` to write the results to as well")
	flag.Parse()
	r.under = strings.Fields(*under)
	if err := r.all(flag.Args(), *save); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// all runs the targets below the folders.
func (r *run) all(folders []string, save string) error {
	facts := page.Facts("make fuzz FUZZTIME=" + r.time)
	targets, err := find(r.root, folders)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("no fuzz targets in %s", strings.Join(folders, ", "))
	}
	if err := r.compile(targets); err != nil {
		return err
	}
	defer os.RemoveAll(r.binaries)
	var results []result
	failed := 0
	for _, t := range targets {
		result, err := r.fuzz(t)
		if err != nil {
			return fmt.Errorf("%s in %s: %w", t.name, t.folder, err)
		}
		if result.failure != "" {
			failed++
		}
		results = append(results, result)
	}
	text := write(facts, r, results)
	fmt.Print("\n", text)
	if save != "" {
		err = errors.Join(os.MkdirAll(filepath.Dir(save), 0o755), os.WriteFile(save, []byte(text), 0o644))
	}
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d targets failed", failed, len(targets)))
	}
	return err
}
