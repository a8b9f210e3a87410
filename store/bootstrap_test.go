package store

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// watched notes the operations that a server sees.
func watched(server *local.TestServer) func() []string {
	var mu sync.Mutex
	var seen []string
	server.Control(func(operation string, _ []byte) *local.Fault {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, operation)
		return nil
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		defer func() { seen = nil }()
		return seen
	}
}

func describedBy(t *testing.T, s *Store) *tablestore.TableDescription {
	t.Helper()
	d, err := s.client.DescribeTable(t.Context(), s.options.Table)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBootstrapCreatesUpdatesAndThenChangesNothing(t *testing.T) {
	server := local.RunT(t)
	seen := watched(server)
	steps := []struct {
		options func(*Options)
		sends   []string
		ttl     int
	}{
		{func(*Options) {}, []string{"DescribeTable", "CreateTable", "GetRow"}, -1},
		{func(*Options) {}, []string{"DescribeTable", "GetRow"}, -1},
		{ttl(90*day, true), []string{"DescribeTable", "UpdateTable", "GetRow"}, 90 * 86400},
		{ttl(90*day, true), []string{"DescribeTable", "GetRow"}, 90 * 86400},
		{ttl(90*day, false), []string{"DescribeTable", "UpdateTable", "GetRow"}, -1},
	}
	for i, step := range steps {
		s := openStore(t, optionsFor(server, step.options))
		if err := s.Bootstrap(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sent := seen(); !slices.Equal(sent, step.sends) {
			t.Errorf("step %d sent %v, want %v", i, sent, step.sends)
		}
		d := describedBy(t, s)
		seen()
		if d.Options.TimeToLive != step.ttl || d.Options.MaxVersions != 1 || d.Throughput != (tablestore.ReservedThroughput{}) {
			t.Errorf("step %d: table %+v", i, d)
		}
		if d.Options.MaxTimeDeviation < int64(step.ttl) || d.Options.MaxTimeDeviation < 86400 {
			t.Errorf("step %d: rows of a migration could not keep their time: deviation %d", i, d.Options.MaxTimeDeviation)
		}
	}
}

func TestBootstrapRefusesATableOfAnotherShape(t *testing.T) {
	for _, key := range [][]tablestore.PrimaryKeySchema{
		{{Name: "id", Type: "INTEGER"}}, {{Name: "key", Type: "STRING"}}, {{Name: "id", Type: "STRING"}, {Name: "b", Type: "STRING"}},
	} {
		server := local.RunT(t)
		s := openStore(t, optionsFor(server, ttl(day, true)))
		other := &tablestore.TableDescription{Name: "nodestore", PrimaryKey: key, Options: tablestore.TableOptions{TimeToLive: -1, MaxVersions: 2, MaxTimeDeviation: 86400}}
		if err := s.client.CreateTable(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		failure(t, s.Bootstrap(t.Context()), KindTableMismatch)
		if d := describedBy(t, s); d.Options != other.Options {
			t.Errorf("the table was changed to %+v", d.Options)
		}
	}
}

func TestTwoBootstrapsAtOnce(t *testing.T) {
	server := local.RunT(t)
	var done sync.WaitGroup
	for range 4 {
		s := openStore(t, optionsFor(server, ttl(7*day, true)))
		done.Add(1)
		go func() {
			defer done.Done()
			if err := s.Bootstrap(t.Context()); err != nil {
				t.Error(err)
			}
		}()
	}
	done.Wait()
}

func TestBootstrapWhenAnotherProcessCreatesTheTableInBetween(t *testing.T) {
	server := local.RunT(t)
	s := openStore(t, optionsFor(server, ttl(7*day, true)))
	other := openStore(t, optionsFor(server))
	var once atomic.Bool
	server.Control(func(operation string, _ []byte) *local.Fault {
		if operation == "CreateTable" && !once.Swap(true) {
			if err := other.Bootstrap(context.Background()); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err := s.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := describedBy(t, s); d.Options.TimeToLive != 7*86400 {
		t.Errorf("table %+v", d.Options)
	}
}

func TestBootstrapWaitsForTheTable(t *testing.T) {
	server := local.RunT(t)
	s := openStore(t, optionsFor(server))
	pauses := withoutPauses(s)
	err := server.SetFaults(local.Rule{Operation: "GetRow", Fault: local.Fault{Code: "OTSTableNotReady"}, Count: local.Times(40)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	var waited time.Duration
	for _, pause := range *pauses {
		waited += pause
	}
	if waited < 10*time.Second {
		t.Errorf("40 answers of OTSTableNotReady were waited out in %v: a table takes up to a minute", waited)
	}
}

func TestBootstrapWaitsLongerThanAUsualCall(t *testing.T) {
	server := local.RunT(t)
	s := openStore(t, optionsFor(server, func(o *Options) { o.TimeoutMillis = 50 }))
	began := time.Now()
	server.Control(func(operation string, _ []byte) *local.Fault {
		if operation == "GetRow" && time.Since(began) < 200*time.Millisecond {
			return &local.Fault{Action: local.ActionError, Code: "OTSTableNotReady", Status: 404}
		}
		return nil
	})
	if err := s.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBootstrapOfAnUnreachableService(t *testing.T) {
	s := openStore(t, Options{
		Endpoint: "http://127.0.0.1:1", Instance: "sentry", Table: "nodestore", AccessKeyID: "id", AccessKeySecret: "hush-hush",
		TimeoutMillis: 200, MaxConnection: 4,
	})
	began := time.Now()
	failure(t, s.Bootstrap(t.Context()), KindConnection)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v, with a timeout of 200 ms", took)
	}
}

func TestBootstrapOnlyCreatesWhenTheServiceSaysSo(t *testing.T) {
	server := local.RunT(t)
	s := openStore(t, optionsFor(server))
	seen := watched(server)
	wrong := openStore(t, optionsFor(server, func(o *Options) { o.AccessKeySecret = "another" }))
	failure(t, wrong.Bootstrap(t.Context()), KindAuthentication)
	if err := server.SetFaults(local.Rule{Operation: "DescribeTable", Fault: local.Fault{Code: "OTSNoPermissionAccess"}}); err != nil {
		t.Fatal(err)
	}
	failure(t, s.Bootstrap(t.Context()), KindPermission)
	if sent := seen(); slices.Contains(sent, "CreateTable") {
		t.Errorf("sent %v", sent)
	}
}

func TestReservedThroughput(t *testing.T) {
	server := local.RunT(t)
	s := openStore(t, optionsFor(server))
	if err := s.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, optionsFor(server, func(o *Options) { o.ReservedRead, o.ReservedWrite = 2, 3 }))
	if err := s.Bootstrap(t.Context()); err != nil {
		t.Skip("this server has no reserved throughput: ", err)
	}
	if d := describedBy(t, s); d.Throughput != (tablestore.ReservedThroughput{Read: 2, Write: 3}) {
		t.Errorf("throughput %+v", d.Throughput)
	}
}

func TestDestroy(t *testing.T) {
	s, _, _ := newStore(t)
	log := &Log{ProjectLevel: levelInfo, ClientLevel: 99}
	for range 2 {
		if err := s.Destroy(WithLog(t.Context(), log)); err != nil {
			t.Fatal(err)
		}
	}
	if text := string(log.Take()); !strings.Contains(text, "deleted") || !strings.Contains(text, "is not there") {
		t.Errorf("log %s", text)
	}
	_, _, err := s.Get(t.Context(), "node")
	failure(t, err, KindTableMissing)
}

// An attempt that dropped the table, and whose answer was lost, does not make it a wrong name.
func TestDestroyWhoseAnswerIsLost(t *testing.T) {
	s, server, _ := newStore(t)
	lost := local.Rule{Operation: "DeleteTable", Count: local.Times(1), Fault: local.Fault{Action: local.ActionDropAfter}}
	if err := server.SetFaults(lost); err != nil {
		t.Fatal(err)
	}
	log := &Log{ProjectLevel: levelInfo, ClientLevel: 99}
	if err := s.Destroy(WithLog(t.Context(), log)); err != nil {
		t.Fatal(err)
	}
	if text := string(log.Take()); !strings.Contains(text, "whose answer was lost") {
		t.Errorf("log %s", text)
	}
}
