package store

import (
	"bytes"
	"compress/zlib"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

func zlibStream(t *testing.T, value []byte) []byte {
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

// zstdStream is a frame without content size and checksum, as a streaming writer makes it.
func zstdStream(t *testing.T, value []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, zstd.WithEncoderCRC(false))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadFrom(struct{ io.Reader }{bytes.NewReader(value)}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRowsOfThePublishedPackage(t *testing.T) {
	s, _, _ := newStore(t)
	value := text(5000)
	rows := map[string][]tablestore.Column{
		"uncompressed, STRING, no flags": {{Name: columnData, Value: string(value)}},
		"uncompressed, BINARY, no flags": {{Name: columnData, Value: value}},
		"uncompressed, flags 0":          {{Name: columnData, Value: value}, {Name: columnFlags, Value: int64(0)}},
		"zlib":                           {{Name: columnData, Value: zlibStream(t, value)}, {Name: columnFlags, Value: int64(1)}},
		"zstd":                           {{Name: columnData, Value: zstdStream(t, value)}, {Name: columnFlags, Value: int64(2)}},
	}
	for id, columns := range rows {
		putRaw(t, s, id, columns...)
		want(t, s, id, value)
	}
}

func TestRowAsWritten(t *testing.T) {
	for name, flag := range map[string]int64{"": 0, "zlib": 1, "zstd": 2} {
		s, _, _ := newStore(t, compression(name))
		value := text(5000)
		mustSet(t, s, "node", value)
		columns := rawRow(t, s, "node")
		if len(columns) != 2 || columns[columnFlags] != flag {
			t.Errorf("compression %q: columns %v", name, columns)
		}
		data := columns[columnData].([]byte)
		switch name {
		case "zlib":
			r, err := zlib.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		case "zstd":
			var header zstd.Header
			if err := header.Decode(data); err != nil {
				t.Fatal(err)
			}
			if !header.HasFCS || header.FrameContentSize != 5000 || !header.HasCheckSum {
				t.Errorf("frame header %+v", header)
			}
			continue
		}
		if !bytes.Equal(data, value) {
			t.Errorf("compression %q: other data", name)
		}
	}
}

func TestRowsThatCannotBeDecoded(t *testing.T) {
	s, _, _ := newStore(t)
	good := zlibStream(t, text(5000))
	frame, err := compress(nil, text(5000), flagZstd)
	if err != nil {
		t.Fatal(err)
	}
	bomb := zlibStream(t, make([]byte, MaxValueSize+1))
	zstdBomb, err := compress(nil, make([]byte, MaxValueSize+1), flagZstd)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(frame)
	flipped[len(flipped)-1] ^= 1
	data := func(data any, flags any) []tablestore.Column {
		return []tablestore.Column{{Name: columnData, Value: data}, {Name: columnFlags, Value: flags}}
	}
	rows := map[string][]tablestore.Column{
		"truncated zlib":        data(good[:len(good)-5], int64(1)),
		"zlib and something":    data(append(bytes.Clone(good), 1), int64(1)),
		"no zlib at all":        data([]byte("{}"), int64(1)),
		"truncated zstd":        data(frame[:len(frame)-5], int64(2)),
		"zstd, wrong checksum":  data(flipped, int64(2)),
		"empty zstd":            data([]byte{}, int64(2)),
		"both compressions":     data(good, int64(3)),
		"unknown flag":          data(good, int64(8)),
		"flags of another type": data(good, "1"),
		"data of another type":  data(int64(5), int64(0)),
		"zlib bomb":             data(bomb, int64(1)),
		"zstd bomb":             data(zstdBomb, int64(2)),
		"no data":               {{Name: columnFlags, Value: int64(1)}},
		"split without parts":   {{Name: columnFlags, Value: int64(4)}},
		"too many parts": {
			{Name: columnFlags, Value: int64(4)}, {Name: columnGeneration, Value: "g"},
			{Name: columnParts, Value: int64(maxParts + 1)}, {Name: columnSize, Value: int64(1)},
		},
	}
	for id, columns := range rows {
		t.Run(id, func(t *testing.T) {
			putRaw(t, s, id, columns...)
			_, found, err := s.Get(t.Context(), id)
			e := failure(t, err, KindCorruptRow)
			if found || len(e.IDs) != 1 || e.IDs[0] != id {
				t.Errorf("found %v, ids %v", found, e.IDs)
			}
			_, err = s.GetMany(t.Context(), []string{"missing", id})
			if e := failure(t, err, KindCorruptRow); len(e.Failures) != 1 || e.Failures[0].ID != id {
				t.Errorf("failures %v", e.Failures)
			}
			mustSet(t, s, id, []byte("new"))
			want(t, s, id, []byte("new"))
		})
	}
}
