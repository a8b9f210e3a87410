package store

import (
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/local"
)

func TestCountsOfACall(t *testing.T) {
	s, server, _ := newStore(t, compression("zstd"))
	counted := func(call func(s *Store, log *Log) error) Counts {
		t.Helper()
		log := &Log{ProjectLevel: 99, ClientLevel: 99}
		if err := call(s, log); err != nil {
			t.Fatal(err)
		}
		return log.Counts()
	}
	value, large := text(10_000), noise(2_200_000)

	c := counted(func(s *Store, log *Log) error { return s.Set(WithLog(t.Context(), log), "node", value, NoTTL) })
	if c[Requests] != 1 || c[Raw] != 10_000 || c[Stored] == 0 || c[Stored] > 1000 || c[Sent] < c[Stored] || c[Received] == 0 || c[Retries]+c[Throttled]+c[Split]+c[Missing] != 0 {
		t.Errorf("set: %v", c)
	}
	c = counted(func(s *Store, log *Log) error { return s.Set(WithLog(t.Context(), log), "large", large, NoTTL) })
	if c[Split] != 1 || c[Raw] != 2_200_000 || c[Requests] < 3 {
		t.Errorf("set of a large one: %v", c)
	}
	if err := server.SetFaults(local.Rule{Operation: "BatchGetRow", Count: local.Times(2), Fault: local.Fault{Code: "OTSServerBusy"}}); err != nil {
		t.Fatal(err)
	}
	c = counted(func(s *Store, log *Log) error {
		_, err := s.GetMany(WithLog(t.Context(), log), []string{"node", "gone", "node", "gone too", "large"})
		return err
	})
	if c[Missing] != 2 || c[Split] != 1 || c[Raw] != 2_210_000 || c[Retries] != 2 || c[Throttled] != 2 {
		t.Errorf("get many: %v", c)
	}
	if err := server.SetFaults(local.Rule{Operation: "BatchWriteRow", Count: local.Times(1), Fault: local.Fault{Code: "OTSServerBusy", Rows: []int{1}}}); err != nil {
		t.Fatal(err)
	}
	c = counted(func(s *Store, log *Log) error {
		return s.DeleteMany(WithLog(t.Context(), log), []string{"node", "large", "other"})
	})
	if c[Requests] != 2 || c[Retries] != 1 || c[Throttled] != 1 {
		t.Errorf("delete many with a throttled row: %v", c)
	}
	c = counted(func(s *Store, log *Log) error {
		_, _, err := s.Get(WithLog(t.Context(), log), "gone")
		return err
	})
	if c[Missing] != 1 || c[Requests] != 1 || c[Raw] != 0 {
		t.Errorf("get of a missing one: %v", c)
	}
}
