package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Encoding is the form in which the value of an imported node comes.
type Encoding int

const (
	Plain      Encoding = iota // the value itself
	Zlib                       // a zlib stream of it
	Base64Zlib                 // that in base64, as in column data of Django's table nodestore_node
)

// Outcome is what became of an imported node.
type Outcome = byte

const (
	Written Outcome = 'w' // it is in the table now, with its write time
	Same    Outcome = 's' // the node in the table has this very write time: an earlier run, or a write whose answer was lost, brought it
	Newer   Outcome = 'n' // the node in the table is newer, and was left alone
	Exists  Outcome = 'e' // there is another in the table, be it one whose own ttl has passed, and only missing ones were to be written
	Expired Outcome = 'x' // it is older than the table keeps nodes, or will be within a minute, and was not written
	Pickle  Outcome = 'p' // in Django's table, but no JSON: Sentry's own reader takes it for a pickle. Not written
	Broken  Outcome = 'b' // it cannot be decoded, and was not written
)

// Imported is a node that comes from another store.
type Imported struct {
	ID    string
	Value []byte
	// Written and Expires are in milliseconds since 1970. Written 0 stands for now, Expires 0 for: when the table says so.
	Written, Expires int64
}

// Import writes nodes with the time at which they were first written, and says for each what became of it. Nothing newer is
// ever overwritten, whoever writes at the same moment; with onlyMissing, nothing at all is. An older node is deleted before the
// imported one is written, so for a moment neither can be read.
//
// After an error some nodes may have been written. Repeating the call is safe: they are Same then.
func (s *Store) Import(ctx context.Context, nodes []Imported, encoding Encoding, onlyMissing bool) ([]Outcome, error) {
	const operation = "import_many"
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return nil, s.failed(operation, err)
	}
	defer cancel()
	if encoding < Plain || encoding > Base64Zlib {
		return nil, s.failed(operation, &Error{Kind: KindOptions, Message: fmt.Sprintf("unknown encoding %d", encoding)})
	}
	ids := make([]string, len(nodes))
	for i := range nodes {
		ids[i] = nodes[i].ID
		if err := checkID(ids[i]); err != nil {
			return nil, s.failed(operation, err, ids[i])
		}
	}
	if unique, _ := distinct(ids); len(unique) != len(ids) {
		return nil, s.failed(operation, &Error{Kind: KindOptions, Message: "an id is there twice"})
	}

	in := importing{store: s, ids: ids, encodings: make([]*encoded, len(nodes)), outcomes: make([]Outcome, len(nodes)), errs: make([]error, len(nodes)), onlyMissing: onlyMissing}
	defer in.release()
	err = firstOf(parallel(len(nodes), cores, func(i int) (err error) {
		in.encodings[i], in.outcomes[i], err = s.prepare(ctx, &nodes[i], encoding)
		if err == nil && in.encodings[i] != nil {
			in.encodings[i].missing = true
		}
		return err
	}))
	if err == nil {
		err = in.write(ctx)
	}
	if err != nil {
		return nil, s.failed(operation, err)
	}
	if err := s.batchFailed(operation, ids, in.errs); err != nil {
		return nil, err
	}
	return in.outcomes, nil
}

// scratches are for values that are looked at, and not kept.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the largest that is kept for the next value.
const maxScratch = 1 << 20

// importMargin is how many milliseconds before its time a node counts as expired where the table itself expires nodes: it refuses, by
// its own clock and a moment later, cells that it would not keep, as if something were wrong with them.
const importMargin = 60_000

// prepare gives what is to be written, or why nothing is.
func (s *Store) prepare(ctx context.Context, node *Imported, encoding Encoding) (*encoded, Outcome, error) {
	now := s.now().UnixMilli()
	ttl := s.options.DefaultTTLMillis
	if s.options.AutomaticExpiry {
		ttl -= importMargin
	}
	if node.Expires != 0 && node.Expires <= now || node.Written != 0 && s.options.DefaultTTLMillis > 0 && node.Written+ttl <= now {
		return nil, Expired, nil
	}
	stream, value := node.Value, node.Value
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	var err error
	if encoding == Base64Zlib {
		stream = make([]byte, base64.StdEncoding.DecodedLen(len(node.Value)))
		var n int
		if n, err = base64.StdEncoding.Decode(stream, node.Value); err != nil {
			return nil, Broken, nil
		}
		stream = stream[:n]
	}
	if encoding != Plain {
		if value, err = inflateInto(*scratch, stream); err != nil {
			return nil, Broken, nil
		}
		if cap(value) <= maxScratch {
			*scratch = value
		}
	}
	if encoding == Base64Zlib && !bytes.HasPrefix(value, []byte("{")) {
		return nil, Pickle, nil
	}
	if err := checkSize(value); err != nil {
		return nil, 0, s.failed("import_many", err, node.ID)
	}
	var e *encoded
	if encoding != Plain && s.compression == flagZlib {
		e = &encoded{data: stream, flags: flagZlib}
		e.counted(ctx, len(value))
	} else {
		if e, err = s.encode(ctx, value, 0); err != nil {
			return nil, 0, err
		}
		if s.compression != 0 || encoding != Plain {
			// A thousand nodes wait to be written at once. In buffers of the pool, each of which was some large node's before,
			// they would take many times their size.
			kept := &encoded{data: bytes.Clone(e.data), flags: e.flags}
			e.release()
			e = kept
		}
	}
	e.expires, e.written = node.Expires, node.Written
	return e, 0, nil
}

// importing is an import under way. Nodes whose outcome is 0 are yet to be written.
type importing struct {
	store       *Store
	ids         []string
	encodings   []*encoded
	outcomes    []Outcome
	errs        []error
	onlyMissing bool
}

func (in *importing) release() {
	for _, e := range in.encodings {
		if e != nil {
			e.release()
		}
	}
}

// maxImportRounds bounds how often a node is looked at again that others write at the same time.
const maxImportRounds = 5

// write writes all nodes whose rows are not there. Of the rest it deletes what is older, and tries again.
func (in *importing) write(ctx context.Context) error {
	for round := range maxImportRounds {
		occupied, err := in.writeMissing(ctx, round > 0)
		if err != nil || len(occupied) == 0 {
			return err
		}
		if err := in.compare(ctx, occupied); err != nil {
			return err
		}
	}
	for i, outcome := range in.outcomes {
		if outcome == 0 && in.errs[i] == nil {
			in.errs[i] = &Error{Kind: KindUnavailable, Message: "others keep writing this node at the same time"}
		}
	}
	return nil
}

// writeMissing gives the indexes of the nodes whose rows hold something.
func (in *importing) writeMissing(ctx context.Context, again bool) (occupied []int, err error) {
	s := in.store
	var todo []int
	for i, outcome := range in.outcomes {
		if outcome == 0 && in.errs[i] == nil {
			todo = append(todo, i)
		}
	}
	ids, encodings := make([]string, len(todo)), make([]*encoded, len(todo))
	for k, i := range todo {
		ids[k], encodings[k] = in.ids[i], in.encodings[i]
	}
	errs := make([]error, len(todo))
	requests := packWrites(ids, encodings)
	failures := parallel(len(requests), requestsPerCall, func(r int) error {
		places := requests[r]
		if k := places[0]; encodings[k].split() {
			errs[k] = in.writeSplit(ctx, todo[k])
			return nil
		}
		s.batch(ctx, places, errs, func(ctx context.Context, places []int) ([]error, error) {
			changes := make([]tablestore.RowChange, len(places))
			for j, k := range places {
				changes[j] = *encodings[k].put(ids[k])
				changes[j].Missing = true
				if again {
					// A row that holds no node may still hold the parts of a write that was given up.
					changes[j].Kind, changes[j].Missing, changes[j].Condition = tablestore.Update, false, noValue()
				}
			}
			return s.client.BatchWriteRow(ctx, s.options.Table, changes)
		})
		return nil
	})
	if err := firstOf(failures); err != nil {
		return nil, err
	}
	for k, i := range todo {
		switch {
		case errs[k] == nil:
			in.outcomes[i] = Written
		case errors.Is(errs[k], errSuperseded) || conditionFailed(errs[k]):
			occupied = append(occupied, i)
		default:
			in.errs[i] = errs[k]
		}
	}
	return occupied, nil
}

// writeSplit looks first, so that no parts are staged in vain.
func (in *importing) writeSplit(ctx context.Context, i int) error {
	row, err := in.store.getRow(ctx, in.ids[i], nodeColumns)
	if err != nil {
		return err
	}
	if hasValue(row) {
		return errSuperseded
	}
	return in.store.stageAndPublish(ctx, in.ids[i], in.encodings[i])
}

// compare decides about the nodes at the indexes, whose rows hold something, and deletes what is older and may be replaced. A row may
// also be this import's own: of a write whose answer was lost.
func (in *importing) compare(ctx context.Context, indexes []int) error {
	s := in.store
	ids := make([]string, len(indexes))
	for k, i := range indexes {
		ids[k] = in.ids[i]
	}
	rows, err := in.occupants(ctx, ids)
	if err != nil {
		return err
	}
	var older []tablestore.Row
	for k, i := range indexes {
		if !hasValue(rows[k]) {
			continue
		}
		wanted, there := in.encodings[i].written, writtenAt(rows[k])
		switch {
		case wanted != 0 && there == wanted:
			in.outcomes[i] = Same
		case in.onlyMissing:
			in.outcomes[i] = Exists
		case wanted == 0: // now
			older = append(older, *rows[k])
		case there > wanted:
			in.outcomes[i] = Newer
		default:
			older = append(older, *rows[k])
		}
	}
	_, err = s.deleteCells(ctx, older)
	return err
}

// occupants reads as much of rows as has to be known of them.
func (in *importing) occupants(ctx context.Context, ids []string) ([]*tablestore.Row, error) {
	if !in.onlyMissing {
		return in.store.getRows(ctx, ids, nodeColumns)
	}
	// The time of a node is that of its flags: its value need not be read. Rows of 1.0 may have none.
	rows, err := in.store.getRows(ctx, ids, []string{columnFlags})
	if err != nil {
		return nil, err
	}
	var without []int
	var theirs []string
	for k, row := range rows {
		if row == nil {
			without, theirs = append(without, k), append(theirs, ids[k])
		}
	}
	whole, err := in.store.getRows(ctx, theirs, nodeColumns)
	for k, row := range whole {
		rows[without[k]] = row
	}
	return rows, err
}

// getRows reads columns of rows; nil for those that have none of them.
func (s *Store) getRows(ctx context.Context, ids, columns []string) ([]*tablestore.Row, error) {
	rows, errs := make([]*tablestore.Row, len(ids)), make([]error, len(ids))
	chunks := chunksOf(len(ids), maxBatchGet)
	failures := parallel(len(chunks), requestsPerCall, func(c int) error {
		s.getRowsBatch(ctx, ids, columns, chunks[c], rows, errs)
		return nil
	})
	if err := firstOf(failures); err != nil {
		return nil, err
	}
	return rows, s.batchFailed("get_many", ids, errs)
}

// writtenAt is when the node in a row was written.
func writtenAt(row *tablestore.Row) (written int64) {
	for i := range row.Columns {
		switch row.Columns[i].Name {
		case columnData, columnFlags:
			written = max(written, row.Columns[i].Timestamp)
		}
	}
	return written
}

// Discard deletes nodes that were written exactly at the given times (milliseconds since 1970) and returns how many: it takes
// an import back, and leaves alone what others have written since.
func (s *Store) Discard(ctx context.Context, ids []string, written []int64) (int64, error) {
	const operation = "discard_many"
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return 0, s.failed(operation, err)
	}
	defer cancel()
	for _, id := range ids {
		if err := checkID(id); err != nil {
			return 0, s.failed(operation, err, id)
		}
	}
	rows, err := s.getRows(ctx, ids, nodeColumns)
	if err != nil {
		return 0, s.failed(operation, err)
	}
	var matching []tablestore.Row
	for i, row := range rows {
		if hasValue(row) && writtenAt(row) == written[i] {
			matching = append(matching, *row)
		}
	}
	deleted, err := s.deleteCells(ctx, matching)
	return deleted, s.failed(operation, err)
}
