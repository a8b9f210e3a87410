package proof

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/store"
)

// The nodes that every case begins with, and what its operation writes.
var (
	before = bytes.Repeat([]byte(`{"event_id":"before"}`), 50)
	after  = bytes.Repeat([]byte(`{"event_id":"after"}`), 60)

	largeBefore = noise(2_200_000, 1)
	largeAfter  = noise(4_300_000, 2)
)

// noise does not compress, so that values of more than 2 MiB are split.
func noise(n int, seed byte) []byte {
	value := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(value)
	return value
}

// many are the ids of the operations on many nodes: two full requests of a batch, and some more.
var many = func() []string {
	ids := make([]string, 450)
	for i := range ids {
		ids[i] = fmt.Sprintf("many-%03d", i)
	}
	return ids
}()

// operation is a call of the store: how to make it, and what may be in the table after it.
type operation struct {
	name string
	// call fails with errWrong when what it was answered is not so.
	call func(context.Context, *store.Store) error
	// done is what the nodes it touches hold when it succeeded, nil for nothing; undone what they hold before. After an
	// error each holds one or the other.
	done, undone map[string][]byte
}

// errWrong is the one error that no case may have.
var errWrong = errors.New("WRONG ANSWER")

func each(ids []string, value []byte) map[string][]byte {
	nodes := make(map[string][]byte, len(ids))
	for _, id := range ids {
		nodes[id] = value
	}
	return nodes
}

func values(n int, value []byte) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = value
	}
	return all
}

func reads(id string, value []byte) func(context.Context, *store.Store) error {
	return func(ctx context.Context, s *store.Store) error {
		got, found, err := s.Get(ctx, id)
		if err == nil && (found != (value != nil) || !bytes.Equal(got, value)) {
			return fmt.Errorf("%w: get of %q: found %v, %d bytes instead of %d", errWrong, id, found, len(got), len(value))
		}
		return err
	}
}

// operations are all calls of a store that nodes are read and written with.
var operations = []operation{
	{name: "get", call: reads("node", before)},
	{name: "get, sent", call: getSent},
	{name: "get of a missing node", call: reads("missing", nil)},
	{name: "get of a split node", call: reads("large", largeBefore)},
	{name: "get many", call: func(ctx context.Context, s *store.Store) error {
		got, err := s.GetMany(ctx, append([]string{"missing", "large"}, many...))
		if err != nil {
			return err
		}
		for i, value := range got {
			wanted := before
			if i == 0 {
				wanted = nil
			} else if i == 1 {
				wanted = largeBefore
			}
			if !bytes.Equal(value, wanted) || (value == nil) != (wanted == nil) {
				return fmt.Errorf("%w: get many: place %d holds %d bytes instead of %d", errWrong, i, len(value), len(wanted))
			}
		}
		return nil
	}},
	{name: "set", call: func(ctx context.Context, s *store.Store) error { return s.Set(ctx, "node", after, store.NoTTL) },
		done: each([]string{"node"}, after), undone: each([]string{"node"}, before)},
	{name: "set, sent", call: setSent, done: each([]string{"node"}, after), undone: each([]string{"node"}, before)},
	{name: "set of a split node", call: func(ctx context.Context, s *store.Store) error {
		return s.Set(ctx, "large", largeAfter, store.NoTTL)
	}, done: each([]string{"large"}, largeAfter), undone: each([]string{"large"}, largeBefore)},
	{name: "set many", call: func(ctx context.Context, s *store.Store) error {
		return s.SetMany(ctx, many, values(len(many), after), store.NoTTL)
	}, done: each(many, after), undone: each(many, before)},
	{name: "delete", call: func(ctx context.Context, s *store.Store) error { return s.Delete(ctx, "node") },
		done: each([]string{"node"}, nil), undone: each([]string{"node"}, before)},
	{name: "delete, sent", call: deleteSent, done: each([]string{"node"}, nil), undone: each([]string{"node"}, before)},
	{name: "delete many", call: func(ctx context.Context, s *store.Store) error { return s.DeleteMany(ctx, many) },
		done: each(many, nil), undone: each(many, before)},
	{name: "cleanup", call: func(ctx context.Context, s *store.Store) error {
		_, err := s.Cleanup(ctx, time.Now().Add(time.Hour))
		return err
	}, done: each(many, nil), undone: each(many, before)},
	{name: "import", call: func(ctx context.Context, s *store.Store) error {
		nodes := make([]store.Imported, len(many))
		for i, id := range many {
			nodes[i] = store.Imported{ID: "imported-" + id, Value: after, Written: time.Now().UnixMilli() - 1000}
		}
		outcomes, err := s.Import(ctx, nodes, store.Plain, false)
		for _, outcome := range outcomes {
			// Newer: an earlier attempt of a repeated call brought it a moment later.
			if outcome != store.Written && outcome != store.Same && outcome != store.Newer {
				return fmt.Errorf("%w: import: outcome %c", errWrong, outcome)
			}
		}
		return err
	}, done: each(prefixed("imported-", many), after), undone: each(prefixed("imported-", many), nil)},
	{name: "discard", call: func(ctx context.Context, s *store.Store) error {
		nodes, err := s.ScanMany(ctx, many, false)
		if err != nil {
			return err
		}
		ids, written := make([]string, len(nodes)), make([]int64, len(nodes))
		for i, node := range nodes {
			ids[i], written[i] = node.ID, node.Written
		}
		_, err = s.Discard(ctx, ids, written)
		return err
	}, done: each(many, nil), undone: each(many, before)},
	{name: "scan many", call: func(ctx context.Context, s *store.Store) error {
		nodes, err := s.ScanMany(ctx, append([]string{"missing"}, many...), true)
		if err != nil {
			return err
		}
		if len(nodes) != len(many) {
			return fmt.Errorf("%w: scan many: %d nodes", errWrong, len(nodes))
		}
		for i, node := range nodes {
			if node.ID != many[i] || !bytes.Equal(node.Value, before) {
				return fmt.Errorf("%w: scan many: %q has %d bytes, %s", errWrong, node.ID, len(node.Value), node.Error)
			}
		}
		return nil
	}},
	{name: "scan", call: func(ctx context.Context, s *store.Store) error {
		seen, next := 0, ""
		for {
			nodes, following, err := s.Scan(ctx, next, "", 1000, true)
			if err != nil {
				return err
			}
			for _, node := range nodes {
				if wanted := map[bool][]byte{true: largeBefore, false: before}[node.ID == "large"]; !bytes.Equal(node.Value, wanted) {
					return fmt.Errorf("%w: scan: %q has %d bytes, %s", errWrong, node.ID, len(node.Value), node.Error)
				}
			}
			if seen += len(nodes); following == "" {
				break
			}
			next = following
		}
		if seen != len(many)+2 {
			return fmt.Errorf("%w: scan: %d nodes", errWrong, seen)
		}
		return nil
	}},
	{name: "describe", call: func(ctx context.Context, s *store.Store) error {
		description, err := s.Describe(ctx)
		if err == nil && description.Options.MaxVersions != 1 {
			return fmt.Errorf("%w: describe: %+v", errWrong, description)
		}
		return err
	}},
	{name: "bootstrap", call: func(ctx context.Context, s *store.Store) error { return s.Bootstrap(ctx) }},
	{name: "destroy", call: func(ctx context.Context, s *store.Store) error { return s.Destroy(ctx) },
		done: each([]string{"node"}, nil), undone: each([]string{"node"}, before)},
}

func prefixed(prefix string, ids []string) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = prefix + id
	}
	return all
}
