// Command server measures tablestore-local as its users meet it: the program in a process of its own with its data on disk and its
// defaults, clients over TCP. `make bench-server`, or `go run ./bench/server -rows 20000 -seconds 1` for a glance.
//
//	go run ./bench/server -rows 1000000 -seconds 10 -save docs/results/server.md
//
// Clients and server share the machine: a rate is what both together reach, and the server's CPU is told beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/bench/page"
)

// plan is what is measured.
type plan struct {
	program string        // path of tablestore-local
	dir     string        // where folders for data are made
	rows    int           // that are loaded
	rounds  int           // of synced writes
	span    time.Duration // of each measurement
	settle  time.Duration // that the background work may take at most
}

func main() {
	p := plan{settle: 3 * time.Minute}
	flag.StringVar(&p.program, "program", "build/tablestore-local", "the `path` of tablestore-local")
	flag.StringVar(&p.dir, "dir", "build", "the `folder`, on the disk to measure, for the data; what is made there is removed again")
	flag.IntVar(&p.rows, "rows", 1_000_000, "`how many` rows of 3,000 bytes are loaded and read")
	flag.IntVar(&p.rounds, "rounds", 5, "`rounds` of synced writes, each beside the device's own syncs")
	seconds := flag.Float64("seconds", 5, "`how long` each single measurement takes")
	save := flag.String("save", "", "the `file` to write the results to as well")
	flag.Parse()
	p.span = time.Duration(*seconds * float64(time.Second))
	if flag.NArg() > 0 || p.rows < 1 || p.rounds < 1 || p.span <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	command := fmt.Sprintf("make bench-server BENCH_ROWS=%d BENCH_ROUNDS=%d BENCH_SECONDS=%g", p.rows, p.rounds, *seconds)
	facts := page.Timed(command, 3*time.Minute)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := p.run(ctx, facts, os.Stdout, *save); err != nil {
		fmt.Fprintln(os.Stderr, "bench/server:", err)
		os.Exit(1)
	}
}

// run measures everything and writes the page, which opens with the facts.
func (p *plan) run(ctx context.Context, facts string, out io.Writer, save string) (err error) {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(p.dir, "bench-server-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	commits, err := p.measureCommits(ctx, dir)
	if err != nil {
		return fmt.Errorf("synced writes: %w", err)
	}
	rows, err := p.measureRows(ctx, dir)
	if err != nil {
		return fmt.Errorf("%d rows: %w", p.rows, err)
	}
	text := write(facts, p, commits, rows)
	if _, err := io.WriteString(out, text); err != nil || save == "" {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(save), 0o755), os.WriteFile(save, []byte(text), 0o644))
}
