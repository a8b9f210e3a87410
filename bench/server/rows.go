package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Many rows, as an installation has them: loaded in batches, then read at random.

const (
	rowBytes    = 3000
	loadBatch   = 200 // rows, as many as one BatchWriteRow takes
	loadClients = 4
	runBytes    = 100 // a value is runs of so many bytes that are random and that are the same in every value, in turns
)

var readClients = []int{1, 64}

// rows is what came of them.
type rows struct {
	load                      *sample // its calls are batches
	settle                    time.Duration
	sizeLoaded, sizeSettled   int64
	ofSettled                 int64 // what the store itself counts of it
	empty, loaded, quiet, end memory
	existing, missing         []*sample // in the order of readClients
}

func (p *plan) measureRows(ctx context.Context, dir string) (_ *rows, err error) {
	server, err := start(ctx, p.program, filepath.Join(dir, "rows"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	r := &rows{}
	if r.empty, err = server.memory(); err != nil {
		return nil, err
	}
	if r.load, err = load(ctx, server, p.rows); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if r.loaded, err = server.memory(); err != nil {
		return nil, err
	}
	if r.sizeLoaded, err = server.size(); err != nil {
		return nil, err
	}
	if r.settle, err = server.settled(ctx, p.settle); err != nil {
		return nil, err
	}
	if r.sizeSettled, err = server.size(); err != nil {
		return nil, err
	}
	data, err := server.figure(ctx, "data_bytes")
	if err != nil {
		return nil, err
	}
	r.ofSettled = int64(data)
	if r.quiet, err = server.memory(); err != nil {
		return nil, err
	}
	for _, clients := range readClients {
		existing, err := read(ctx, server, clients, p.span, 0, p.rows, true)
		if err != nil {
			return nil, fmt.Errorf("get with %d clients: %w", clients, err)
		}
		missing, err := read(ctx, server, clients, p.span, p.rows, p.rows, false)
		if err != nil {
			return nil, fmt.Errorf("get what is missing with %d clients: %w", clients, err)
		}
		r.existing, r.missing = append(r.existing, existing), append(r.missing, missing)
	}
	r.end, err = server.memory()
	return r, err
}

// rowKey is the key of a row: 32 hex digits in no order, as event ids have.
func rowKey(i int) tablestore.PrimaryKey {
	r := rand.NewPCG(uint64(i), 1)
	return tablestore.PrimaryKey{Name: keyColumn, Value: fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())}
}

// alike are the bytes that are the same in all values.
var alike = func() []byte {
	b := make([]byte, runBytes)
	random(b, rand.NewPCG(0, 3))
	return b
}()

// rowValue appends the value of a row, of which half can be compressed away.
func rowValue(dst []byte, i int) []byte {
	r := rand.NewPCG(uint64(i), 2)
	dst = append(dst, make([]byte, rowBytes)...)
	value := dst[len(dst)-rowBytes:]
	for at := 0; at < rowBytes; at += 2 * runBytes {
		random(value[at:at+runBytes], r)
		copy(value[at+runBytes:], alike)
	}
	return dst
}

func random(b []byte, r *rand.PCG) {
	var word [8]byte
	for len(b) > 0 {
		binary.LittleEndian.PutUint64(word[:], r.Uint64())
		b = b[copy(b, word[:]):]
	}
}

// load writes the rows, each client one batch after the other.
func load(ctx context.Context, server *program, count int) (*sample, error) {
	var next atomic.Int64
	return gather(server, loadClients, func(int) (times []time.Duration, err error) {
		for {
			first := int(next.Add(loadBatch)) - loadBatch
			if first >= count {
				return times, nil
			}
			changes := make([]tablestore.RowChange, 0, loadBatch)
			for i := first; i < min(first+loadBatch, count); i++ {
				changes = append(changes, tablestore.RowChange{Kind: tablestore.Put, PrimaryKey: rowKey(i),
					Columns: []tablestore.Column{{Name: "data", Value: rowValue(nil, i)}}})
			}
			begin := time.Now()
			failures, err := server.client.BatchWriteRow(ctx, tableName, changes)
			if err = errors.Join(append(failures, err)...); err != nil {
				return nil, err
			}
			times = append(times, time.Since(begin))
		}
	})
}

// read gets random rows of the numbers from first on, and compares them with what was written, or expects none.
func read(ctx context.Context, server *program, clients int, span time.Duration, first, count int, there bool) (*sample, error) {
	return together(ctx, server, clients, span, func(ctx context.Context, client, n int) error {
		i := first + rand.IntN(count)
		row, err := server.client.GetRow(ctx, &tablestore.GetRowRequest{Table: tableName, PrimaryKey: rowKey(i)})
		switch {
		case err != nil:
			return err
		case !there && row != nil:
			return fmt.Errorf("row %d was never written and is there", i)
		case there && (row == nil || len(row.Columns) != 1 || !bytes.Equal(value(row), rowValue(nil, i))):
			return fmt.Errorf("row %d is not what was written", i)
		}
		return nil
	})
}

func value(row *tablestore.Row) []byte {
	b, _ := row.Columns[0].Value.([]byte)
	return b
}
