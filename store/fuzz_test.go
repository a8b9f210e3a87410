package store

import (
	"bytes"
	stdzlib "compress/zlib"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
	"github.com/PMExtra/sentry-tablestore/v2/tests/allocated"
)

// Whatever a row holds: the value is what another decoder makes of it, or there is an error. It takes no more memory than the largest
// value and what buffers that grow up to it leave behind.
const maxAllocated = 4*MaxValueSize + 16<<20

// reference decompresses with Go's own zlib, and zstd as a stream, which goes another way than the frame at once.
func reference(data []byte, flags int64) ([]byte, error) {
	var reader io.Reader
	source := bytes.NewReader(data)
	switch flags & (flagZlib | flagZstd) {
	case 0:
		return data, nil
	case flagZlib:
		inflater, err := stdzlib.NewReader(source)
		if err != nil {
			return nil, err
		}
		reader = inflater
	case flagZstd:
		if len(data) == 0 {
			return nil, errors.New("empty")
		}
		decoder, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxValueSize))
		if err != nil {
			return nil, err
		}
		defer decoder.Close()
		reader = decoder
	default:
		return nil, errors.New("two compressions")
	}
	value, err := io.ReadAll(io.LimitReader(reader, MaxValueSize+1))
	if err == nil && (len(value) > MaxValueSize || flags&flagZlib != 0 && source.Len() > 0) {
		err = errors.New("too much")
	}
	return value, err
}

func seeds(f *testing.F) map[int64][]byte {
	all := map[int64][]byte{0: text(500)}
	for _, flag := range []int64{flagZlib, flagZstd} {
		encoded, err := compress(nil, text(500), flag)
		if err != nil {
			f.Fatal(err)
		}
		all[flag] = encoded
	}
	return all
}

func FuzzDecode(f *testing.F) {
	for flag, data := range seeds(f) {
		f.Add(data, flag)
	}
	f.Add([]byte("x\x9c\x03\x00\x00\x00\x00\x01"), int64(flagZlib))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 4}, int64(flagZstd)) // says that it has 64 MiB
	f.Fuzz(func(t *testing.T, data []byte, flags int64) {
		var value []byte
		var err error
		if took := allocated.By(func() { value, err = decompress(data, flags) }); took > maxAllocated {
			t.Errorf("%d bytes were allocated", took)
		}
		wanted, failed := reference(data, flags)
		if (err == nil) != (failed == nil) || err == nil && !bytes.Equal(value, wanted) {
			t.Errorf("%d bytes, %v; the other decoder gives %d bytes, %v", len(value), err, len(wanted), failed)
		}
	})
}

// oneRow is a service that holds one row.
type oneRow struct {
	tablestore.Client
	row *tablestore.Row
}

func (c *oneRow) GetRow(_ context.Context, request *tablestore.GetRowRequest) (*tablestore.Row, error) {
	row := &tablestore.Row{PrimaryKey: c.row.PrimaryKey}
	for _, column := range c.row.Columns {
		if slices.Contains(request.ColumnsToGet, column.Name) {
			row.Columns = append(row.Columns, column)
		}
	}
	return row, nil
}

// FuzzNode: a row as another program may have written it, whole or split.
func FuzzNode(f *testing.F) {
	for flag, data := range seeds(f) {
		f.Add(data, []byte{}, flag, int64(0), int64(0))
		f.Add(data[:20], data[20:], flag|flagSplit, int64(2), int64(len(data)))
		f.Add(data[:20], data[20:], flag|flagSplit, int64(maxParts), int64(maxEncodedSize))
	}
	f.Add([]byte{}, []byte{}, int64(-1), int64(-1), int64(1<<62))
	f.Fuzz(func(t *testing.T, first, second []byte, flags, parts, size int64) {
		columns := []tablestore.Column{{Name: columnFlags, Value: flags, Timestamp: 1}}
		add := func(name string, value any) {
			columns = append(columns, tablestore.Column{Name: name, Value: value, Timestamp: 1})
		}
		encoded := first
		if flags&flagSplit == 0 {
			add(columnData, first)
		} else {
			encoded = slices.Concat(first, second)
			add(columnGeneration, "g")
			add(columnParts, parts)
			add(columnSize, size)
			add(partName("g", 0), first)
			add(partName("g", 1), second)
		}
		client := &oneRow{row: &tablestore.Row{PrimaryKey: primaryKey("node"), Columns: columns}}
		s, err := New(Options{Endpoint: "http://127.0.0.1:1", Instance: "i", Table: "t", AccessKeyID: "id", AccessKeySecret: "secret", TimeoutMillis: 10_000, MaxConnection: 4}, client)
		if err != nil {
			t.Fatal(err)
		}
		var value []byte
		var found bool
		// The parts are put together before they are decompressed.
		if took := allocated.By(func() { value, found, err = s.Get(t.Context(), "node") }); took > maxAllocated+maxEncodedSize {
			t.Errorf("%d bytes were allocated", took)
		}
		wanted, failed := reference(encoded, flags)
		var failure *Error
		switch {
		case err != nil && (!errors.As(err, &failure) || failure.Kind != KindCorruptRow):
			t.Errorf("error %T: %v", err, err)
		case err == nil && (!found || failed != nil || !bytes.Equal(value, wanted)):
			t.Errorf("found %v, %d bytes; the other decoder gives %d, %v", found, len(value), len(wanted), failed)
		case err == nil && flags&flagSplit != 0 && size != int64(len(encoded)):
			t.Errorf("parts of %d bytes passed for %d", len(encoded), size)
		}
	})
}
