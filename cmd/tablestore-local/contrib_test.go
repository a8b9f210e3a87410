package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func contrib(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "contrib", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestSystemdUnit checks the unit's command against the program's flags, what the two say about stopping, and, where systemd is
// installed, the unit as a whole. No systemd runs it here.
func TestSystemdUnit(t *testing.T) {
	unit := contrib(t, "tablestore-local.service")
	credentials := t.TempDir()
	if err := os.WriteFile(filepath.Join(credentials, "access-key-secret"), []byte("the secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TABLESTORE_LOCAL_ACCESS_KEY_ID", "id")
	t.Setenv("TABLESTORE_LOCAL_ACCESS_KEY_SECRET", "")
	m := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/tablestore-local (.*)$`).FindStringSubmatch(unit)
	if m == nil {
		t.Fatal("no ExecStart")
	}
	args := strings.Fields(strings.NewReplacer("%S", "/var/lib", "%d", credentials, "$EXTRA_FLAGS", "--max-bytes 1000000000").Replace(m[1]))
	c, err := parse(args, io.Discard)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	if c.AccessKeySecret != "the secret" || c.Dir != "/var/lib/tablestore-local" || c.MaxBytes != 1e9 || !loopback(c.metricsListen) {
		t.Errorf("%q give %q %q", args, c.Dir, c.AccessKeySecret)
	}
	if !strings.Contains(unit, "\nTimeoutStopSec=60\n") || c.stopTimeout+closeTimeout >= time.Minute {
		t.Errorf("systemd would kill the server before its timeout of %s", c.stopTimeout)
	}
	head, _, _ := strings.Cut(unit, "\n[Service]\n")
	if !strings.Contains(head, "\nStartLimitIntervalSec=0\n") || !strings.Contains(unit, "\nRestart=on-failure\n") {
		t.Error("systemd would give up after some starts on a full disk")
	}

	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not there")
		return
	}
	program, err := programPath()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tablestore-local.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(unit, "/usr/local/bin/tablestore-local", program)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestContainerfile checks the commands of the image against the program's. No engine builds it here.
func TestContainerfile(t *testing.T) {
	file := contrib(t, "Containerfile")
	t.Setenv("TABLESTORE_LOCAL_ACCESS_KEY_ID", "id")
	t.Setenv("TABLESTORE_LOCAL_ACCESS_KEY_SECRET", "secret")
	command := func(instruction string) (args []string) {
		t.Helper()
		m := regexp.MustCompile(`(?m)^` + instruction + `.*?(\[.*\])$`).FindStringSubmatch(file)
		if m == nil {
			t.Fatalf("no %s", instruction)
		}
		if err := json.Unmarshal([]byte(m[1]), &args); err != nil || args[0] != "/usr/local/bin/tablestore-local" {
			t.Fatalf("%s: %v", m[1], err)
		}
		return args[1:]
	}
	c, err := parse(command("ENTRYPOINT"), io.Discard)
	if err != nil || c.Dir != "/data" {
		t.Errorf("ENTRYPOINT: %v", err)
	}
	check := command("HEALTHCHECK")
	if dir, _, err := folderCommand("health", "", check[1:], io.Discard); err != nil || check[0] != "health" || dir != "/data" {
		t.Errorf("HEALTHCHECK: %q, %v", check, err)
	}
	for _, m := range regexp.MustCompile(`(?m)^COPY (go\.mod) (go\.sum) .*$|^COPY (cmd|local|tablestore|version) .*$`).FindAllStringSubmatch(file, -1) {
		for _, name := range m[1:] {
			if _, err := os.Stat(filepath.Join("..", "..", name)); err != nil {
				t.Error(err)
			}
		}
	}
}
