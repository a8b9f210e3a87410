package local

import (
	"fmt"
	"os"
	"testing"

	results "github.com/PMExtra/sentry-tablestore/v2/bench/page"
)

// crashSave is the environment variable with the page that TestKill begins and TestPowerCut goes on with.
const crashSave = "TABLESTORE_CRASH_SAVE"

const crashHead = `# Kills and power cuts

Eight clients put, update and delete rows, on their own and in batches, half of the time rows that all of them write. The server is
ended at a random moment, started again on what is on its disk then, and all rows are compared: every acknowledged request must be
there, of one that was under way all or nothing, and nothing else. A power cut loses all or any part of what was not synced, blocks in
any order.

%s- result: nothing acknowledged was lost, nothing was half applied

| | Ends | of these at a start or a stop | Requests acknowledged | Rows compared | Requests under way at an end | of these applied |
|---|---:|---:|---:|---:|---:|---:|
`

// crashPage returns what writes a test's line of the page, if there is to be one. command begins the page.
func crashPage(t *testing.T, command string) func(what string, ends, edges int, k *killed) {
	path := os.Getenv(crashSave)
	facts := ""
	if path != "" && command != "" {
		facts = results.Facts(command)
	}
	return func(what string, ends, edges int, k *killed) {
		if path == "" || t.Failed() {
			return
		}
		mode := os.O_APPEND | os.O_WRONLY
		text := ""
		if command != "" {
			mode = os.O_TRUNC | os.O_CREATE | os.O_WRONLY
			text = fmt.Sprintf(crashHead, facts)
		}
		text += fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %d |\n", what, ends, edges, k.acknowledged(), k.checked, k.open, k.applied)
		f, err := os.OpenFile(path, mode, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(text)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
