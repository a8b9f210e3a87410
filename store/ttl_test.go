package store

import (
	"math"
	"strings"
	"testing"
	"time"
)

const day = 24 * time.Hour

func ttl(d time.Duration, automatic bool) func(*Options) {
	return func(o *Options) { o.DefaultTTLMillis, o.AutomaticExpiry = d.Milliseconds(), automatic }
}

func TestDefaultTTLHidesOldNodes(t *testing.T) {
	for name, automatic := range map[string]bool{"by the table's TimeToLive": true, "by reads": false} {
		t.Run(name, func(t *testing.T) {
			s, _, c := newStore(t, ttl(3*day, automatic))
			mustSet(t, s, "node", []byte("value"))
			c.advance(3*day - time.Minute)
			want(t, s, "node", []byte("value"))
			c.advance(2 * time.Minute)
			want(t, s, "node", nil)
		})
	}
}

func TestCallsShorterTTL(t *testing.T) {
	for name, options := range map[string]func(*Options){
		"than for ever": func(*Options) {}, "than the table's": ttl(3*day, true), "than reads allow": ttl(3*day, false),
	} {
		t.Run(name, func(t *testing.T) {
			s, _, c := newStore(t, options)
			if err := s.Set(t.Context(), "node", []byte("value"), time.Hour); err != nil {
				t.Fatal(err)
			}
			if err := s.SetMany(t.Context(), []string{"many"}, [][]byte{[]byte("value")}, time.Hour); err != nil {
				t.Fatal(err)
			}
			c.advance(59 * time.Minute)
			want(t, s, "node", []byte("value"))
			want(t, s, "many", []byte("value"))
			c.advance(time.Minute)
			want(t, s, "node", nil)
			want(t, s, "many", nil)
			mustSet(t, s, "node", []byte("again"))
			c.advance(2 * time.Hour)
			want(t, s, "node", []byte("again"))
		})
	}
}

func TestTheLongestTTLs(t *testing.T) {
	const longest = math.MaxInt64 / 1_000_000 // milliseconds of a time.Duration
	const maxTimedelta = 86_399_999_999_999_999
	for _, kept := range []int64{0, longest, longest + 1, maxTimedelta} {
		for _, asked := range []int64{longest - 1, longest, longest + 1, maxTimedelta} {
			s, _, c := newStore(t, func(o *Options) { o.DefaultTTLMillis = kept })
			if err := s.Set(t.Context(), "node", []byte("value"), Milliseconds(asked)); err != nil {
				t.Fatal(err)
			}
			c.advance(200 * 365 * day)
			want(t, s, "node", []byte("value"))
		}
	}
}

func TestLongerTTLThanTheTablesIsCappedAndSaidOnce(t *testing.T) {
	s, _, c := newStore(t, ttl(3*day, true))
	log := &Log{ProjectLevel: levelDebug, ClientLevel: 99}
	for range 2 {
		if err := s.Set(WithLog(t.Context(), log), "node", []byte("value"), 14*day); err != nil {
			t.Fatal(err)
		}
	}
	if text := string(log.Take()); strings.Count(text, "capped") != 1 {
		t.Errorf("log %s, want one record about capping", text)
	}
	if _, there := rawRow(t, s, "node")[columnExpires]; there {
		t.Error("column expires is there")
	}
	c.advance(3*day + time.Minute)
	want(t, s, "node", nil)
}
