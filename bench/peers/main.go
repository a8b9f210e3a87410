// Command peers is the process of a contestant of the benchmark that is written in Go: the official Go SDK alone, or a bare exchange
// over net/http. It takes commands as lines of JSON and answers each with a line, as client.py does.
package main

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"
)

// contestant is what all can do. thread and i are those of the call.
type contestant interface {
	call(operation string, many, thread, i int) error
}

// begin is the first line.
type begin struct {
	Contestant string            `json:"contestant"`
	Service    map[string]string `json:"service"`
	Events     string            `json:"events"` // a file, one a line
}

type command struct {
	Do        string          `json:"do"`
	Operation string          `json:"operation"`
	Many      int             `json:"many"`
	Threads   int             `json:"threads"`
	Seconds   float64         `json:"seconds"`
	Exchanges json.RawMessage `json:"exchanges"`
}

// measured is what a run took: wall and CPU in seconds.
type measured struct {
	Calls int     `json:"calls"`
	Wall  float64 `json:"wall"`
	CPU   float64 `json:"cpu"`
}

func main() {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	var first begin
	if err := in.Decode(&first); err != nil {
		return // nobody is there any more
	}
	c, err := start(&first)
	var result any
	for err == nil {
		_ = out.Encode(map[string]any{"result": result})
		var next command
		if in.Decode(&next) != nil {
			return
		}
		result, err = follow(c, &next)
	}
	_ = out.Encode(map[string]any{"error": err.Error()})
}

func start(first *begin) (contestant, error) {
	lines, err := os.ReadFile(first.Events)
	if err != nil {
		return nil, err
	}
	events := bytes.Split(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n"))
	switch first.Contestant {
	case "go-sdk":
		return newSDK(first.Service, events), nil
	case "http":
		return newBare(first.Service["end_point"]), nil
	}
	return nil, fmt.Errorf("there is no contestant %q", first.Contestant)
}

func follow(c contestant, next *command) (any, error) {
	switch next.Do {
	case "measure":
		return measure(c, next)
	case "check":
		return nil, c.(*sdk).check()
	case "repeat":
		return nil, c.(*bare).repeat(next.Exchanges)
	}
	return nil, fmt.Errorf("there is no command %q", next.Do)
}

// measure makes calls from each of the threads until the time is over.
func measure(c contestant, next *command) (measured, error) {
	var wait sync.WaitGroup
	made, errs := make([]int, next.Threads), make([]error, next.Threads)
	began, before := time.Now(), cpu()
	end := began.Add(time.Duration(next.Seconds * float64(time.Second)))
	for thread := range next.Threads {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for {
				if errs[thread] = c.call(next.Operation, next.Many, thread, made[thread]); errs[thread] != nil {
					return
				}
				made[thread]++
				if time.Now().After(end) {
					return
				}
			}
		}()
	}
	wait.Wait()
	m := measured{Wall: time.Since(began).Seconds(), CPU: (cpu() - before).Seconds()}
	for thread := range next.Threads {
		if errs[thread] != nil {
			return m, errs[thread]
		}
		m.Calls += made[thread]
	}
	return m, nil
}

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // only a wrong argument does that
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// keptIDs are those of client.py: as Sentry makes them, 32 hex digits.
func keptIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%x", md5.Sum(fmt.Appendf(nil, "kept:%d", i)))
	}
	return ids
}

func newID() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }
