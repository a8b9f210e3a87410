// Package page writes what the pages in docs/results have in common.
package page

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// busy is above which load, of the cores, a machine is taken to do other work.
const busy = 0.5

// Timed gives the facts of a run that measures rates or times, once the machine does nothing else: it waits for that as long as
// patience, as what was built just before is soon forgotten. If other work goes on, the facts say that the figures are not to be
// relied on.
func Timed(command string, patience time.Duration) string {
	for until := time.Now().Add(patience); isBusy() && time.Now().Before(until); time.Sleep(10 * time.Second) {
		fmt.Fprintf(os.Stderr, "waiting, the load is %s\n", load())
	}
	facts := Facts(command)
	if isBusy() {
		facts += "- doubt: **the machine did other work. Rates and times are not to be relied on, and have to be taken again; sizes are as they are**\n"
	}
	return facts
}

func isBusy() bool {
	average, err := strconv.ParseFloat(load(), 64)
	return err == nil && average > busy*float64(runtime.NumCPU())
}

// Facts say what figures were measured with, as the lines of a list in Markdown: the command as it can be typed again, the date (UTC),
// the commit, the machine and its load at this moment, the versions. They hold no name of a host and no path outside of the
// repository.
func Facts(command string) string {
	facts := []struct{ name, value string }{
		{"command", "`" + command + "`"},
		{"date", time.Now().UTC().Format("2006-01-02 15:04 MST")},
		{"commit", commit()},
		{"machine", fmt.Sprintf("%s, %d cores, %s of memory, Linux %s, load %s before",
			processor(), runtime.NumCPU(), memory(), kernel(), load())},
		{"built with", "Go " + strings.TrimPrefix(runtime.Version(), "go")},
	}
	var b strings.Builder
	for _, f := range facts {
		fmt.Fprintf(&b, "- %s: %s\n", f.name, f.value)
	}
	return b.String()
}

// commit is the one that is checked out, with -dirty after it where files differ from it. The pages themselves do not count: they
// change no figure, and one run writes several.
func commit() string {
	head, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown" // a source archive
	}
	commit := strings.TrimSpace(string(head))
	changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)README.md",
		":(top,exclude)docs/results").Output()
	if err != nil || len(changed) > 0 {
		commit += "-dirty"
	}
	return commit
}

var modelName = regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`)

func processor() string {
	if found := modelName.FindSubmatch(read("/proc/cpuinfo")); found != nil {
		return string(found[1])
	}
	return runtime.GOARCH
}

var memTotal = regexp.MustCompile(`(?m)^MemTotal:\s*(\d+) kB$`)

func memory() string {
	if found := memTotal.FindSubmatch(read("/proc/meminfo")); found != nil {
		if kilobytes, err := strconv.ParseFloat(string(found[1]), 64); err == nil {
			return fmt.Sprintf("%.0f GiB", kilobytes/(1<<20))
		}
	}
	return "unknown size"
}

func kernel() string {
	release, _, _ := strings.Cut(strings.TrimSpace(string(read("/proc/sys/kernel/osrelease"))), "-")
	return release
}

func load() string {
	average, _, _ := strings.Cut(string(read("/proc/loadavg")), " ")
	return average
}

// read gives nothing for what this machine does not tell.
func read(file string) []byte {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return data
}
