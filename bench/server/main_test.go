package main

import (
	"bytes"
	"compress/flate"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestSmallRun measures little and looks for every figure on the page.
func TestSmallRun(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tablestore-local")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/tablestore-local").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	p := plan{program: path, dir: filepath.Join(dir, "data"), rows: 1001, rounds: 2, span: 100 * time.Millisecond, settle: time.Minute}
	save := filepath.Join(dir, "docs", "server.md")
	var out bytes.Buffer
	if err := p.run(t.Context(), "- command: `make bench-server`\n", &out, save); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(save)
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	if page != out.String() {
		t.Error("what is saved is not what was printed")
	}
	const number, length, size = `[1-9][\d,]*`, `[\d.]+ (µs|ms)`, `[1-9][\d,]* MB`
	for _, line := range []string{
		"- command: `make bench-server`",
		"PutRow of 1,024 bytes.* " + number + " times a second.*",
		`\| 1 \| ` + number + ` \| [\d.]+ × \| 1\.0 \| ` + length + ` \| ` + length + ` \| ` + length + ` \|`,
		`\| 128 \| ` + number + ` \| [\d.]+ × \| [\d.]+ \| ` + length + ` \| ` + length + ` \| ` + length + ` \|`,
		"## 1,001 rows",
		"Loaded by BatchWriteRow .*: " + number + " rows/s, " + number + " MB/s .*",
		`\| after the load \| ` + size + ` \| [\d.]+ \| ` + size + ` \| ` + size + ` \|`,
		`\| settled, \d+ s later \| ` + size + ` .*`,
		`\| after all reads \| .* ` + size + ` \|`,
		`\| 1 \| there \| ` + number + ` \| ` + length + ` \| ` + length + ` \| ` + length + ` \|`,
		`\| 64 \| missing \| ` + number + ` \| ` + length + ` \| ` + length + ` \| ` + length + ` \|`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(page) {
			t.Errorf("no line is %s", line)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
	if strings.Contains(page, dir) {
		t.Error("a folder of this machine is on the page")
	}
	if left, _ := os.ReadDir(p.dir); len(left) > 0 {
		t.Errorf("it left %s", left[0].Name())
	}
}

func TestHalfOfAValueCanBeCompressedAway(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		_, _ = w.Write(rowValue(nil, i))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if share := float64(packed.Len()) / (100 * rowBytes); share < 0.5 || share > 0.55 {
		t.Errorf("%.2f of the values are left", share)
	}
	if bytes.Equal(rowValue(nil, 1), rowValue(nil, 2)) || rowKey(1) == rowKey(2) {
		t.Error("two rows are alike")
	}
}

func TestQuantile(t *testing.T) {
	s := sample{}
	for i := range 200 {
		s.times = append(s.times, time.Duration(i))
	}
	if s.quantile(0.5) != 100 || s.quantile(0.99) != 198 || s.quantile(1) != 199 {
		t.Errorf("the quantiles are %d, %d, %d", s.quantile(0.5), s.quantile(0.99), s.quantile(1))
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("the median is %g", m)
	}
}
