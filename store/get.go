package store

import (
	"context"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// maxBatchGet is the service's limit of rows a BatchGetRow.
const maxBatchGet = 100

// Get returns the value of a node, and whether there is such a node.
func (s *Store) Get(ctx context.Context, id string) (value []byte, found bool, err error) {
	ctx, cancel, err := s.begin(ctx)
	if err == nil {
		defer cancel()
		value, found, err = s.get(ctx, id)
		if err == nil && !found {
			count(ctx, Missing, 1)
		}
	}
	return value, found, s.failed("get", err, id)
}

func (s *Store) get(ctx context.Context, id string) ([]byte, bool, error) {
	if err := checkID(id); err != nil {
		return nil, false, err
	}
	row, err := s.getRow(ctx, id, nodeColumns)
	if err != nil || row == nil {
		return nil, false, err
	}
	return s.valueOf(ctx, row)
}

func (s *Store) getRow(ctx context.Context, id string, columns []string) (row *tablestore.Row, err error) {
	request := s.rowRequest(id, columns)
	err = s.retry(ctx, func(ctx context.Context) error {
		row, err = s.client.GetRow(ctx, request)
		return err
	})
	return row, err
}

func (s *Store) rowRequest(id string, columns []string) *tablestore.GetRowRequest {
	return &tablestore.GetRowRequest{Table: s.options.Table, PrimaryKey: primaryKey(id), ColumnsToGet: columns}
}

// valueOf takes a row apart, and reads its parts where it is split.
func (s *Store) valueOf(ctx context.Context, row *tablestore.Row) ([]byte, bool, error) {
	n, err := parseNode(row)
	if err != nil {
		return nil, false, err
	}
	if !s.visible(n) {
		return nil, false, nil
	}
	encoded := n.data
	if n.flags&flagSplit != 0 {
		count(ctx, Split, 1)
		if encoded, n, err = s.readSplit(ctx, n); err != nil || n == nil {
			return nil, false, err
		}
	}
	value, err := n.decode(encoded)
	count(ctx, Stored, len(encoded))
	count(ctx, Raw, len(value))
	return value, err == nil, err
}

// GetMany returns the values of the nodes in the order of ids, nil for those that are not there;
// the value of an empty node is not nil. When a single one fails, so does the call: a failed read must not
// look like a missing node.
func (s *Store) GetMany(ctx context.Context, ids []string) ([][]byte, error) {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return nil, s.failed("get_many", err)
	}
	defer cancel()
	unique, places := distinct(ids)
	for _, id := range unique {
		if err := checkID(id); err != nil {
			return nil, s.failed("get_many", err, id)
		}
	}
	rows, values := make([]*tablestore.Row, len(unique)), make([][]byte, len(unique))
	errs := make([]error, len(unique))
	chunks := chunksOf(len(unique), maxBatchGet)
	failures := parallel(len(chunks), requestsPerCall, func(c int) error {
		s.getBatch(ctx, unique, chunks[c], rows, values, errs)
		return nil
	})
	if err := firstOf(failures); err != nil {
		return nil, s.failed("get_many", err)
	}
	if err := s.batchFailed("get_many", unique, errs); err != nil {
		return nil, err
	}
	ordered := make([][]byte, len(ids))
	for i, place := range places {
		ordered[i] = values[place]
	}
	for _, value := range values {
		if value == nil {
			count(ctx, Missing, 1)
		}
	}
	return ordered, nil
}

// getRowsBatch fills rows or errs at the indexes.
func (s *Store) getRowsBatch(ctx context.Context, ids, columns []string, indexes []int, rows []*tablestore.Row, errs []error) {
	s.batch(ctx, indexes, errs, func(ctx context.Context, indexes []int) ([]error, error) {
		request := &tablestore.BatchGetRowRequest{Table: s.options.Table, ColumnsToGet: columns}
		for _, i := range indexes {
			request.PrimaryKeys = append(request.PrimaryKeys, primaryKey(ids[i]))
		}
		results, err := s.client.BatchGetRow(ctx, request)
		if err != nil {
			return nil, err
		}
		failures := make([]error, len(results))
		for k, result := range results {
			rows[indexes[k]], failures[k] = result.Row, result.Err
		}
		return failures, nil
	})
}

// getBatch fills values or errs at the indexes.
func (s *Store) getBatch(ctx context.Context, ids []string, indexes []int, rows []*tablestore.Row, values [][]byte, errs []error) {
	s.getRowsBatch(ctx, ids, nodeColumns, indexes, rows, errs)
	for _, i := range indexes {
		if errs[i] != nil || rows[i] == nil {
			continue
		}
		value, found, err := s.valueOf(ctx, rows[i])
		switch {
		case err != nil:
			errs[i] = err
		case found && value == nil:
			values[i] = []byte{}
		case found:
			values[i] = value
		}
	}
}
