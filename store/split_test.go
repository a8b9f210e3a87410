package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

func TestValuesAroundAndAboveACell(t *testing.T) {
	// The race detector makes checksums of 64 MB slow.
	s, _, _ := newStore(t, func(o *Options) { o.TimeoutMillis = 60_000 })
	for _, size := range []int{maxCell - 1, maxCell, maxCell + 1, 2 * partSize, 2*partSize + 1, 5_000_000, MaxValueSize} {
		value := noise(size)
		mustSet(t, s, "node", value)
		want(t, s, "node", value)
		if size > 32<<20 {
			continue // more than one answer may hold
		}
		if split := rawRowNames(t, s, "node")[columnGeneration]; split != (size > maxCell) {
			t.Errorf("%d bytes: split %v", size, split)
		}
	}
}

func TestCompressedLargeValue(t *testing.T) {
	s, _, _ := newStore(t, compression("zstd"))
	value := bytes.Join([][]byte{text(10_000_000), noise(3_000_000)}, nil)
	mustSet(t, s, "node", value)
	want(t, s, "node", value)
	if flags := rawRow(t, s, "node")[columnFlags]; flags != int64(flagZstd|flagSplit) {
		t.Errorf("flags %v", flags)
	}
}

// rawRowNames are the names of all columns of a row.
func rawRowNames(t *testing.T, s *Store, id string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for name := range rawRow(t, s, id) {
		names[name] = true
	}
	return names
}

func onlyColumns(t *testing.T, s *Store, id string, wanted ...string) {
	t.Helper()
	names := rawRowNames(t, s, id)
	for _, name := range wanted {
		if !names[name] {
			t.Errorf("column %s is missing", name)
		}
		delete(names, name)
	}
	if len(names) > 0 {
		t.Errorf("columns %v are left over", names)
	}
}

func TestReplacingASplitValueLeavesNothingBehind(t *testing.T) {
	s, _, _ := newStore(t)
	large := noise(5_000_000)
	shape := func() []string {
		n := rawRow(t, s, "node")
		return append(partNames(n[columnGeneration].(string), n[columnParts].(int64)), columnFlags, columnGeneration, columnParts, columnSize)
	}

	mustSet(t, s, "node", []byte("small"))
	mustSet(t, s, "node", large)
	onlyColumns(t, s, "node", shape()...)

	mustSet(t, s, "node", noise(9_000_000))
	onlyColumns(t, s, "node", shape()...)
	want(t, s, "node", noise(9_000_000))

	if err := s.Set(t.Context(), "node", large, time.Hour); err != nil {
		t.Fatal(err)
	}
	onlyColumns(t, s, "node", append(shape(), columnExpires)...)
	mustSet(t, s, "node", large)
	onlyColumns(t, s, "node", shape()...)

	mustSet(t, s, "node", []byte("small"))
	onlyColumns(t, s, "node", columnData, columnFlags)
	mustSet(t, s, "node", large)
	if err := s.Delete(t.Context(), "node"); err != nil {
		t.Fatal(err)
	}
	onlyColumns(t, s, "node")
}

func TestLargeValuesInBatches(t *testing.T) {
	s, _, _ := newStore(t)
	ids := []string{"a", "b", "c", "d"}
	values := [][]byte{noise(3_000_000), []byte("small"), noise(5_000_000), noise(2_000_000)}
	if err := s.SetMany(t.Context(), ids, values, NoTTL); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetMany(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ids {
		if !bytes.Equal(got[i], values[i]) {
			t.Errorf("%s differs", ids[i])
		}
	}
}

func TestReadersSeeTheOldValueOrTheNewOne(t *testing.T) {
	s, _, _ := newStore(t)
	values := [][]byte{noise(5_000_000), []byte("small"), noise(4_500_001), noise(2_500_000)}
	mustSet(t, s, "node", values[0])
	var writing atomic.Bool
	writing.Store(true)
	var readers sync.WaitGroup
	for range 3 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for writing.Load() {
				got, found, err := s.Get(t.Context(), "node")
				if err != nil || !found {
					t.Errorf("get: found %v, %v", found, err)
					return
				}
				known := false
				for _, value := range values {
					known = known || bytes.Equal(got, value)
				}
				if !known {
					t.Errorf("read %d bytes that nobody wrote", len(got))
				}
			}
		}()
	}
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for i := range 6 {
				if err := s.Set(t.Context(), "node", values[(w+i)%len(values)], NoTTL); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	writers.Wait()
	writing.Store(false)
	readers.Wait()
	mustSet(t, s, "node", values[0])
	n := rawRow(t, s, "node")
	if generation, ok := n[columnGeneration].(string); ok {
		onlyColumns(t, s, "node", append(partNames(generation, n[columnParts].(int64)), columnFlags, columnGeneration, columnParts, columnSize)...)
	}
}

// At every step of a split write, somebody else's write of the same node comes first. Whoever was last wins whole,
// and nothing of the other stays.
func TestAnotherWriteBetweenTheSteps(t *testing.T) {
	others := map[string]func(s *Store) error{
		"a small value": func(s *Store) error { return s.set(t.Context(), "node", []byte("other"), NoTTL) },
		"a large value": func(s *Store) error { return s.set(t.Context(), "node", noise(2_500_000), NoTTL) },
		"a delete":      func(s *Store) error { return s.Delete(t.Context(), "node") },
	}
	for name, other := range others {
		for step := range 5 { // two requests of parts, the look at the row, the last one
			t.Run(fmt.Sprintf("%s at step %d", name, step), func(t *testing.T) {
				s, server, _ := newStore(t)
				intruder := openStore(t, optionsFor(server))
				var requests, intrusions atomic.Int32
				server.Control(func(string, []byte) *local.Fault {
					if int(requests.Add(1))-1 == step && intrusions.Add(1) == 1 {
						if err := other(intruder); err != nil {
							t.Error(err)
						}
					}
					return nil
				})
				if err := s.Set(t.Context(), "node", noise(5_000_000), NoTTL); err != nil {
					t.Fatal(err)
				}
				server.Control(nil)
				if _, _, err := s.Get(t.Context(), "node"); err != nil {
					t.Fatal(err)
				}
				s.background.Wait()
				columns := rawRow(t, s, "node")
				generation, _ := columns[columnGeneration].(string)
				for column := range columns {
					if strings.HasPrefix(column, "staged_") || strings.HasPrefix(column, "part_") && !strings.Contains(column, generation) {
						t.Errorf("column %s is left over", column)
					}
				}
			})
		}
	}
}

// A staging request that was given up may arrive when the value has been published, and make it look as if it was not.
func TestLateStagingDoesNotUndoAPublishedValue(t *testing.T) {
	s, _, _ := newStore(t)
	mustSet(t, s, "node", noise(5_000_000))
	columns := rawRow(t, s, "node")
	generation, parts := columns[columnGeneration].(string), columns[columnParts].(int64)
	late := &tablestore.RowChange{Kind: tablestore.Update, PrimaryKey: primaryKey("node"), Columns: []tablestore.Column{{Name: stagedName(generation), Value: int64(1)}}}
	if err := s.write(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if err := s.unstage(t.Context(), "node", generation, parts); !conditionFailed(err) {
		t.Errorf("unstaged: %v", err)
	}
	want(t, s, "node", noise(5_000_000))
}

func TestFailedSplitWriteKeepsTheOldValueAndCleansUp(t *testing.T) {
	s, server, _ := newStore(t)
	mustSet(t, s, "node", []byte("old"))
	var updates atomic.Int32
	server.Control(func(operation string, _ []byte) *local.Fault {
		if operation == "UpdateRow" {
			if updates.Add(1) == 2 {
				return &local.Fault{Action: local.ActionError, Code: "OTSParameterInvalid"}
			}
		}
		return nil
	})
	e := failure(t, s.Set(t.Context(), "node", noise(5_000_000), NoTTL), KindService)
	if e.Code != "OTSParameterInvalid" {
		t.Errorf("code %s", e.Code)
	}
	s.background.Wait()
	want(t, s, "node", []byte("old"))
	onlyColumns(t, s, "node", columnData, columnFlags)
}

func TestLastAnswerOfASplitWriteIsLost(t *testing.T) {
	s, server, _ := newStore(t)
	var updates atomic.Int32
	server.Control(func(operation string, _ []byte) *local.Fault {
		if operation == "UpdateRow" {
			if updates.Add(1) == 3 {
				return &local.Fault{Action: local.ActionDropAfter}
			}
		}
		return nil
	})
	value := noise(5_000_000)
	mustSet(t, s, "node", value)
	want(t, s, "node", value)
}

func TestMissingPartIsCorruptAndNotMissing(t *testing.T) {
	s, _, _ := newStore(t)
	mustSet(t, s, "node", noise(5_000_000))
	row := rawRow(t, s, "node")
	generation := row[columnGeneration].(string)
	err := s.client.WriteRow(t.Context(), s.options.Table, &tablestore.RowChange{
		Kind: tablestore.Update, PrimaryKey: primaryKey("node"), Deletes: []tablestore.ColumnDelete{{Name: partName(generation, 1)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Get(t.Context(), "node")
	e := failure(t, err, KindCorruptRow)
	if len(e.IDs) != 1 || e.IDs[0] != "node" {
		t.Errorf("ids %v", e.IDs)
	}
	_, err = s.GetMany(t.Context(), []string{"node", "other"})
	failure(t, err, KindCorruptRow)
	if errors.Is(err, errSuperseded) {
		t.Error("an internal error came out")
	}
}

func TestCloseDoesNotWaitForTheRemovalOfWhatAFailedWriteStaged(t *testing.T) {
	s, server, _ := newStore(t)
	var updates atomic.Int32
	removing, release := make(chan struct{}), make(chan struct{})
	server.Control(func(operation string, _ []byte) *local.Fault {
		switch {
		case operation != "UpdateRow":
		case updates.Add(1) == 2: // the second one publishes
			return &local.Fault{Code: "OTSParameterInvalid"}
		case updates.Load() == 3:
			close(removing)
			<-release
		}
		return nil
	})
	if err := s.Set(t.Context(), "node", text(3_000_000), NoTTL); err == nil {
		t.Fatal("no error")
	}
	<-removing
	closed := make(chan struct{})
	go func() {
		s.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		t.Error("it waits")
	}
	close(release)
	s.background.Wait()
	if left := rawRow(t, s, "node"); len(left) != 0 {
		t.Errorf("columns are left: %d", len(left))
	}
}
