package store

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/local"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

func TestScanTellsEveryNodeInOrder(t *testing.T) {
	s, server, c := newStore(t, compression("zstd"))
	values := map[string][]byte{}
	for i := range 120 {
		values[fmt.Sprintf("%03d", i)] = text(100 * i)
	}
	for id, value := range values {
		mustSet(t, s, id, value)
	}
	mustSet(t, openStore(t, optionsFor(server, compression("zlib"))), "zlib", text(3000))
	mustSet(t, openStore(t, optionsFor(server)), "plain", noise(5_000_000))
	values["zlib"], values["plain"] = text(3000), noise(5_000_000)
	if err := s.Set(t.Context(), "expired", []byte("value"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), "expiring", []byte("value"), time.Hour); err != nil {
		t.Fatal(err)
	}
	values["expiring"] = []byte("value")
	at := c.Now().UnixMilli()
	c.advance(2 * time.Minute)
	putRaw(t, s, "damaged", tablestore.Column{Name: columnData, Value: []byte("x")}, tablestore.Column{Name: columnFlags, Value: int64(flagZstd)})
	// Of a type that no node has there: another program's.
	putRaw(t, s, "foreign", tablestore.Column{Name: columnData, Value: []byte("x")}, tablestore.Column{Name: columnFlags, Value: 1.5})
	putRaw(t, s, "foreign too", tablestore.Column{Name: columnData, Value: true})
	putRaw(t, s, "staged only", tablestore.Column{Name: partName("dead", 0), Value: []byte("part")})

	for _, withValues := range []bool{false, true} {
		seen, last, start := 0, "", ""
		for {
			nodes, next, err := s.Scan(t.Context(), start, "", 50, withValues)
			if err != nil {
				t.Fatal(err)
			}
			if len(nodes) > 50 {
				t.Fatalf("%d nodes", len(nodes))
			}
			for _, node := range nodes {
				if node.ID <= last {
					t.Errorf("%q after %q", node.ID, last)
				}
				last = node.ID
				if node.ID == "damaged" || strings.HasPrefix(node.ID, "foreign") {
					if node.Error == "" && (withValues || node.ID != "damaged") {
						t.Errorf("%q is told to be sound", node.ID)
					}
					continue
				}
				seen++
				value, ok := values[node.ID]
				switch {
				case !ok:
					t.Errorf("%q should not be there", node.ID)
				case node.Error != "" || node.Written != at || node.Stored == 0:
					t.Errorf("%+v", node)
				case withValues && !bytes.Equal(node.Value, value):
					t.Errorf("%q: %d bytes, want %d", node.ID, len(node.Value), len(value))
				case !withValues && node.Value != nil:
					t.Errorf("%q has a value", node.ID)
				case node.Size != int64(len(value)) && (withValues || node.Compression != "zlib"):
					t.Errorf("%q: size %d, want %d", node.ID, node.Size, len(value))
				case (node.Expires != 0) != (node.ID == "expiring"):
					t.Errorf("%q expires %d", node.ID, node.Expires)
				}
			}
			if next == "" {
				break
			}
			start = next
		}
		if seen != len(values) {
			t.Errorf("values %v: %d nodes, want %d", withValues, seen, len(values))
		}
	}
}

func TestScanEndsBeforeAnID(t *testing.T) {
	s, _, _ := newStore(t)
	for i := range 30 {
		mustSet(t, s, fmt.Sprintf("%02d", i), text(10))
	}
	var seen []string
	for start := "05"; start != ""; {
		nodes, next, err := s.Scan(t.Context(), start, "21", 7, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range nodes {
			seen = append(seen, node.ID)
		}
		start = next
	}
	if len(seen) != 16 || seen[0] != "05" || seen[15] != "20" {
		t.Errorf("got %v", seen)
	}
}

func TestScanManyTellsOfThoseThatAreThere(t *testing.T) {
	s, _, c := newStore(t, compression("zstd"))
	var ids []string
	for i := range 250 {
		ids = append(ids, fmt.Sprintf("%03d", 249-i))
		mustSet(t, s, ids[i], text(100+i))
	}
	mustSet(t, s, "large", noise(5_000_000))
	if err := s.Set(t.Context(), "expired", []byte("value"), time.Minute); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Minute)
	putRaw(t, s, "damaged", tablestore.Column{Name: columnData, Value: []byte("x")}, tablestore.Column{Name: columnFlags, Value: int64(flagZstd)})
	asked := append([]string{"missing", "expired", ids[0]}, append(ids, "damaged", "large", "damaged")...)
	for _, values := range []bool{false, true} {
		nodes, err := s.ScanMany(t.Context(), asked, values)
		if err != nil {
			t.Fatal(err)
		}
		if len(nodes) != 252 {
			t.Fatalf("%d nodes", len(nodes))
		}
		for i, node := range nodes {
			switch {
			case i == 250:
				if node.ID != "damaged" || values && node.Error == "" {
					t.Errorf("the damaged one: %+v", node)
				}
			case i == 251:
				if node.ID != "large" || node.Stored < 5_000_000 || values && !bytes.Equal(node.Value, noise(5_000_000)) {
					t.Errorf("the large one: %q, %d bytes", node.ID, node.Stored)
				}
			case node.ID != ids[i] || node.Size != int64(100+i) || node.Written == 0 || values != bytes.Equal(node.Value, text(100+i)):
				t.Errorf("%d: %q, %d bytes, written %d", i, node.ID, node.Size, node.Written)
			}
		}
	}
	_, err := s.ScanMany(t.Context(), []string{"a", ""}, false)
	failure(t, err, KindInvalidID)
}

func TestDescribe(t *testing.T) {
	s, _, _ := newStore(t, ttl(30*day, true))
	description, err := s.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if description.Options.TimeToLive != 30*86400 || description.Options.MaxVersions != 1 || len(description.PrimaryKey) != 1 {
		t.Errorf("%+v", description)
	}
	if err := s.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = s.Describe(t.Context())
	failure(t, err, KindTableMissing)
}

// What a row of another program holds says nothing about the rows that are read with it.
func TestForeignTypesConcernTheirOwnRow(t *testing.T) {
	s, _, _ := newStore(t)
	mustSet(t, s, "good", []byte("value"))
	putRaw(t, s, "bad", tablestore.Column{Name: columnData, Value: []byte("x")}, tablestore.Column{Name: columnFlags, Value: 1.5})
	putRaw(t, s, "more", tablestore.Column{Name: columnData, Value: []byte("x")}, tablestore.Column{Name: columnFlags, Value: int64(0)}, tablestore.Column{Name: "note", Value: true})
	want(t, s, "more", []byte("x"))
	_, _, err := s.Get(t.Context(), "bad")
	if e := failure(t, err, KindCorruptRow); !strings.Contains(e.Error(), "column flags has the type float64") {
		t.Error(e)
	}
	_, err = s.GetMany(t.Context(), []string{"good", "bad"})
	if e := failure(t, err, KindCorruptRow); len(e.IDs) != 1 || e.IDs[0] != "bad" {
		t.Errorf("%v names %q", e, e.IDs)
	}
}

// The value may be a newer one than the row that led to it.
func TestScanTellsTheTimeOfTheValueThatItGives(t *testing.T) {
	s, server, c := newStore(t)
	writer := openStore(t, optionsFor(server))
	mustSet(t, s, "node", noise(5_000_000))
	c.advance(time.Hour)
	var requests atomic.Int64
	server.Control(func(operation string, _ []byte) *local.Fault {
		if operation == "GetRow" && requests.Add(1) == 1 {
			mustSet(t, writer, "node", noise(4_500_000))
		}
		return nil
	})
	nodes, _, err := s.Scan(t.Context(), "", "", 10, true)
	if err != nil || len(nodes) != 1 {
		t.Fatal(nodes, err)
	}
	if node := nodes[0]; !bytes.Equal(node.Value, noise(4_500_000)) || node.Written != c.Now().UnixMilli() {
		t.Errorf("%d bytes written at %d, now is %d", len(node.Value), node.Written, c.Now().UnixMilli())
	}
}

func TestScanReadsFewSplitValuesAtOnce(t *testing.T) {
	s, _, _ := newStore(t)
	for i := range 9 {
		mustSet(t, s, fmt.Sprint(i), noise(4_000_000))
	}
	mustSet(t, s, "large", noise(40_000_000))
	for values, pages := range map[bool][]int{false: {10}, true: {4, 4, 1, 1}} {
		var start string
		for page, want := range pages {
			nodes, next, err := s.Scan(t.Context(), start, "", 100, values)
			if err != nil || len(nodes) != want {
				t.Fatalf("page %d has %d nodes, want %d; %v", page, len(nodes), want, err)
			}
			start = next
		}
		if start != "" {
			t.Errorf("there is more from %q", start)
		}
	}
}
