package local

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// TestTwoHoursOfExpiry fills a table for two hours, keeps its rows for a day, and moves the clock minute by minute through the two hours in
// which they expire, while writes go on. A row is written every few seconds and named by its second.
func TestTwoHoursOfExpiry(t *testing.T) {
	const (
		minute  = 60
		hours   = 2 * 60 * minute
		day     = 86400
		looksIn = 10 * minute      // at what is stored
		alive   = hours / rowEvery // rows at any time
	)
	// Each minute's move of the clock makes a sweep due, whether the last one came in time or late: a late one saw what this minute sees.
	s := RunT(t, inFolder(t.TempDir()), fixedClock, func(o *Options) { o.SweepInterval = time.Minute })
	s.create(t, "t", dayOfLife(1))
	x := &expiring{TestServer: s}
	for at := minute; at <= hours; at += minute {
		s.AdvanceClock(time.Minute)
		x.write(t, at-minute, at)
	}
	s.AdvanceClock((day - hours) * time.Second)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	full := usedSpace(s.db.Metrics())
	if full < alive*rowBytes {
		t.Fatalf("the rows take only %d bytes on disk", full)
	}
	for at := day + minute; at <= day+hours; at += minute {
		s.AdvanceClock(time.Minute)
		x.write(t, at-minute, at)
		live := [][2]int{{at - day, hours}, {day, at}}
		x.check(t, at-day, live)
		if at%looksIn == 0 {
			// The row of this very second has its whole day yet.
			eventually(t, fmt.Sprintf("only what lives is stored after %d s", at), func() bool { return s.keys(t, prefixRow) == alive })
			// All that was ever written is twice as much.
			eventually(t, fmt.Sprintf("the space came back after %d s", at), func() bool { return usedSpace(s.db.Metrics()) < full*3/2 })
		} else if n := s.keys(t, prefixRow); n > alive+looksIn/rowEvery {
			t.Errorf("%d rows are stored after %d s, more than what lives and what expired since the last look", n, at)
		}
		if t.Failed() {
			t.Fatalf("after %d s", at)
		}
	}
	// A third of the samples, the first and the last: what expired costs reads nothing.
	for _, reads := range [][]time.Duration{x.gets, x.ranges} {
		third := len(reads) / 3
		before, after := slices.Sorted(slices.Values(reads[:third])), slices.Sorted(slices.Values(reads[2*third:]))
		if before, after := before[third/2], after[third/2]; after > 10*before+10*time.Millisecond { // the machine may have become busy
			t.Errorf("reads take %s where they took %s before rows expired", after, before)
		}
	}
	s.AdvanceClock((day + 1) * time.Second)
	x.check(t, 0, nil)
	eventually(t, "nothing is stored", func() bool { return s.keys(t, prefixRow) == 0 })
	eventually(t, "the space came back", func() bool { return usedSpace(s.db.Metrics()) < full/20 })
	if n := s.figures(t)["swept_cells_total"]; n != 2*alive {
		t.Errorf("%g cells were swept, want %d", n, 2*alive)
	}
}

const (
	rowBytes = 2000
	rowEvery = 4 // seconds
)

// expiring is a table whose rows come and go.
type expiring struct {
	*TestServer
	gets, ranges []time.Duration // how long one of each check took
}

func secondKey(second int) []plainbuffer.Cell { return idKey(fmt.Sprintf("%06d", second)) }

// write puts the rows of the seconds from first to before last, with the times that they would have had then.
func (x *expiring) write(t *testing.T, first, last int) {
	t.Helper()
	m := batch()
	for second := first; second < last; second += rowEvery {
		c := cell("data", incompressible(rowBytes)).At(start.Add(time.Duration(second) * time.Second).UnixMilli())
		m.Tables[0].Rows = append(m.Tables[0].Rows, batchPut(fmt.Sprintf("%06d", second), c))
	}
	for i, code := range x.TestServer.write(t, m) {
		if code != "" {
			t.Fatalf("row %d of those from second %d on: %s", i, first, code)
		}
	}
}

// check reads in every way: the rows before the second expired are there no more, those of the spans live are.
func (x *expiring) check(t *testing.T, expired int, live [][2]int) {
	t.Helper()
	var all []string
	for _, span := range live {
		for second := span[0]; second < span[1]; second += rowEvery {
			all = append(all, fmt.Sprintf("%06d", second))
		}
	}
	// A whole range, in the pieces that an answer may have.
	var seen []string
	m := allRange()
	for {
		rows, next := x.scan(t, m)
		for _, row := range rows {
			seen = append(seen, string(row.PrimaryKey[0].Value.Bytes))
			if len(row.Attributes) != 1 || len(row.Attributes[0].Value.Bytes) != rowBytes {
				t.Errorf("row %s has lost something: %s", seen[len(seen)-1], text(&row, time.Time{}))
			}
		}
		if next == nil {
			break
		}
		m.InclusiveStartPrimaryKey = plainbuffer.Encode(plainbuffer.Row{PrimaryKey: next})
	}
	if !slices.Equal(seen, all) {
		t.Errorf("a range sees %d rows, want %d", len(seen), len(all))
	}
	// The first that lives, from the beginning of the table, past all that is expired.
	m = allRange()
	m.Limit = ptr(int32(1))
	begin := time.Now()
	rows, _ := x.scan(t, m)
	x.ranges = append(x.ranges, time.Since(begin))
	if len(rows) != min(len(all), 1) || len(rows) == 1 && ids(rows) != all[0] {
		t.Errorf("the first row is %s", ids(rows))
	}
	// Both sides of the border, one by one and in a batch.
	keys := &otsprotocol.TableInBatchGetRowRequest{TableName: ptr("t"), MaxVersions: ptr(int32(1))}
	var there []bool
	for second := max(expired-50*rowEvery, 0); second < expired+50*rowEvery; second += rowEvery {
		lives := slices.ContainsFunc(live, func(span [2]int) bool { return span[0] <= second && second < span[1] })
		keys.PrimaryKey, there = append(keys.PrimaryKey, plainbuffer.Encode(plainbuffer.Row{PrimaryKey: secondKey(second)})), append(there, lives)
		if second < expired-2*rowEvery || second > expired+rowEvery {
			continue
		}
		begin := time.Now()
		row, _ := x.get(t, getRequest(secondKey(second)))
		x.gets = append(x.gets, time.Since(begin))
		if (row != nil) != lives {
			t.Errorf("get: row %d is there: %t", second, row != nil)
		}
	}
	var response otsprotocol.BatchGetRowResponse
	m2 := &otsprotocol.BatchGetRowRequest{Tables: []*otsprotocol.TableInBatchGetRowRequest{keys}}
	if err := unmarshal(x.must(t, "BatchGetRow", m2), &response); err != nil {
		t.Fatal(err)
	}
	for i, row := range response.Tables[0].Rows {
		if !row.GetIsOk() || (len(row.Row) > 0) != there[i] {
			t.Errorf("batch get: row %d of %d lives: %t, but: %d bytes, %s", i, len(there), there[i], len(row.Row), row.GetError().GetCode())
		}
	}
}
