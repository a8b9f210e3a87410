package proof

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/bench/page"
)

// savePage names the file into which a run of the matrix writes what it counted; "" for none.
const savePage = "TABLESTORE_CHAOS_SAVE"

// counts are those of the cases of one fault.
type counts struct{ cases, calls, raised int }

// tally counts the cases of a run.
type tally struct {
	facts string // of the time before it
	began time.Time

	mu       sync.Mutex
	faults   []string // in the order in which their first calls ended
	of       map[string]*counts
	latest   measured // how long after its deadline a call ended
	recovery measured // the first call after a fault
	another  int      // cases in which that failed, and a later one worked
}

// measured is the longest time of its kind, and the case that it is of.
type measured struct {
	took time.Duration
	name string
}

func (m *measured) note(took time.Duration, name string) {
	if took > m.took {
		m.took, m.name = took, strings.TrimPrefix(name, "TestFaultMatrix/cases/")
	}
}

func (m measured) String() string {
	if m.name == "" {
		return "0s"
	}
	return fmt.Sprintf("%v (%s)", m.took.Round(time.Millisecond), m.name)
}

func newTally() *tally {
	t := &tally{began: time.Now(), of: map[string]*counts{}}
	if os.Getenv(savePage) != "" {
		t.facts = page.Facts("make chaos")
	}
	return t
}

// called notes a call under a fault, which ended so long after its deadline.
func (t *tally) called(fault, name string, err error, late time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts(fault)
	c.calls++
	if err != nil {
		c.raised++
	}
	t.latest.note(late, name)
}

// recovered notes a case that ended well.
func (t *tally) recovered(fault, name string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts(fault).cases++
	t.recovery.note(took, name)
}

// needsAnother notes that the first call after a fault failed.
func (t *tally) needsAnother() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.another++
}

func (t *tally) counts(fault string) *counts {
	if t.of[fault] == nil {
		t.of[fault] = &counts{}
		t.faults = append(t.faults, fault)
	}
	return t.of[fault]
}

func (t *tally) String() string {
	var sum counts
	for _, c := range t.of {
		sum.cases, sum.calls, sum.raised = sum.cases+c.cases, sum.calls+c.calls, sum.raised+c.raised
	}
	return fmt.Sprintf("%d cases, %s calls under faults, %s of them raised; the latest end after a deadline: %v; the longest first call after a fault: %v, "+
		"which failed in %d cases",
		sum.cases, page.Number(sum.calls), page.Number(sum.raised), t.latest, t.recovery, t.another)
}

// save writes the page of a run, where one is asked for.
func (t *tally) save(passed bool) error {
	file := os.Getenv(savePage)
	if file == "" {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Fault matrix\n\nEach of %d operations under each fault that can meet it. What a call acknowledged is there afterwards, what it raised is old or new and\n"+
		"never anything else, nothing that exists is reported missing, each call ends by its deadline (and %v for a machine whose cores the cases\n"+
		"share), and after the fault the same client works again. `proof/chaos_test.go` says what each fault must lead to.\n\n", len(operations), overrun)
	b.WriteString(t.facts)
	result := "passed"
	if !passed {
		result = "**failed**"
	}
	fmt.Fprintf(&b, "- time: %v\n- result: %s\n\n%v.\n\n", time.Since(t.began).Round(time.Second), result, t)
	b.WriteString("| Fault | Operations that went through it | Calls | of which raised |\n|---|--:|--:|--:|\n")
	for _, fault := range t.faults {
		c := t.of[fault]
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", fault, c.cases, page.Number(c.calls), page.Number(c.raised))
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
