package local

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// rowReader reads rows from the store or from a snapshot of it, keeping its buffers for the next row.
type rowReader struct {
	store pebble.Reader
	row   row
	open  []io.Closer // what the row's bytes belong to
}

// read reads the row with the given key; found is false if there is none. Its bytes are valid until the next read or release.
func (r *rowReader) read(key []byte) (found bool, err error) {
	r.release()
	value, closer, err := r.store.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		r.row.reset()
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.take(key, value, closer)
}

// readToWrite is read for a row that is most often not there, as before a put. Get reads two blocks to see that, as it does not ask the
// filters of the lowest level, where most rows are; an iterator can be told to, and costs some more for a row that is there.
func (r *rowReader) readToWrite(key []byte) (found bool, err error) {
	r.release()
	it, err := r.store.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return false, err
	}
	if !it.SeekPrefixGE(key) { // the whole key is the prefix
		r.row.reset()
		return false, errors.Join(it.Error(), it.Close())
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return false, errors.Join(err, it.Close())
	}
	return true, r.take(key, value, it)
}

// take decodes the row, whose bytes belong to closer.
func (r *rowReader) take(key, value []byte, closer io.Closer) error {
	r.open = append(r.open, closer)
	if err := r.row.decode(value); err != nil {
		return fmt.Errorf("row %x: %w", key, err)
	}
	return nil
}

// load gets the bytes of a large value. pebble.ErrNotFound means that the row was replaced since it was read.
func (r *rowReader) load(table uint64, c *storedCell) error {
	if c.blob == 0 || c.Encoded != nil {
		return nil
	}
	value, closer, err := r.store.Get(blobKey(table, c.blob))
	if err != nil {
		return fmt.Errorf("large value %d: %w", c.blob, err)
	}
	r.open = append(r.open, closer)
	if _, err := plainbuffer.DecodeCell(value, &c.Cell); err != nil {
		return fmt.Errorf("large value %d: %w", c.blob, err)
	}
	return nil
}

// release gives the bytes of the row back.
func (r *rowReader) release() {
	for _, closer := range r.open {
		_ = closer.Close() // closing what was read without an error never fails
	}
	r.open = r.open[:0]
}

// pendingRow is a row that a request reads and writes.
type pendingRow struct {
	reader  rowReader
	key     []byte
	stored  bool     // the store has the row
	size    int      // of what is stored, about
	blobs   []uint64 // large values that belonged to it
	dirty   bool     // it is to be written
	trimmed trimmed  // what no reader could see any more
}

// begin reads the row, as a reader at now sees it.
func (p *pendingRow) begin(s *Server, t *table, key []byte, now int64) error {
	p.reader.store, p.key, p.dirty = s.db, key, false
	found, err := p.reader.readToWrite(key)
	if err != nil {
		return err
	}
	p.stored, p.size, p.blobs = found, 0, p.blobs[:0]
	for i := range p.reader.row.cells {
		p.size += p.reader.row.cells[i].footprint()
		if b := p.reader.row.cells[i].blob; b != 0 {
			p.blobs = append(p.blobs, b)
		}
	}
	p.trimmed = p.reader.row.trim(&t.options, now)
	return nil
}

// stage adds to the batch what makes the store's row the pending one.
func (p *pendingRow) stage(s *Server, t *table, batch *pebble.Batch) error {
	r := &p.reader.row
	for i := range r.cells {
		c := &r.cells[i]
		if c.blob != 0 || len(c.Encoded) < inlineLimit {
			continue
		}
		c.blob = s.blobs.Add(1)
		if err := batch.Set(blobKey(t.id, c.blob), c.Encoded, nil); err != nil {
			return err
		}
	}
	for _, b := range p.blobs {
		if slices.ContainsFunc(r.cells, func(c storedCell) bool { return c.blob == b }) {
			continue
		}
		if err := batch.Delete(blobKey(t.id, b), nil); err != nil {
			return err
		}
	}
	switch {
	case r.exists():
		s.noteRemoved(t.id, p.trimmed.bytes)
		op := batch.SetDeferred(len(p.key), r.storedSize())
		copy(op.Key, p.key)
		r.appendTo(op.Value[:0])
		return op.Finish()
	case p.stored:
		s.noteRemoved(t.id, p.size)
		return batch.Delete(p.key, nil)
	}
	return nil
}

// stripeSeed spreads rows over the locks differently in each process.
var stripeSeed = maphash.MakeSeed()

// stripe returns the number of the lock that guards the row with the given key.
func stripe(key []byte) int { return int(maphash.Bytes(stripeSeed, key) % stripes) }
