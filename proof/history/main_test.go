package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shownTwice is a killed write that takes effect twice, in a history in which another one was sent twice.
const shownTwice = `i 1 k set a 1
i 2 other set c 1
r 2 ok 2 2
i 3 k get - 3
r 3 a 1 4
i 4 k set b 5
r 4 ok 1 6
i 5 k get - 7
r 5 a 1 8`

func TestCheckerFindsWhatItMust(t *testing.T) {
	cases := map[string]struct {
		lines string
		wrong string // part of the error, "" for none
	}{
		"sound": {`i 1 k set a 1
r 1 ok 1 2
i 2 k get - 3
r 2 a 1 4
i 3 k delete - 5
r 3 ok 1 6
i 4 k get - 7
r 4 none 1 8`, ""},
		"lost write": {`i 1 k set a 1
r 1 ok 1 2
i 2 k get - 3
r 2 none 1 4`, "no order"},
		"value of nobody": {`i 1 k set a 1
r 1 ok 1 2
i 2 k get - 3
r 2 b 1 4`, "no order"},
		"torn value": {`i 1 k set a 1
r 1 ok 1 2
i 2 k get - 3
r 2 torn 1 4`, "nobody wrote"},
		"resurrection": {`i 1 k set a 1
r 1 ok 1 2
i 2 k delete - 3
r 2 ok 1 4
i 3 k get - 5
r 3 none 1 6
i 4 k get - 7
r 4 a 1 8`, "no order"},
		"overwritten value comes back": {`i 1 k set a 1
r 1 ok 1 2
i 2 k set b 3
r 2 ok 1 4
i 3 k get - 5
r 3 a 1 6`, "no order"},
		"raised write shows late": {`i 1 k set a 1
r 1 error 1 2
i 2 k get - 3
r 2 none 1 4
i 3 k get - 5
r 3 a 1 6
i 4 k set b 7
r 4 ok 1 8`, ""},
		"killed write never shows": {`i 1 k set a 1
i 2 k set b 3
r 2 ok 1 4
i 3 k get - 5
r 3 b 1 6`, ""},
		"repeated write shows twice before its end": {`i 1 k set a 1
i 2 k set b 2
r 2 ok 1 3
i 3 k get - 4
r 3 a 1 5
i 4 k set b2 6
r 4 ok 1 7
i 5 k get - 8
r 5 a 1 9
r 1 ok 2 10`, ""},
		"but not after it": {`i 1 k set a 1
r 1 ok 2 2
i 2 k set b 3
r 2 ok 1 4
i 3 k get - 5
r 3 a 1 6`, "no order"},
		"but a request that was given up may come late": {`i 1 k set a 1
r 1 ok 2 2000000001
i 2 k set b 2000000002
r 2 ok 1 2000000003
i 3 k get - 2000000004
r 3 a 1 2000000005`, ""},
		"and only what it wrote": {`i 1 k set a 1
r 1 ok 2 2000000001
i 2 k set b 2000000002
r 2 ok 1 2000000003
i 3 k get - 2000000004
r 3 none 1 2000000005`, "no order"},
		"killed write shows twice, as another was sent twice": {shownTwice, ""},
		"but not three times": {shownTwice + `
i 6 k set b2 9
r 6 ok 1 10
i 7 k get - 11
r 7 a 1 12`, "no order"},
		"nothing":          {"i 1 k get - 1", "nothing to check"},
		"a line cut short": {"i 1 k", "line 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "calls")
			if err := os.WriteFile(path, []byte(c.lines+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := run([]string{path})
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("error %v, want one with %q", err, c.wrong)
			}
		})
	}
}
