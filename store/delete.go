package store

import (
	"context"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Delete removes a node; a missing one is fine.
func (s *Store) Delete(ctx context.Context, id string) error {
	ctx, cancel, err := s.begin(ctx)
	if err == nil {
		defer cancel()
		if err = checkID(id); err == nil {
			err = s.write(ctx, removal(id))
		}
	}
	return s.failed("delete", err, id)
}

func removal(id string) *tablestore.RowChange {
	return &tablestore.RowChange{Kind: tablestore.Delete, PrimaryKey: primaryKey(id)}
}

// DeleteMany removes nodes; missing and repeated ones are fine. When some fail, the error tells
// which, and the others are gone.
func (s *Store) DeleteMany(ctx context.Context, ids []string) error {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return s.failed("delete_many", err)
	}
	defer cancel()
	unique, _ := distinct(ids)
	changes := make([]tablestore.RowChange, len(unique))
	for i, id := range unique {
		if err := checkID(id); err != nil {
			return s.failed("delete_many", err, id)
		}
		changes[i] = *removal(id)
	}
	return s.batchFailed("delete_many", unique, s.writeMany(ctx, changes))
}

// writeMany sends changes in full requests; each change is small.
func (s *Store) writeMany(ctx context.Context, changes []tablestore.RowChange) []error {
	errs := make([]error, len(changes))
	chunks := chunksOf(len(changes), maxBatchWrite)
	failures := parallel(len(chunks), requestsPerCall, func(c int) error {
		s.batch(ctx, chunks[c], errs, func(ctx context.Context, indexes []int) ([]error, error) {
			request := make([]tablestore.RowChange, len(indexes))
			for k, i := range indexes {
				request[k] = changes[i]
			}
			return s.client.BatchWriteRow(ctx, s.options.Table, request)
		})
		return nil
	})
	for c, failure := range failures {
		for _, i := range chunks[c] {
			if failure != nil {
				errs[i] = failure
			}
		}
	}
	return errs
}
