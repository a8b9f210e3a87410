package store

import (
	"bytes"
	"fmt"
	"testing"
	"time"

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
				if node.ID == "damaged" {
					if withValues && node.Error == "" {
						t.Error("the damaged one is told to be sound")
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
