package store

import (
	"context"
	"fmt"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Cleanup deletes the nodes that were last written before the cutoff, and those whose own ttl has
// passed, and returns how many. It runs until it is done or its context ends; only its single requests have deadlines. With
// AutomaticExpiry it does nothing: the service expires nodes by itself, and reading a whole table to do so again would cost money.
//
// What a large write left that was killed before it was published is no node and stays, until its id is written or deleted: to find it
// would take one more pass over the whole table each time.
//
// A node that is written again at the same moment is kept: what is deleted are the cells of the time that
// was read, not the row.
func (s *Store) Cleanup(ctx context.Context, cutoff time.Time) (int64, error) {
	if s.closed.Load() {
		return 0, s.failed("cleanup", &Error{Kind: KindClosed, Message: "the store is closed"})
	}
	if s.options.AutomaticExpiry {
		logf(ctx, levelInfo, "cleanup: table %q expires nodes by itself after %v", s.options.Table, Milliseconds(s.options.DefaultTTLMillis))
		return 0, nil
	}
	if cutoff.UnixMilli() <= 0 {
		return 0, s.failed("cleanup", &Error{Kind: KindOptions, Message: fmt.Sprintf("the cutoff %v is not after 1970", cutoff)})
	}
	old := &tablestore.TimeRange{Start: 0, End: cutoff.UnixMilli()}
	expired := &tablestore.Filter{Column: columnExpires, Comparator: tablestore.LessEqual, Value: s.now().UnixMilli()}
	// flagsMissing passes the rows of sentry-tablestore 1.0 that have no column flags (no row has the value -1).
	flagsMissing := &tablestore.Filter{Column: columnFlags, Comparator: tablestore.Equal, Value: int64(-1), PassIfMissing: true}
	// Rows of this version are found by columns of a few bytes, so that the scan need not carry their values.
	small := []string{columnExpires, columnFlags, columnGeneration, columnParts, columnSize}
	scans := []tablestore.GetRangeRequest{
		{ColumnsToGet: small, TimeRange: old},
		{ColumnsToGet: []string{columnData, columnFlags}, TimeRange: old, Filter: flagsMissing},
		{ColumnsToGet: small, Filter: expired},
	}
	var deleted int64
	for i := range scans {
		n, err := s.deleteScanned(ctx, &scans[i])
		deleted += n
		if err != nil {
			logf(ctx, levelWarning, "cleanup: stopped by an error after %d nodes had been deleted: the next one goes on from there", deleted)
			return deleted, s.failed("cleanup", err)
		}
	}
	logf(ctx, levelInfo, "cleanup: %d nodes deleted from table %q", deleted, s.options.Table)
	return deleted, nil
}

func (s *Store) deleteScanned(ctx context.Context, request *tablestore.GetRangeRequest) (deleted int64, err error) {
	request.Table = s.options.Table
	request.Start = tablestore.PrimaryKey{Name: keyName}
	for {
		var rows []tablestore.Row
		var next *tablestore.PrimaryKey
		err := s.step(ctx, func(ctx context.Context) (err error) {
			rows, next, err = s.client.GetRange(ctx, request)
			return err
		})
		if err != nil {
			return deleted, err
		}
		n, err := s.deleteCells(ctx, rows)
		deleted += n
		if err != nil || next == nil {
			return deleted, err
		}
		request.Start = *next
	}
}

// step is one request of a long call, with the deadline of a call of its own.
func (s *Store) step(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.options.timeout())
	defer cancel()
	return s.retry(ctx, attempt)
}

// deleteCells removes exactly the cells that were read, and those that belong to them: a value, which was written with
// its flags and so at the same time, and the parts of a split one, whose names no other write uses.
func (s *Store) deleteCells(ctx context.Context, rows []tablestore.Row) (int64, error) {
	changes := make([]tablestore.RowChange, 0, len(rows))
	ids := make([]string, 0, len(rows))
	for i := range rows {
		if len(rows[i].Columns) == 0 {
			continue
		}
		ids = append(ids, rows[i].PrimaryKey.Value)
		changes = append(changes, tablestore.RowChange{Kind: tablestore.Update, PrimaryKey: rows[i].PrimaryKey, Deletes: cellsOf(&rows[i])})
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.timeout())
	defer cancel()
	errs := s.writeMany(ctx, changes)
	var deleted int64
	for _, err := range errs {
		if err == nil {
			deleted++
		}
	}
	return deleted, s.batchFailed("cleanup", ids, errs)
}

func cellsOf(row *tablestore.Row) []tablestore.ColumnDelete {
	var deletes []tablestore.ColumnDelete
	hasData := false
	for _, column := range row.Columns {
		deletes = append(deletes, tablestore.ColumnDelete{Name: column.Name, Timestamp: column.Timestamp})
		hasData = hasData || column.Name == columnData
	}
	if !hasData {
		deletes = append(deletes, tablestore.ColumnDelete{Name: columnData, Timestamp: row.Columns[0].Timestamp})
	}
	state := splitState(row, "")
	for _, name := range partNames(state.generation, state.parts) {
		deletes = append(deletes, tablestore.ColumnDelete{Name: name})
	}
	return deletes
}
