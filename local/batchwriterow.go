package local

import (
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/encoding/protowire"
)

// BatchWriteRow puts, updates and deletes up to 200 rows of one or more tables, at most 4 MB together. Every row has a result of its
// own, in the order of the request; rows that fail do not hold up the others, and those that succeed reach the disk together. The
// request fails as a whole only if it is malformed. The same row may be written twice without conditions: the later write wins.
//
// Left out: transactions and atomic batches.

// batchRow is a row of a batch with what becomes of it.
type batchRow struct {
	mutation *mutation
	pending  *pendingRow
	answer   []byte
	err      error
}

func (s *Server) batchWriteRow(c *call) error {
	var req otsprotocol.BatchWriteRowRequest
	if err := c.decode(&req); err != nil {
		return err
	}
	if req.GetTransactionId() != "" || req.GetIsAtomic() {
		return errTransaction()
	}
	rows, err := s.checkBatch(c, &req)
	if err != nil {
		return err
	}
	if err := s.writeBatch(c, rows); err != nil {
		return err
	}
	i := 0
	for _, tr := range req.Tables {
		start := len(c.out)
		c.out = protowire.AppendTag(c.out, 1, protowire.BytesType)
		c.out = protowire.AppendString(c.out, tr.GetTableName())
		for range tr.Rows {
			c.out = c.appendWrittenRow(c.out, &rows[i])
			i++
		}
		c.out = insertLength(c.out, start, 1)
	}
	return nil
}

// checkBatch checks the request as a whole and each row on its own.
func (s *Server) checkBatch(c *call, req *otsprotocol.BatchWriteRowRequest) ([]batchRow, error) {
	count := 0
	for _, tr := range req.Tables {
		if len(tr.Rows) == 0 {
			return nil, invalid("No operation is specified for table: '%s'.", tr.GetTableName())
		}
		count += len(tr.Rows)
	}
	switch {
	case count == 0:
		return nil, invalid("No row is specified in BatchWriteRow.")
	case count > maxBatchWriteRows:
		return nil, invalid("Rows count exceeds the upper limit: %d.", maxBatchWriteRows)
	}
	rows := make([]batchRow, 0, count)
	size := 0
	for _, tr := range req.Tables {
		t := s.catalog.get(tr.GetTableName())
		for _, r := range tr.Rows {
			row := batchRow{}
			if e := c.fault.rowError(len(rows)); e != nil {
				row.err = e
			} else if t == nil {
				row.err = errNoTable()
			} else if row.mutation, row.err = s.newMutation(t, r.GetType(), r.RowChange, r.Condition, r.ReturnContent, c.now); row.err == nil {
				size += row.mutation.size
			} else {
				row.mutation = nil
			}
			rows = append(rows, row)
		}
	}
	if size > maxBatchWriteSize {
		return nil, invalid("The total data size of BatchWriteRow request exceeds the limit, limit size: %d, data size: %d.", maxBatchWriteSize, size)
	}
	return rows, checkRepeated(rows)
}

// checkRepeated refuses rows that are written twice in a batch if one of the writes has a condition.
func checkRepeated(rows []batchRow) error {
	first := make(map[string]*mutation, len(rows))
	for i := range rows {
		m := rows[i].mutation
		if m == nil {
			continue
		}
		other := first[string(m.key)]
		if other == nil {
			first[string(m.key)] = m
			continue
		}
		for _, m := range []*mutation{m, other} {
			if m.existence != otsprotocol.RowExistenceExpectation_IGNORE {
				return invalid("Repeated rows do not support row exist expectation check in BatchModify.")
			}
			if m.condition != nil {
				return invalid("Repeated rows do not support row condition check in BatchModify.")
			}
		}
	}
	return nil
}

// writeBatch applies the rows in one go and returns when they are on disk.
func (s *Server) writeBatch(c *call, rows []batchRow) error {
	wait, err := s.writeBatchLocked(c, rows)
	if err != nil {
		return err
	}
	if wait == nil { // nothing to write, or every row refused: because of what another request wrote, perhaps
		wait = s.awaitSeen
	}
	return wait()
}

func (s *Server) writeBatchLocked(c *call, rows []batchRow) (wait func() error, err error) {
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	// Locks are taken in the order of their numbers, so that two batches cannot wait for each other.
	numbers := make([]int, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		if r.mutation == nil {
			continue
		}
		if !s.catalog.refresh(r.mutation) {
			r.mutation, r.err = nil, errNoTable()
			continue
		}
		numbers = append(numbers, stripe(r.mutation.key))
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	for _, n := range numbers {
		s.locks[n].Lock()
		defer s.locks[n].Unlock()
	}

	pending := make(map[string]*pendingRow, len(rows))
	defer func() {
		for _, p := range pending {
			p.reader.release()
		}
	}()
	batch, err := s.newBatch()
	if err != nil {
		return nil, err
	}
	for i := range rows {
		r := &rows[i]
		if r.mutation == nil {
			continue
		}
		if r.err = s.applyBatchRow(r, pending, c.now); r.err != nil {
			if _, expected := asServiceError(r.err); !expected {
				return nil, r.err
			}
		}
	}
	for i := range rows {
		r := &rows[i]
		if r.pending == nil || !r.pending.dirty {
			continue
		}
		r.pending.dirty = false // a row that stands in the batch twice is staged once
		if err := r.pending.stage(s, r.mutation.table, batch); err != nil {
			return nil, err
		}
	}
	if batch.Count() == 0 {
		return nil, batch.Close()
	}
	return s.commit(batch)
}

func (s *Server) applyBatchRow(r *batchRow, pending map[string]*pendingRow, now int64) error {
	m := r.mutation
	p := pending[string(m.key)]
	if p == nil {
		p = new(pendingRow)
		if err := p.begin(s, m.table, m.key, now); err != nil {
			return err
		}
		pending[string(m.key)] = p
	}
	r.pending = p
	if err := m.apply(p, now); err != nil {
		return err
	}
	var err error
	r.answer, err = m.answer(p)
	return err
}

// appendWrittenRow appends the result of a row as the field 2 of the table's part.
func (c *call) appendWrittenRow(dst []byte, r *batchRow) []byte {
	if r.err != nil {
		return c.appendFailedRow(dst, c.rowFailure(r.err))
	}
	c.rowsWritten++
	read, write := r.mutation.consumed()
	size := 2 + consumedSize(read, write)
	if r.answer != nil {
		size += 1 + protowire.SizeBytes(len(r.answer))
	}
	dst = protowire.AppendTag(dst, 2, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = append(dst, 1<<3, 1) // is_ok = true
	dst = appendConsumed(dst, 3, read, write)
	if r.answer != nil {
		dst = appendBytes(dst, 4, r.answer)
	}
	return dst
}
