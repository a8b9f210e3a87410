package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Synced writes: every PutRow is answered when it is on disk, so a client alone is as fast as the disk syncs. Many share a sync.

const commitBytes = 1024 // of a value, and of what the device's own rate is measured with

var commitClients = []int{1, 16, 128}

// commits is what came of the rounds.
type commits struct {
	device []float64           // appends with a sync a second
	rounds map[int][]commitRun // by the number of clients
}

type commitRun struct {
	*sample
	syncs float64 // of the server's log
}

func (p *plan) measureCommits(ctx context.Context, dir string) (_ *commits, err error) {
	server, err := start(ctx, p.program, filepath.Join(dir, "commits"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	c := &commits{rounds: map[int][]commitRun{}}
	for round := range p.rounds {
		rate, err := deviceSyncs(filepath.Join(dir, "appended"), p.span)
		if err != nil {
			return nil, err
		}
		c.device = append(c.device, rate)
		for _, clients := range commitClients {
			run, err := syncedWrites(ctx, server, round, clients, p.span)
			if err != nil {
				return nil, err
			}
			c.rounds[clients] = append(c.rounds[clients], *run)
		}
	}
	return c, nil
}

// deviceSyncs appends to a file and waits for the disk each time. It gives how often a second that can be done.
func deviceSyncs(name string, span time.Duration) (_ float64, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	block := make([]byte, commitBytes)
	_, _ = rand.Read(block) // it never fails
	n := 0
	begin := time.Now()
	for time.Since(begin) < span {
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, &os.PathError{Op: "fdatasync", Path: name, Err: err}
		}
		n++
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

func syncedWrites(ctx context.Context, server *program, round, clients int, span time.Duration) (*commitRun, error) {
	const syncs = "store_wal_sync_seconds_count"
	before, err := server.figure(ctx, syncs)
	if err != nil {
		return nil, err
	}
	value := make([]byte, commitBytes)
	_, _ = rand.Read(value)
	s, err := together(ctx, server, clients, span, func(ctx context.Context, client, n int) error {
		return server.client.WriteRow(ctx, tableName, &tablestore.RowChange{
			Kind:       tablestore.Put,
			PrimaryKey: tablestore.PrimaryKey{Name: keyColumn, Value: fmt.Sprintf("%d-%d-%d-%d", round, clients, client, n)},
			Columns:    []tablestore.Column{{Name: "data", Value: value}},
		})
	})
	if err != nil {
		return nil, err
	}
	after, err := server.figure(ctx, syncs)
	return &commitRun{s, after - before}, err
}
