package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

var programPath = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "tablestore-local-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tablestore-local")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := programPath(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is the program on its own, for what concerns signals.
type process struct {
	*exec.Cmd
	url, metrics string
	log          *os.File
}

func startProcess(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	path, err := programPath()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(path, append(args, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")...)}
	p.Env = append(append(os.Environ(), "TABLESTORE_LOCAL_ACCESS_KEY_ID=id", "TABLESTORE_LOCAL_ACCESS_KEY_SECRET=secret"), env...)
	if p.log, err = os.Create(filepath.Join(t.TempDir(), "log")); err != nil {
		t.Fatal(err)
	}
	p.Stderr = p.log
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait(); _ = p.log.Close() }) // long gone unless the test failed
	lines := bufio.NewReader(out)
	for _, url := range []*string{&p.url, &p.metrics} {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("it did not start: %v\n%s", err, p.logged(t))
		}
		*url = strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:])
	}
	return p
}

func (p *process) logged(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(p.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// get fetches a page of the metrics' address.
func (p *process) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	response, err := http.Get(strings.TrimSuffix(p.metrics, "/metrics") + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func (p *process) signal(t *testing.T) {
	t.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// slowList starts a request that the server takes its time for, and returns how it ended.
func (p *process) slowList(t *testing.T, delay string) <-chan error {
	t.Helper()
	response, err := http.Post(p.url+"/_faults", "", strings.NewReader(`[{"operation": "ListTable", "delay_ms": `+delay+`}]`))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	_ = response.Body.Close()
	ended := make(chan error, 1)
	go func() {
		client := tablestore.NewClientWithConfig(p.url, "sentry", "id", "secret", "", &tablestore.TableStoreConfig{
			HTTPTimeout: tablestore.HTTPTimeout{ConnectionTimeout: time.Second, RequestTimeout: time.Minute}})
		_, err := client.ListTable()
		ended <- err
	}()
	eventually(t, "the request runs", func() bool {
		_, body := p.get(t, "/metrics")
		return strings.Contains(body, "\ntablestore_local_requests_in_flight 1\n")
	})
	return ended
}

func TestMetricsPage(t *testing.T) {
	p := startProcess(t, nil, "--memory")
	if _, err := tablestore.NewClient(p.url, "sentry", "id", "secret").ListTable(); err != nil {
		t.Fatal(err)
	}
	status, body := p.get(t, "/metrics")
	for _, line := range []string{
		"\n# TYPE tablestore_local_requests_total counter\n", "\n# TYPE tablestore_local_request_duration_seconds histogram\n",
		"\ntablestore_local_requests_total{code=\"\",operation=\"ListTable\",status=\"200\"} 1\n",
		"\ntablestore_local_request_duration_seconds_bucket{operation=\"ListTable\",le=\"+Inf\"} 1\n",
		"\ntablestore_local_healthy 1\n", "\nprocess_resident_memory_bytes ", "\ngo_goroutines ", "\ngo_build_info{",
	} {
		if status != 200 || !strings.Contains(body, line) {
			t.Errorf("status %d, no %q", status, line)
		}
	}
	if status, body := p.get(t, "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q", status, body)
	}
	if status, _ := p.get(t, "/ListTable"); status != 404 {
		t.Errorf("the API at the metrics' address: %d", status)
	}
}

func TestStopFinishesWhatRuns(t *testing.T) {
	p := startProcess(t, nil, "--memory", "--faults", "--log-format", "json")
	slow := p.slowList(t, "700")
	p.signal(t)
	eventually(t, "/healthz says that it stops", func() bool {
		status, body := p.get(t, "/healthz")
		return status == 503 && body == "the server is stopping\n"
	})
	_, err := tablestore.NewClientWithConfig(p.url, "sentry", "id", "secret", "", &tablestore.TableStoreConfig{
		HTTPTimeout: tablestore.HTTPTimeout{ConnectionTimeout: time.Second, RequestTimeout: time.Minute}}).ListTable()
	var refused *tablestore.OtsError
	if !errors.As(err, &refused) || refused.Code != "OTSPartitionUnavailable" {
		t.Errorf("a request while it stops: %v", err)
	}
	if err := <-slow; err != nil {
		t.Errorf("the request that ran: %v", err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	var messages []string
	for line := range strings.Lines(p.logged(t)) {
		var record struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Time == "" || record.Level == "" {
			t.Errorf("%q is no record: %v", line, err)
		}
		messages = append(messages, record.Msg)
	}
	if strings.Join(messages, ", ") != "serving, stopping, stopped" {
		t.Errorf("it logged %q", messages)
	}
}

func TestStopIsBounded(t *testing.T) {
	p := startProcess(t, nil, "--memory", "--faults", "--stop-timeout", "200ms")
	slow := p.slowList(t, "60000")
	begin := time.Now()
	p.signal(t)
	if err := p.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if d := time.Since(begin); d < 150*time.Millisecond || d > 10*time.Second {
		t.Errorf("it took %s", d)
	}
	if err := <-slow; err == nil {
		t.Error("a request that was cut off succeeded")
	}
	if log := p.logged(t); !strings.Contains(log, "were cut off") || !strings.Contains(log, "requests=1") {
		t.Errorf("it logged %s", log)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := startProcess(t, nil, "--memory", "--faults")
	p.slowList(t, "60000")
	p.signal(t)
	eventually(t, "it stops", func() bool { status, _ := p.get(t, "/healthz"); return status == 503 })
	p.signal(t)
	err := p.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v", err)
	}
}

func TestNotifiesSystemd(t *testing.T) {
	dir, err := os.MkdirTemp("", "n") // a short name, for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{filepath.Join(dir, "notify"), "@tablestore-local-test-" + filepath.Base(dir)} {
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		p := startProcess(t, []string{"NOTIFY_SOCKET=" + name}, "--memory")
		expect := func(want string) {
			t.Helper()
			_ = socket.SetReadDeadline(time.Now().Add(10 * time.Second))
			buf := make([]byte, 100)
			if n, err := socket.Read(buf); err != nil || string(buf[:n]) != want {
				t.Errorf("%q, %v", buf[:n], err)
			}
		}
		expect("READY=1")
		p.signal(t)
		expect("STOPPING=1")
		if err := p.Wait(); err != nil {
			t.Error(err)
		}
		_ = socket.Close()
	}
}
