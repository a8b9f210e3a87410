package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"github.com/PMExtra/sentry-tablestore/v2/local"
)

// start runs the program until stop is called, and returns the address from its one line.
func start(t *testing.T, args ...string) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := run(ctx, append(args, "--listen", "127.0.0.1:0", "--access-key-id", "id"), w, io.Discard)
		_ = w.CloseWithError(err)
		done <- err
	}()
	line := make([]byte, 200)
	n, err := r.Read(line)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	m := regexp.MustCompile(`^tablestore-local: serving instance (\w+) at (http://127\.0\.0\.1:\d+)\n$`).FindStringSubmatch(string(line[:n]))
	if m == nil {
		t.Errorf("it printed %q", line[:n])
	}
	return m[2], func() error { cancel(); return <-done }
}

func TestServeAndStop(t *testing.T) {
	t.Setenv("TABLESTORE_LOCAL_ACCESS_KEY_SECRET", "secret")
	dir := filepath.Join(t.TempDir(), "data")
	for i := range 2 {
		url, stop := start(t, "--data", dir, "--faults")
		c := tablestore.NewClient(url, "sentry", "id", "secret")
		if i == 0 {
			req := &tablestore.CreateTableRequest{TableMeta: &tablestore.TableMeta{TableName: "t"},
				TableOption: tablestore.NewTableOption(-1, 1), ReservedThroughput: &tablestore.ReservedThroughput{}}
			req.TableMeta.AddPrimaryKeyColumn("id", tablestore.PrimaryKeyType_STRING)
			req.TableOption.DeviationCellVersionInSec = 86400
			if _, err := c.CreateTable(req); err != nil {
				t.Fatal(err)
			}
		}
		if l, err := c.ListTable(); err != nil || len(l.TableNames) != 1 {
			t.Errorf("tables %v, %v", l, err)
		}
		if response, err := http.Get(url + "/_faults"); err != nil || response.StatusCode != 200 {
			t.Errorf("/_faults: %v, %v", response, err)
		} else {
			_ = response.Body.Close()
		}
		err := run(context.Background(), []string{"--data", dir, "--listen", "127.0.0.1:0", "--access-key-id", "id"}, io.Discard, io.Discard)
		if !errors.Is(err, local.ErrLocked) {
			t.Errorf("a second server on the folder: %v", err)
		}
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Setenv("TABLESTORE_LOCAL_ACCESS_KEY_ID", "")
	t.Setenv("TABLESTORE_LOCAL_ACCESS_KEY_SECRET", "")
	keys := []string{"--access-key-id", "a", "--access-key-secret", "b"}
	for want, args := range map[string][]string{
		"give either --data or --memory":                       keys,
		"give either --data or --memory ":                      append([]string{"--memory", "--data", "x"}, keys...),
		"--access-key-id or TABLESTORE_LOCAL_ACCESS_KEY_ID":    {"--memory"},
		"--access-key-secret or TABLESTORE_LOCAL_ACCESS_KEY_S": {"--memory", "--access-key-id", "a"},
		"--instance must not be empty":                         append([]string{"--memory", "--instance", ""}, keys...),
		"--clock-skew must not be 0":                           append([]string{"--memory", "--clock-skew", "0"}, keys...),
		"unexpected argument \"more\"":                         append(append([]string{"--memory"}, keys...), "more"),
		"flag provided but not defined: -nothing":              {"--nothing"},
		"--faults needs a loopback address":                    append([]string{"--memory", "--faults", "--listen", "0.0.0.0:1"}, keys...),
		"--faults needs a loopback address ":                   append([]string{"--memory", "--faults", "--listen", ":1"}, keys...),
	} {
		err := run(context.Background(), args, io.Discard, io.Discard)
		if !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%v: %v", args, err)
		}
	}
	var out bytes.Buffer
	if err := run(context.Background(), []string{"--version"}, &out, io.Discard); err != nil || !regexp.MustCompile(`^tablestore-local \S+ \(commit \S+, go\S+, linux/\w+\)\n$`).MatchString(out.String()) {
		t.Errorf("--version: %q, %v", out.String(), err)
	}
	if err := run(context.Background(), []string{"--help"}, &out, &out); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-data folder") {
		t.Errorf("--help: %v\n%s", err, out.String())
	}
	if err := run(context.Background(), append([]string{"--memory", "--listen", "999.1.1.1:x"}, keys...), &out, io.Discard); err == nil {
		t.Error("an address that does not exist was accepted")
	}
}

func TestFolderCommands(t *testing.T) {
	t.Setenv("TABLESTORE_LOCAL_ACCESS_KEY_SECRET", "secret")
	dir := filepath.Join(t.TempDir(), "data")
	var out bytes.Buffer
	command := func(args ...string) error {
		out.Reset()
		return run(context.Background(), args, &out, io.Discard)
	}
	_, stop := start(t, "--data", dir)
	if err := command("health", "--data", dir); err != nil || out.String() != "ok\n" {
		t.Errorf("health: %q, %v", out.String(), err)
	}
	backup, restored := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	if err := command("backup", "--data", dir, backup); err != nil || !strings.Contains(out.String(), "0 tables, 0 rows") {
		t.Errorf("backup: %q, %v", out.String(), err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := command("health", "--data", dir); err == nil {
		t.Error("a stopped server is healthy")
	}
	if err := command("restore", "--data", restored, backup); err != nil || !strings.HasPrefix(out.String(), "tablestore-local: restored") {
		t.Errorf("restore: %q, %v", out.String(), err)
	}
	_, stop = start(t, "--data", restored)
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"backup", backup}, {"backup", "--data", dir}, {"restore", "--data", dir, "a", "b"}, {"health"}, {"health", "--data", dir, "x"}, {"restore", "--nothing"}} {
		if err := command(args...); !errors.As(err, new(usageError)) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// A client that sends or takes nothing must not hold a connection for ever.
func TestNoWaitIsEndless(t *testing.T) {
	p := &program{config: &config{}, log: slog.New(slog.DiscardHandler)}
	h := p.httpServer(http.NotFoundHandler())
	for name, d := range map[string]time.Duration{"header": h.ReadHeaderTimeout, "read": h.ReadTimeout, "write": h.WriteTimeout, "idle": h.IdleTimeout} {
		if d <= 0 || d > 10*time.Minute {
			t.Errorf("%s: %v", name, d)
		}
	}
}
