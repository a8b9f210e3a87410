package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

const (
	instance  = "bench"
	keyID     = "bench-key"
	keySecret = "bench-secret"
	tableName = "nodestore"
	keyColumn = "id"
)

// program is a running tablestore-local with an empty table.
type program struct {
	command *exec.Cmd
	dir     string
	metrics string // URL
	client  tablestore.Client
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// start runs the program with its defaults on a new folder and makes the table.
func start(ctx context.Context, path, dir string) (*program, error) {
	p := &program{dir: dir}
	p.command = exec.Command(path, "--data", dir, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--instance", instance)
	p.command.Env = append(os.Environ(), "TABLESTORE_LOCAL_ACCESS_KEY_ID="+keyID, "TABLESTORE_LOCAL_ACCESS_KEY_SECRET="+keySecret)
	var complaints bytes.Buffer
	p.command.Stderr = &complaints
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(stdout)
	var urls [2]string // of the service and of its metrics
	for i := range urls {
		line, err := lines.ReadString('\n')
		if urls[i] = address.FindString(line); urls[i] == "" {
			return nil, errors.Join(fmt.Errorf("%s did not start: %w\n%s", path, err, complaints.Bytes()), p.kill())
		}
	}
	p.metrics = urls[1] + "/metrics"
	p.client, err = tablestore.Open(tablestore.Options{
		Endpoint: urls[0], Instance: instance, MaxConnections: 128,
		Credentials: tablestore.Credentials{AccessKeyID: keyID, AccessKeySecret: keySecret},
	})
	if err == nil {
		err = p.client.CreateTable(ctx, &tablestore.TableDescription{
			Name: tableName, PrimaryKey: []tablestore.PrimaryKeySchema{{Name: keyColumn, Type: "STRING"}},
			Options: tablestore.TableOptions{TimeToLive: -1, MaxVersions: 1, MaxTimeDeviation: 86400},
		})
	}
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

// stop ends the program as a service manager does.
func (p *program) stop() error {
	p.client.Close()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.command.Wait()
}

func (p *program) kill() error {
	return errors.Join(p.command.Process.Kill(), ignoreExit(p.command.Wait()))
}

func ignoreExit(err error) error {
	if errors.As(err, new(*exec.ExitError)) {
		return nil
	}
	return err
}

// memory is the resident memory of the program, now and at its highest, in bytes. The files of the store are read, not mapped.
type memory struct{ now, peak int64 }

func (p *program) memory() (m memory, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return m, err
	}
	for name, n := range map[string]*int64{"VmRSS:": &m.now, "VmHWM:": &m.peak} {
		_, rest, found := strings.Cut(string(status), name)
		kilobytes, err := strconv.ParseInt(strings.Fields(rest + " ?")[0], 10, 64)
		if !found || err != nil {
			return m, fmt.Errorf("no %s of the process is told", name)
		}
		*n = kilobytes << 10
	}
	return m, nil
}

// ticks is how many parts a second is told in by /proc/PID/stat; it is the same on all of Linux that Go runs on.
const ticks = 100

// cpu is the time that the program has computed.
func (p *program) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc tells no time of the process")
	}
	sum := time.Duration(0)
	for _, field := range fields[11:13] { // in user mode and in the kernel
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * time.Second / ticks
	}
	return sum, nil
}

// figure reads one of the program's metrics, which must be there.
func (p *program) figure(ctx context.Context, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.metrics, http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut("\n"+string(body), "\ntablestore_local_"+name+" ")
	if !found {
		return 0, fmt.Errorf("the metrics have no %s", name)
	}
	value, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseFloat(value, 64)
}

// settled waits until the store has done nothing in the background for a while, and tells how long it went on.
func (p *program) settled(ctx context.Context, most time.Duration) (time.Duration, error) {
	const quiet = 3 * time.Second
	begin := time.Now()
	busy, done := begin, -1.0
	for time.Since(busy) < quiet {
		running, err := p.figure(ctx, "store_compactions_running")
		if err != nil {
			return 0, err
		}
		ended, err := p.figure(ctx, "store_compactions_total")
		if err != nil {
			return 0, err
		}
		if running > 0 || ended != done {
			busy, done = time.Now(), ended
		}
		if busy.Sub(begin) > most {
			return 0, fmt.Errorf("the store is still compacting after %s", most)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return busy.Sub(begin), nil
}

// size is what the program's folder takes on disk, in bytes.
func (p *program) size() (bytes int64, err error) {
	err = filepath.WalkDir(p.dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return ignoreGone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreGone(err)
		}
		bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	return bytes, err
}

// ignoreGone is for files that the program has just removed.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
