package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/bench/page"
)

const introduction = `# How fast tablestore-local is

The program with its defaults, so that every write is on disk when it is answered, and clients of this project's engine in another
process on the same machine, over TCP: the two share its cores.

`

// write puts the results into Markdown.
func write(facts string, p *plan, c *commits, r *rows) string {
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString(facts)
	c.write(&b, p)
	r.write(&b, p)
	return b.String()
}

func (c *commits) write(b *strings.Builder, p *plan) {
	device := median(c.device)
	fmt.Fprintf(b, "\n## Synced writes\n\nPutRow of %s bytes. The device alone, one writer that appends %s bytes and calls `fdatasync`: "+
		"%s times a second. The medians of %d rounds, of the ratio too; a round measures the device and then the clients, for %s each.\n\n",
		page.Number(commitBytes), page.Number(commitBytes), page.Number(int(device)), p.rounds, p.span)
	b.WriteString("| Clients | Writes/s | beside the device | Writes a sync | p50 | p99 | Server's CPU a write |\n|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, clients := range commitClients {
		runs := c.rounds[clients]
		of := func(f func(i int) float64) float64 {
			all := make([]float64, len(runs))
			for i := range runs {
				all[i] = f(i)
			}
			return median(all)
		}
		duration := func(f func(i int) time.Duration) time.Duration {
			return time.Duration(of(func(i int) float64 { return float64(f(i)) }))
		}
		fmt.Fprintf(b, "| %d | %s | %.2f × | %.1f | %s | %s | %s |\n", clients,
			page.Number(int(of(func(i int) float64 { return runs[i].rate() }))),
			of(func(i int) float64 { return runs[i].rate() / c.device[i] }),
			of(func(i int) float64 { return float64(runs[i].calls) / max(runs[i].syncs, 1) }),
			short(duration(func(i int) time.Duration { return runs[i].quantile(0.5) })),
			short(duration(func(i int) time.Duration { return runs[i].quantile(0.99) })),
			short(duration(func(i int) time.Duration { return runs[i].cpuEach() })))
	}
}

func (r *rows) write(b *strings.Builder, p *plan) {
	raw := int64(p.rows) * rowBytes
	fmt.Fprintf(b, "\n## %s rows\n\nValues of %s bytes, runs of %d random bytes and of %d that are the same everywhere in turns, so that "+
		"half of a value can be compressed away; keys of 32 hex digits in no order.\n\n", page.Number(p.rows), page.Number(rowBytes), runBytes, runBytes)
	seconds := r.load.elapsed.Seconds()
	fmt.Fprintf(b, "Loaded by BatchWriteRow with %d rows a request and %d clients: %s rows/s, %.0f MB/s of values, %.1f s in all; "+
		"p50 %s, p99 %s a request; the server's CPU %s a row.\n\n", loadBatch, loadClients,
		page.Number(int(float64(p.rows)/seconds)), float64(raw)/1e6/seconds, seconds, short(r.load.quantile(0.5)), short(r.load.quantile(0.99)),
		short(r.load.cpu/time.Duration(p.rows)))
	fmt.Fprintf(b, "| | Folder on disk | of the values' %s | Server's memory | its peak |\n|---|--:|--:|--:|--:|\n", megabytes(raw))
	line := func(when string, size int64, m memory) {
		folder, share := "", ""
		if size > 0 {
			folder, share = megabytes(size), fmt.Sprintf("%.2f", float64(size)/float64(raw))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", when, folder, share, megabytes(m.now), megabytes(m.peak))
	}
	line("empty", 0, r.empty)
	line("after the load", r.sizeLoaded, r.loaded)
	line(fmt.Sprintf("settled, %.0f s later", r.settle.Seconds()), r.sizeSettled, r.quiet)
	line("after all reads", 0, r.end)
	fmt.Fprintf(b, "\nOf the folder, %s are data; the rest is the log, what it is overwritten in, and the ballast of up to 64 MB.\n\n", megabytes(r.ofSettled))
	b.WriteString("GetRow of random rows, each compared with what was written, and of rows that are not there. The folder is in the operating\n" +
		"system's cache to the extent that its memory allows.\n\n")
	b.WriteString("| Clients | Rows | Reads/s | p50 | p99 | Server's CPU a read |\n|--:|---|--:|--:|--:|--:|\n")
	for i, clients := range readClients {
		for _, of := range []struct {
			what string
			*sample
		}{{"there", r.existing[i]}, {"missing", r.missing[i]}} {
			fmt.Fprintf(b, "| %d | %s | %s | %s | %s | %s |\n", clients, of.what, page.Number(int(of.rate())), short(of.quantile(0.5)),
				short(of.quantile(0.99)), short(of.cpuEach()))
		}
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[n/2] + sorted[(n-1)/2]) / 2
}

// short writes a time with three digits at most.
func short(d time.Duration) string {
	if d < time.Millisecond {
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
	return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
}

func megabytes(n int64) string { return page.Number(int((n+500_000)/1_000_000)) + " MB" }
