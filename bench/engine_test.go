// Package bench measures the engine alone, without Python and C, to see where its time goes:
//
//	make build
//	go test ./bench -run - -bench 'Get/10KB' -benchtime 5s -cpuprofile build/cpu.prof -o build/bench.test
//	go tool pprof -top -cum build/bench.test build/cpu.prof
//
// The server is build/tablestore-local in a process of its own, so that a profile, and the CPU time
// that is reported, are the client's.
package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/call"
	"github.com/PMExtra/sentry-tablestore/v2/store"
)

const (
	server    = "../build/tablestore-local"
	key       = "bench-key"
	instance  = "bench"
	nodes     = 100 // as many as one BatchGetRow reads
	deletions = 200 // as many as one BatchWriteRow deletes
)

var sizes = []int{1, 10, 50, 200} // KB

// work is a call in the way the extension module makes it: in a goroutine of its own, and waited for.
func work(b *testing.B, f func(context.Context) error) {
	b.Helper()
	c := call.Start(&store.Log{ProjectLevel: 30, ClientLevel: 30}, time.Minute, func(ctx context.Context) (call.Result, error) {
		return call.Result{}, f(ctx)
	})
	for c.Wait(time.Second) == nil {
	}
	if c.Err != nil {
		b.Error(c.Err)
	}
}

func BenchmarkGet(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store, _ [][]byte, i int) {
		work(b, func(ctx context.Context) error {
			_, found, err := s.Get(ctx, id(i%nodes))
			if err == nil && !found {
				err = fmt.Errorf("node %d is missing", i%nodes)
			}
			return err
		})
	})
}

func BenchmarkSet(b *testing.B) {
	each(b, func(b *testing.B, s *store.Store, values [][]byte, i int) {
		work(b, func(ctx context.Context) error {
			return s.Set(ctx, id(nodes+i), values[i%nodes], store.NoTTL)
		})
	})
}

func BenchmarkGetMany(b *testing.B) {
	all := make([]string, nodes)
	for i := range all {
		all[i] = id(i)
	}
	each(b, func(b *testing.B, s *store.Store, _ [][]byte, _ int) {
		work(b, func(ctx context.Context) error {
			_, err := s.GetMany(ctx, all)
			return err
		})
	})
}

// BenchmarkDeleteMany deletes what is not there, which is the same to the client.
func BenchmarkDeleteMany(b *testing.B) {
	absent := make([]string, deletions)
	for i := range absent {
		absent[i] = id(1_000_000_000 + i)
	}
	each(b, func(b *testing.B, s *store.Store, _ [][]byte, _ int) {
		work(b, func(ctx context.Context) error { return s.DeleteMany(ctx, absent) })
	})
}

// each runs a call for every size from 1 and from 8 goroutines and reports its CPU time.
func each(b *testing.B, f func(b *testing.B, s *store.Store, values [][]byte, i int)) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dKB", size), func(b *testing.B) {
			values := events(b, size*1000)
			s := serve(b)
			for i, value := range values {
				if err := s.Set(b.Context(), id(i), value, store.NoTTL); err != nil {
					b.Fatal(err)
				}
			}
			for _, threads := range []int{1, 8} {
				b.Run(fmt.Sprintf("%dthreads", threads), func(b *testing.B) {
					b.ReportAllocs()
					var next atomic.Int64
					before := cpu()
					b.ResetTimer()
					spread(b, threads, func() { f(b, s, values, int(next.Add(1))) })
					b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
				})
			}
		})
	}
}

// spread makes b.N calls from so many goroutines.
func spread(b *testing.B, threads int, f func()) {
	var begun atomic.Int64
	done := make(chan struct{})
	for range threads {
		go func() {
			for begun.Add(1) <= int64(b.N) {
				f()
			}
			done <- struct{}{}
		}()
	}
	for range threads {
		<-done
	}
}

func id(i int) string { return fmt.Sprintf("%032x", uint64(i)*0x9E3779B97F4A7C15) }

// serve starts a server and opens a store with a table on it.
func serve(b *testing.B) *store.Store {
	b.Helper()
	if _, err := os.Stat(server); err != nil {
		b.Skipf("%s is not there: run make build", server)
	}
	program := exec.Command(server, "--memory", "--listen", "127.0.0.1:0", "--instance", instance)
	program.Env = append(os.Environ(), "TABLESTORE_LOCAL_ACCESS_KEY_ID="+key, "TABLESTORE_LOCAL_ACCESS_KEY_SECRET="+key)
	stdout, err := program.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := program.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = program.Process.Signal(syscall.SIGTERM)
		_ = program.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatalf("the server did not start: %v", err)
	}
	s, err := store.Open(store.Options{
		Endpoint: line[strings.Index(line, "http://") : len(line)-1], Instance: instance, Table: "nodestore",
		AccessKeyID: key, AccessKeySecret: key, Compression: "zstd", TimeoutMillis: 60_000, MaxConnection: 64,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	if err := s.Bootstrap(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}

// events are made by the same program as those of bench.py.
func events(b *testing.B, size int) [][]byte {
	b.Helper()
	lines, err := exec.Command("python3", "events.py", fmt.Sprint(size), fmt.Sprint(nodes)).Output()
	if err != nil {
		b.Skipf("no events: python3 events.py: %v", err)
	}
	return bytes.Split(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n"))
}

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // only a wrong argument does that
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
