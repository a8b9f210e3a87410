package store

import (
	"context"
	"time"

	"github.com/valyala/bytebufferpool"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// The service's limits of a BatchWriteRow: rows, and bytes of names and values. Some bytes are left
// for what the service may count otherwise.
const (
	maxBatchWrite      = 200
	maxBatchWriteBytes = 4<<20 - 16<<10
)

// encoded is a value on its way into a row. Its buffer goes back to the pool when the row is written.
type encoded struct {
	data    []byte
	flags   int64
	expires int64
	written int64 // when the node was first written, for one that comes from elsewhere; 0: now
	missing bool  // it is for a node that is not there, and must not replace one that is
	buffer  *bytebufferpool.ByteBuffer
}

func (s *Store) encode(ctx context.Context, value []byte, expires int64) (*encoded, error) {
	e := &encoded{flags: s.compression, expires: expires, buffer: bytebufferpool.Get()}
	data, err := compress(e.buffer.B[:0], value, s.compression)
	if err != nil {
		return nil, err
	}
	e.data = data
	if s.compression != 0 {
		e.buffer.B = data
	}
	e.counted(ctx, len(value))
	return e, nil
}

// counted counts a value of this size on its way into a row.
func (e *encoded) counted(ctx context.Context, size int) {
	count(ctx, Raw, size)
	count(ctx, Stored, len(e.data))
	if e.split() {
		count(ctx, Split, 1)
	}
}

// release gives the buffer back, where there is one; data is gone then.
func (e *encoded) release() {
	e.data = nil
	if e.buffer != nil {
		bytebufferpool.Put(e.buffer)
	}
}

func (e *encoded) split() bool { return len(e.data) > maxCell }

func (e *encoded) put(id string) *tablestore.RowChange {
	columns := make([]tablestore.Column, 2, 3)
	columns[0] = tablestore.Column{Name: columnData, Value: e.data, Timestamp: e.written}
	columns[1] = tablestore.Column{Name: columnFlags, Value: e.flags, Timestamp: e.written}
	if e.expires != 0 {
		columns = append(columns, tablestore.Column{Name: columnExpires, Value: e.expires, Timestamp: e.written})
	}
	return &tablestore.RowChange{Kind: tablestore.Put, PrimaryKey: primaryKey(id), Columns: columns}
}

// rowSize is what the service counts: names and values, eight bytes for a number and for each version.
func (e *encoded) rowSize(id string) int {
	return len(keyName) + len(id) + len(columnData) + len(e.data) + len(columnFlags) + len(columnExpires) + 5*8
}

// Set writes a node, replacing what was there. ttl is NoTTL or positive.
func (s *Store) Set(ctx context.Context, id string, value []byte, ttl time.Duration) error {
	ctx, cancel, err := s.begin(ctx)
	if err == nil {
		defer cancel()
		err = s.set(ctx, id, value, ttl)
	}
	return s.failed("set", err, id)
}

func (s *Store) set(ctx context.Context, id string, value []byte, ttl time.Duration) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := checkSize(value); err != nil {
		return err
	}
	expires, err := s.expiry(ttl)
	if err != nil {
		return err
	}
	s.tellCapped(ctx, ttl)
	e, err := s.encode(ctx, value, expires)
	if err != nil {
		return err
	}
	defer e.release()
	if e.split() {
		return s.writeSplit(ctx, id, e)
	}
	return s.write(ctx, e.put(id))
}

func (s *Store) write(ctx context.Context, change *tablestore.RowChange) error {
	return s.retry(ctx, func(ctx context.Context) error {
		return s.client.WriteRow(ctx, s.options.Table, change)
	})
}

// SetMany writes nodes, values[i] under ids[i]; of a repeated id the last value counts. Nodes are
// written independently of each other: when some fail, the error tells which, and the others are there.
func (s *Store) SetMany(ctx context.Context, ids []string, values [][]byte, ttl time.Duration) error {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return s.failed("set_many", err)
	}
	defer cancel()
	expires, err := s.expiry(ttl)
	if err != nil {
		return s.failed("set_many", err)
	}
	s.tellCapped(ctx, ttl)
	unique, places := distinct(ids)
	last := make([][]byte, len(unique))
	for i, place := range places {
		if err := checkID(ids[i]); err != nil {
			return s.failed("set_many", err, ids[i])
		}
		if err := checkSize(values[i]); err != nil {
			return s.failed("set_many", err, ids[i])
		}
		last[place] = values[i]
	}
	encodings := make([]*encoded, len(unique))
	defer func() {
		for _, e := range encodings {
			if e != nil {
				e.release()
			}
		}
	}()
	err = firstOf(parallel(len(unique), cores, func(i int) (err error) {
		encodings[i], err = s.encode(ctx, last[i], expires)
		return err
	}))
	if err != nil {
		return s.failed("set_many", err)
	}
	errs := make([]error, len(unique))
	requests := packWrites(unique, encodings)
	failures := parallel(len(requests), requestsPerCall, func(r int) error {
		indexes := requests[r]
		if i := indexes[0]; encodings[i].split() {
			errs[i] = s.writeSplit(ctx, unique[i], encodings[i])
			return nil
		}
		s.batch(ctx, indexes, errs, func(ctx context.Context, indexes []int) ([]error, error) {
			changes := make([]tablestore.RowChange, len(indexes))
			for k, i := range indexes {
				changes[k] = *encodings[i].put(unique[i])
			}
			return s.client.BatchWriteRow(ctx, s.options.Table, changes)
		})
		return nil
	})
	if err := firstOf(failures); err != nil {
		return s.failed("set_many", err)
	}
	return s.batchFailed("set_many", unique, errs)
}

// packWrites fills requests up to the service's limits; a split value is a request of its own.
func packWrites(ids []string, encodings []*encoded) (requests [][]int) {
	var current []int
	size := 0
	for i, e := range encodings {
		if e.split() {
			requests = append(requests, []int{i})
			continue
		}
		row := e.rowSize(ids[i])
		if len(current) == maxBatchWrite || (len(current) > 0 && size+row > maxBatchWriteBytes) {
			requests = append(requests, current)
			current, size = nil, 0
		}
		current = append(current, i)
		size += row
	}
	if len(current) > 0 {
		requests = append(requests, current)
	}
	return requests
}
