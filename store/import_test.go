package store

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

func deflated(t *testing.T, value []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	if _, err := w.Write(value); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// django is a value as Django's table has it.
func django(t *testing.T, value []byte) []byte {
	return base64.StdEncoding.AppendEncode(nil, deflated(t, value))
}

func mustImport(t *testing.T, s *Store, encoding Encoding, onlyMissing bool, nodes ...Imported) string {
	t.Helper()
	outcomes, err := s.Import(t.Context(), nodes, encoding, onlyMissing)
	if err != nil {
		t.Fatal(err)
	}
	return string(outcomes)
}

// written is the timestamp of each column of a row.
func written(t *testing.T, s *Store, id string) (times []int64) {
	t.Helper()
	row, err := s.client.GetRow(t.Context(), &tablestore.GetRowRequest{Table: s.options.Table, PrimaryKey: primaryKey(id)})
	if err != nil || row == nil {
		t.Fatalf("row %v, %v", row, err)
	}
	for _, column := range row.Columns {
		times = append(times, column.Timestamp)
	}
	return times
}

func TestImportKeepsValueAndTime(t *testing.T) {
	for _, target := range []string{"", "zlib", "zstd"} {
		t.Run("to "+target, func(t *testing.T) {
			s, _, c := newStore(t, compression(target), ttl(90*day, true))
			at := c.Now().Add(-80 * day).UnixMilli()
			value := []byte(`{"event":"` + strings.Repeat("x", 5000) + `"}`)
			large := append([]byte("{"), noise(5_000_000)...)
			got := mustImport(t, s, Base64Zlib, false,
				Imported{ID: "small", Value: django(t, value), Written: at},
				Imported{ID: "large", Value: django(t, large), Written: at})
			got += mustImport(t, s, Plain, false, Imported{ID: "plain", Value: value, Written: at, Expires: at + 85*day.Milliseconds()})
			got += mustImport(t, s, Zlib, false, Imported{ID: "zlib", Value: deflated(t, value), Written: at})
			if got != "wwww" {
				t.Fatalf("outcomes %q", got)
			}
			for id, value := range map[string][]byte{"small": value, "large": large, "plain": value, "zlib": value} {
				want(t, s, id, value)
				for _, time := range written(t, s, id) {
					if time != at {
						t.Errorf("%s: a column has the time %d, want %d", id, time, at)
					}
				}
			}
			if target == "zlib" {
				if data := rawRow(t, s, "zlib")["data"].([]byte); !bytes.Equal(data, deflated(t, value)) {
					t.Error("a zlib stream was not carried over as it is")
				}
			}
			c.advance(6 * day)
			want(t, s, "plain", nil)
			want(t, s, "small", value)
			c.advance(5 * day)
			want(t, s, "small", nil)
			want(t, s, "large", nil)
		})
	}
}

func TestImportLeavesOutWhatItMust(t *testing.T) {
	s, server, c := newStore(t, compression("zstd"), ttl(30*day, false))
	now := c.Now().UnixMilli()
	value := []byte(`{"a":1}`)
	damaged := deflated(t, value)
	damaged[len(damaged)-1] ^= 1
	nodes := []Imported{
		{ID: "good", Value: django(t, value), Written: now - 1000},
		{ID: "old", Value: django(t, value), Written: now - 30*day.Milliseconds()},
		{ID: "over", Value: django(t, value), Written: now - 1000, Expires: now},
		{ID: "pickle", Value: django(t, []byte("\x80\x02}q\x01.")), Written: now - 1000},
		{ID: "empty", Value: django(t, nil), Written: now - 1000},
		{ID: "no base64", Value: []byte("*!"), Written: now - 1000},
		{ID: "no zlib", Value: []byte("e30="), Written: now - 1000},
		{ID: "damaged", Value: base64.StdEncoding.AppendEncode(nil, damaged), Written: now - 1000},
		{ID: "cut", Value: django(t, value)[:8], Written: now - 1000},
		{ID: "nothing", Value: nil, Written: now - 1000},
	}
	if got := mustImport(t, s, Base64Zlib, false, nodes...); got != "wxxppbbbbb" {
		t.Errorf("outcomes %q", got)
	}
	for _, node := range nodes[1:] {
		if columns := rawRowNames(t, s, node.ID); len(columns) != 0 {
			t.Errorf("%s was written: %v", node.ID, columns)
		}
	}
	seen := watched(server)
	_, err := s.Import(t.Context(), []Imported{{ID: "twice"}, {ID: "twice"}}, Plain, false)
	failure(t, err, KindOptions)
	_, err = s.Import(t.Context(), []Imported{{ID: ""}}, Plain, false)
	failure(t, err, KindInvalidID)
	_, err = s.Import(t.Context(), []Imported{{ID: "x"}}, 3, false)
	failure(t, err, KindOptions)
	if len(seen()) != 0 {
		t.Errorf("sent %v", seen())
	}
}

func TestImportOverwritesOnlyWhatIsOlder(t *testing.T) {
	for _, size := range []int{100, 5_000_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s, _, c := newStore(t)
			value := noise(size)
			at := c.Now().UnixMilli()
			node := func(id string, at int64) Imported { return Imported{ID: id, Value: value, Written: at} }
			for _, old := range [][]byte{[]byte("old"), noise(4_200_000)} {
				for _, id := range []string{"older", "newer", "same"} {
					mustSet(t, s, id, old)
				}
				if err := s.Set(t.Context(), "with a ttl", old, time.Hour); err != nil {
					t.Fatal(err)
				}
				putRaw(t, s, "of 1.0", tablestore.Column{Name: columnData, Value: "old"})
				got := mustImport(t, s, Plain, false, node("older", at+1), node("newer", at-1), node("same", at), node("with a ttl", at+1), node("of 1.0", at+1))
				if got != "wnsww" {
					t.Errorf("outcomes %q", got)
				}
				want(t, s, "older", value)
				want(t, s, "newer", old)
				want(t, s, "same", old)
				want(t, s, "of 1.0", value)
				if names := rawRowNames(t, s, "with a ttl"); names[columnExpires] {
					t.Errorf("columns %v: the ttl of the older one stayed", names)
				}
				if got := mustImport(t, s, Plain, false, node("older", at+1)); got != "s" {
					t.Errorf("again: %q", got)
				}
				if got := mustImport(t, s, Plain, true, node("older", at+2), node("absent", at)); got != "ew" {
					t.Errorf("only missing: %q", got)
				}
				if err := s.DeleteMany(t.Context(), []string{"older", "absent", "with a ttl", "of 1.0"}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A write between any two requests of an import wins over the older node that is imported.
func TestImportNeverReplacesWhatIsWrittenInBetween(t *testing.T) {
	for _, size := range []int{100, 5_000_000} {
		for _, there := range []string{"nothing", "older", "older and large"} {
			for _, written := range [][]byte{[]byte("live"), noise(4_400_000)} {
				for request := 0; ; request++ {
					s, server, c := newStore(t)
					writer := openStore(t, optionsFor(server))
					switch there {
					case "older":
						mustSet(t, s, "node", []byte("old"))
					case "older and large":
						mustSet(t, s, "node", noise(4_300_000))
					}
					at := c.Now().UnixMilli() + 1
					c.advance(time.Second)
					var n atomic.Int64
					server.Control(func(string, []byte) *local.Fault {
						if n.Add(1) == int64(request)+1 {
							if err := writer.Set(t.Context(), "node", written, NoTTL); err != nil {
								t.Error(err)
							}
						}
						return nil
					})
					got := mustImport(t, s, Plain, false, Imported{ID: "node", Value: noise(size), Written: at})
					reached := n.Load() > int64(request)
					server.Control(nil)
					if !reached {
						if got != "w" {
							t.Errorf("undisturbed: %q", got)
						}
						break
					}
					want(t, s, "node", written)
					s.Close()
				}
			}
		}
	}
}

// What a killed writer staged does not keep an import from writing.
func TestImportWritesBesideStagedParts(t *testing.T) {
	for _, size := range []int{100, 5_000_000} {
		s, _, c := newStore(t)
		putRaw(t, s, "node", tablestore.Column{Name: partName("dead", 0), Value: []byte("part")}, tablestore.Column{Name: stagedName("dead"), Value: int64(1)})
		at := c.Now().Add(-time.Hour).UnixMilli()
		if got := mustImport(t, s, Plain, false, Imported{ID: "node", Value: noise(size), Written: at}); got != "w" {
			t.Errorf("outcome %q", got)
		}
		want(t, s, "node", noise(size))
	}
}

func TestImportThatFailsCanBeRepeated(t *testing.T) {
	s, server, c := newStore(t, compression("zstd"))
	at := c.Now().Add(-time.Hour).UnixMilli()
	var nodes []Imported
	for i := range 450 {
		nodes = append(nodes, Imported{ID: fmt.Sprint(i), Value: text(i), Written: at})
	}
	if err := server.SetFaults(local.Rule{Operation: "BatchWriteRow", Skip: 1, Count: local.Times(1), Fault: local.Fault{Code: "OTSParameterInvalid"}}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Import(t.Context(), nodes, Plain, false)
	if e := failure(t, err, KindService); len(e.Failures) == 0 || len(e.Failures) == len(nodes) {
		t.Errorf("%d failures", len(e.Failures))
	}
	outcomes := mustImport(t, s, Plain, false, nodes...)
	if w, same := strings.Count(outcomes, "w"), strings.Count(outcomes, "s"); w == 0 || same == 0 || w+same != len(nodes) {
		t.Errorf("outcomes: %d written, %d same", w, same)
	}
}

// The service's clock may be ahead of this one, and the request takes time: what will be too old within moments is not sent.
func TestImportAtTheEdgeOfTheTimeToLive(t *testing.T) {
	s, _, c := newStore(t, ttl(30*day, true))
	now := c.Now().UnixMilli()
	at := func(left time.Duration) int64 { return now - 30*day.Milliseconds() + left.Milliseconds() }
	c.advance(2 * time.Second)
	s.now = func() time.Time { return time.UnixMilli(now) }
	got := mustImport(t, s, Plain, false, Imported{ID: "a", Value: []byte("a"), Written: at(time.Second)}, Imported{ID: "b", Value: []byte("b"), Written: at(2 * time.Minute)})
	if got != "xw" {
		t.Errorf("outcomes %q", got)
	}
	plain, _, c := newStore(t, ttl(30*day, false))
	if got := mustImport(t, plain, Plain, false, Imported{ID: "a", Value: []byte("a"), Written: c.Now().Add(time.Second - 30*day).UnixMilli()}); got != "w" {
		t.Errorf("of a table that keeps all: %q", got)
	}
}

// A write whose answer was lost is told from a node that somebody else has written: only the former may be taken back.
func TestImportOfMissingNodesKnowsItsOwn(t *testing.T) {
	for _, size := range []int{100, 5_000_000} {
		s, server, c := newStore(t)
		at := c.Now().Add(-time.Hour).UnixMilli()
		mustSet(t, s, "there", []byte("there"))
		putRaw(t, s, "staged", tablestore.Column{Name: partName("dead", 0), Value: []byte("part")}, tablestore.Column{Name: stagedName("dead"), Value: int64(1)})
		lost := []local.Rule{
			{Operation: "BatchWriteRow", Count: local.Times(1), Fault: local.Fault{Action: local.ActionDropAfter}},
			{Operation: "UpdateRow", Count: local.Times(1), Fault: local.Fault{Action: local.ActionDropAfter}},
		}
		if err := server.SetFaults(lost...); err != nil {
			t.Fatal(err)
		}
		nodes := []Imported{{ID: "new", Value: noise(size), Written: at}, {ID: "there", Value: noise(size), Written: at}, {ID: "staged", Value: noise(size), Written: at}}
		if got := mustImport(t, s, Plain, true, nodes...); len(got) != 3 || !strings.Contains("ws", got[:1]) || got[1] != Exists || !strings.Contains("ws", got[2:]) {
			t.Errorf("%d bytes: outcomes %q", size, got)
		}
		want(t, s, "new", noise(size))
		want(t, s, "there", []byte("there"))
		want(t, s, "staged", noise(size))
		putRaw(t, s, "of 1.0", tablestore.Column{Name: columnData, Value: "old", Timestamp: at})
		putRaw(t, s, "of 1.0 too", tablestore.Column{Name: columnData, Value: "old", Timestamp: at + 1})
		nodes = append(nodes, Imported{ID: "of 1.0", Value: noise(size), Written: at}, Imported{ID: "of 1.0 too", Value: noise(size), Written: at})
		if got := mustImport(t, s, Plain, true, nodes...); got != "sesse" {
			t.Errorf("%d bytes, again: %q", size, got)
		}
	}
}

func TestDiscardTakesOnlyTheImportBack(t *testing.T) {
	s, _, c := newStore(t)
	at := c.Now().Add(-time.Hour).UnixMilli()
	mustImport(t, s, Plain, false, Imported{ID: "a", Value: []byte("a"), Written: at}, Imported{ID: "large", Value: noise(5_000_000), Written: at}, Imported{ID: "b", Value: []byte("b"), Written: at})
	mustSet(t, s, "b", []byte("rewritten"))
	n, err := s.Discard(t.Context(), []string{"a", "b", "large", "missing"}, []int64{at, at, at, at})
	if n != 2 || err != nil {
		t.Errorf("discarded %d, %v", n, err)
	}
	want(t, s, "a", nil)
	want(t, s, "b", []byte("rewritten"))
	if names := rawRowNames(t, s, "large"); len(names) != 0 {
		t.Errorf("the large one left %v", names)
	}
}

func TestNodesThatWaitToBeWrittenTakeTheirOwnSizeOnly(t *testing.T) {
	for _, name := range []string{"", "zlib", "zstd"} {
		s, _, _ := newStore(t, compression(name))
		for _, size := range []int{900_000, 300, 900_000, 300, 3_000_000, 300} {
			for _, encoding := range []Encoding{Plain, Zlib, Base64Zlib} {
				value := append([]byte("{"), text(size)...)
				stream, err := compress(nil, value, map[Encoding]int64{Zlib: flagZlib, Base64Zlib: flagZlib}[encoding])
				if err != nil {
					t.Fatal(err)
				}
				if encoding == Base64Zlib {
					stream = []byte(base64.StdEncoding.EncodeToString(stream))
				}
				e, outcome, err := s.prepare(t.Context(), &Imported{ID: "a", Value: stream, Written: 1}, encoding)
				if err != nil || e == nil {
					t.Fatalf("%q, encoding %d: outcome %c, %v", name, encoding, outcome, err)
				}
				if e.buffer == nil && cap(e.data) > 2*len(e.data)+64 {
					t.Errorf("%q, encoding %d: %d bytes take %d", name, encoding, len(e.data), cap(e.data))
				}
				if e.buffer != nil && (encoding != Plain || name != "") {
					t.Errorf("%q, encoding %d: it keeps a buffer of the pool", name, encoding)
				}
				// What is kept is not overwritten by the next ones.
				if _, _, err := s.prepare(t.Context(), &Imported{ID: "b", Value: []byte(strings.Repeat("x", len(value))), Written: 1}, Plain); err != nil {
					t.Fatal(err)
				}
				if got, err := decompress(e.data, e.flags); err != nil || !bytes.Equal(got, value) {
					t.Errorf("%q, encoding %d: another value is left, %v", name, encoding, err)
				}
			}
		}
	}
}
