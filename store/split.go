package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// A value that does not fit into one cell is written in two steps. Its parts are staged under the names of a
// fresh generation, next to whatever the row shows at the moment; then one last UpdateRow makes the generation
// the row's value and drops what was there before. So a reader sees the old value or the new one.
//
// A PutRow or DeleteRow of somebody else may empty the row in between. The column staged_<generation>, written with
// the first parts, is the witness: every later step has the condition that it is still there. When it is not, the other write
// counts as the later one of two concurrent writes, and this one leaves nothing behind.
const (
	partSize        = 2_000_000 // two of them and their names stay under the 4 MiB of an UpdateRow
	partsPerRequest = 2
	// maxEncodedSize leaves room for a value that grows a little by compression.
	maxEncodedSize = MaxValueSize + MaxValueSize/64
	maxParts       = (maxEncodedSize + partSize - 1) / partSize
	// splitRequests is how many requests of one split value are in flight at once, each with up to 4 MB.
	splitRequests = 4
)

func partName(generation string, part int64) string {
	return fmt.Sprintf("part_%s_%03d", generation, part)
}

func partNames(generation string, parts int64) []string {
	names := make([]string, parts)
	for i := range names {
		names[i] = partName(generation, int64(i))
	}
	return names
}

func stagedName(generation string) string { return "staged_" + generation }

// errSuperseded says that another write of the same node came in between.
var errSuperseded = errors.New("superseded by a concurrent write")

// writeSplit writes a value that is too large for one column, whatever the row holds.
func (s *Store) writeSplit(ctx context.Context, id string, e *encoded) error {
	err := s.stageAndPublish(ctx, id, e)
	if errors.Is(err, errSuperseded) {
		logf(ctx, levelDebug, "set of node %q: superseded by a concurrent write", id)
		return nil
	}
	return err
}

// stageAndPublish fails with errSuperseded after another write in between, or when the row holds a value and
// e is for a missing node; nothing is left behind then.
func (s *Store) stageAndPublish(ctx context.Context, id string, e *encoded) error {
	var random [8]byte
	rand.Read(random[:]) // never fails: it ends the program instead
	generation := hex.EncodeToString(random[:])
	parts := int64((len(e.data) + partSize - 1) / partSize)

	err := s.stage(ctx, id, e, generation, parts)
	if err == nil {
		err = s.publish(ctx, id, e, generation, parts)
	}
	if err != nil {
		s.later(func(ctx context.Context) error { return s.unstage(ctx, id, generation, parts) })
	}
	return err
}

// stillStaged is the condition that the row still holds what was staged.
func stillStaged(generation string) *tablestore.Filter {
	return &tablestore.Filter{Column: stagedName(generation), Comparator: tablestore.Equal, Value: int64(1)}
}

func (s *Store) stage(ctx context.Context, id string, e *encoded, generation string, parts int64) error {
	requests := int((parts + partsPerRequest - 1) / partsPerRequest)
	send := func(request int) error {
		change := &tablestore.RowChange{Kind: tablestore.Update, PrimaryKey: primaryKey(id)}
		first := int64(request) * partsPerRequest
		for part := first; part < min(first+partsPerRequest, parts); part++ {
			piece := e.data[part*partSize : min((part+1)*partSize, int64(len(e.data)))]
			change.Columns = append(change.Columns, tablestore.Column{Name: partName(generation, part), Value: piece, Timestamp: e.written})
		}
		if request == 0 {
			change.Columns = append(change.Columns, tablestore.Column{Name: stagedName(generation), Value: int64(1), Timestamp: e.written})
		} else {
			change.Condition = stillStaged(generation)
		}
		err := s.write(ctx, change)
		if conditionFailed(err) {
			return errSuperseded
		}
		return err
	}
	if err := send(0); err != nil {
		return err
	}
	return firstOf(parallel(requests-1, splitRequests, func(i int) error { return send(i + 1) }))
}

// publish makes the staged generation the row's value, whatever that was before, or only where there was none.
func (s *Store) publish(ctx context.Context, id string, e *encoded, generation string, parts int64) error {
	columns := []string{columnFlags, columnGeneration, columnParts, stagedName(generation)}
	if e.missing {
		columns = append(columns, columnData) // rows of 1.0 may have nothing else
	}
	for {
		before, err := s.getRow(ctx, id, columns)
		if err != nil {
			return err
		}
		old := splitState(before, generation)
		if old.generation == generation {
			return nil // the answer to an earlier attempt was lost, but not the write
		}
		if !old.staged || e.missing && hasValue(before) {
			return errSuperseded
		}
		change := &tablestore.RowChange{
			Kind: tablestore.Update, PrimaryKey: primaryKey(id),
			Columns: []tablestore.Column{
				{Name: columnFlags, Value: e.flags | flagSplit, Timestamp: e.written},
				{Name: columnGeneration, Value: generation, Timestamp: e.written},
				{Name: columnParts, Value: parts, Timestamp: e.written},
				{Name: columnSize, Value: int64(len(e.data)), Timestamp: e.written},
			},
			Deletes:   []tablestore.ColumnDelete{{Name: stagedName(generation)}},
			Condition: stillStaged(generation),
		}
		if e.expires != 0 {
			change.Columns = append(change.Columns, tablestore.Column{Name: columnExpires, Value: e.expires, Timestamp: e.written})
		} else {
			change.Deletes = append(change.Deletes, tablestore.ColumnDelete{Name: columnExpires})
		}
		if e.missing {
			change.Condition.And = noValue()
		} else {
			change.Deletes = append(change.Deletes, tablestore.ColumnDelete{Name: columnData})
			for _, name := range partNames(old.generation, old.parts) {
				change.Deletes = append(change.Deletes, tablestore.ColumnDelete{Name: name})
			}
			// Another split value may have been published since: its parts would stay for ever.
			change.Condition.And = &tablestore.Filter{
				Column: columnGeneration, Comparator: tablestore.Equal, Value: old.generation, PassIfMissing: old.generation == "",
			}
		}
		err = s.write(ctx, change)
		if !conditionFailed(err) {
			return err
		}
	}
}

// hasValue says whether a row, of which these columns were read, holds a node: one that is only staged is none.
func hasValue(row *tablestore.Row) bool {
	return row != nil && slices.ContainsFunc(row.Columns, func(c tablestore.Column) bool {
		return c.Name == columnFlags || c.Name == columnData
	})
}

// noValue is the condition that a row holds no node.
func noValue() *tablestore.Filter {
	return &tablestore.Filter{Column: columnFlags, Comparator: tablestore.Equal, Value: int64(-1), PassIfMissing: true,
		And: &tablestore.Filter{Column: columnData, Comparator: tablestore.Equal, Value: []byte{}, PassIfMissing: true}}
}

type split struct {
	generation string
	parts      int64
	staged     bool
}

// splitState reads what is published in a row and whether the generation is staged there.
func splitState(row *tablestore.Row, generation string) (state split) {
	if row == nil {
		return state
	}
	for _, column := range row.Columns {
		switch column.Name {
		case columnGeneration:
			state.generation, _ = column.Value.(string)
		case columnParts:
			state.parts, _ = column.Value.(int64)
		case stagedName(generation):
			state.staged = true
		}
	}
	if state.parts < 0 || state.parts > maxParts {
		state.parts = 0
	}
	return state
}

// unstage removes what a failed write has staged, unless it was published after all. That it is still staged does not tell: the first
// request of the staging may have been given up and arrive after the publishing.
func (s *Store) unstage(ctx context.Context, id, generation string, parts int64) error {
	change := &tablestore.RowChange{Kind: tablestore.Update, PrimaryKey: primaryKey(id), Condition: stillStaged(generation)}
	change.Condition.And = &tablestore.Filter{
		Column: columnGeneration, Comparator: tablestore.NotEqual, Value: generation, PassIfMissing: true,
	}
	for _, name := range append(partNames(generation, parts), stagedName(generation)) {
		change.Deletes = append(change.Deletes, tablestore.ColumnDelete{Name: name})
	}
	return s.write(ctx, change)
}

// readSplit reads the parts of a split node. The row may be written anew in between: it is read
// again then, and the node that the value belongs to is returned, nil when there is none any more.
func (s *Store) readSplit(ctx context.Context, n *node) ([]byte, *node, error) {
	for {
		encoded, err := s.readParts(ctx, n)
		if err != nil || encoded != nil {
			return encoded, n, err
		}
		row, err := s.getRow(ctx, n.id, nodeColumns)
		if err != nil || row == nil {
			return nil, nil, err
		}
		again, err := parseNode(row)
		if err != nil {
			return nil, nil, err
		}
		if !s.visible(again) {
			return nil, nil, nil
		}
		if again.flags&flagSplit == 0 {
			return again.data, again, nil
		}
		if again.generation == n.generation {
			if s.expiring(again) {
				return nil, nil, nil
			}
			return nil, nil, corrupt(n.id, "parts of its value are missing")
		}
		n = again
	}
}

// expiring says whether the parts, written before the columns that describe them, may have reached the table's
// TimeToLive a little earlier than those.
func (s *Store) expiring(n *node) bool {
	ttl := s.options.DefaultTTLMillis
	return ttl > 0 && s.now().UnixMilli() > n.written+ttl-time.Hour.Milliseconds()
}

// readParts returns nil when a part is missing.
func (s *Store) readParts(ctx context.Context, n *node) ([]byte, error) {
	names := partNames(n.generation, n.parts)
	pieces := make([][]byte, n.parts)
	groups := chunksOf(len(names), partsPerRequest)
	err := firstOf(parallel(len(groups), splitRequests, func(g int) error {
		group := groups[g]
		first, last := group[0], group[len(group)-1]
		row, err := s.getRow(ctx, n.id, names[first:last+1])
		if err != nil || row == nil {
			return err
		}
		for _, column := range row.Columns {
			for i := first; i <= last; i++ {
				if column.Name == names[i] {
					pieces[i], _ = column.Value.([]byte)
				}
			}
		}
		return nil
	}))
	if err != nil {
		return nil, err
	}
	encoded := make([]byte, 0, n.size)
	for _, piece := range pieces {
		if len(piece) == 0 {
			return nil, nil
		}
		encoded = append(encoded, piece...)
	}
	if int64(len(encoded)) != n.size {
		return nil, corrupt(n.id, "its parts have %d bytes, not the %d that it should have", len(encoded), n.size)
	}
	return encoded, nil
}

func conditionFailed(err error) bool {
	var failure *tablestore.Error
	return errors.As(err, &failure) && failure.ConditionFailed()
}
