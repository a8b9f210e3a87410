package main

import (
	"fmt"
	"strings"

	"github.com/PMExtra/sentry-tablestore/v2/bench/page"
)

const introduction = `# Fuzzing

Every fuzz target of the Go code, run by one command. A target fails when the code panics or hangs, when an invariant that its comment
names does not hold, or, in the local server, when it allocates more than in proportion to its input. Inputs that made a target fail
once are kept in testdata beside it, and every run of the tests tries them again.

`

// write puts the results into Markdown.
func write(facts string, r *run, results []result) string {
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString(facts)
	fmt.Fprintf(&b, "- each target: %s, %d processes\n\n", r.time, r.parallel)
	b.WriteString("| Package | Target | Time | Executions | New interesting inputs | In all | Kept failures | Peak memory of a process |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|\n")
	executions := 0
	for _, x := range results {
		executions += x.executions
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d | %d MB |\n", x.folder, x.name, x.elapsed, page.Number(x.executions), page.Number(x.added),
			page.Number(x.total), x.kept, (x.peakBytes+500_000)/1_000_000)
	}
	fmt.Fprintf(&b, "\n%s executions. ", page.Number(executions))
	failures := 0
	for _, x := range results {
		if x.failure != "" {
			failures++
			fmt.Fprintf(&b, "\n\n%s in %s failed:\n\n```\n%s\n```\n", x.name, x.folder, failureOf(x.failure))
		}
	}
	if failures == 0 {
		b.WriteString("No target failed.\n")
	}
	return b.String()
}

// failureOf is what a target said from its failure on, without the folders of this machine.
func failureOf(output string) string {
	_, failure, _ := strings.Cut(output, "--- FAIL: ")
	lines := strings.Split(strings.TrimSpace("--- FAIL: "+failure), "\n")
	kept := lines[:0]
	for _, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "/") { // a place in the source, of a trace
			continue
		}
		kept = append(kept, strings.TrimRight(line, " "))
	}
	return strings.Join(kept, "\n")
}
