package plainbuffer

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

var pkA1 = []Cell{NewCell("id", StringValue("a1"))}

// vectors are outputs of the Python SDK 6.4.8.
var vectors = []struct {
	name string
	hex  string
	row  Row
}{
	{"primary key only", "750000000103040200000069640507000000030200000061310a12097d", Row{PrimaryKey: pkA1}},
	{"INF_MIN", "750000000103040200000069640501000000090a6109e0", Row{PrimaryKey: []Cell{NewCell("id", Value{Type: InfMin})}}},
	{"INF_MAX", "7500000001030402000000696405010000000a0a68095d", Row{PrimaryKey: []Cell{NewCell("id", Value{Type: InfMax})}}},
	{"put", "750000000103040200000069640507000000030200000061310a12020304040000006461746105080000000703000000000102070068e5cf8b0100000a3b091a",
		Row{PrimaryKey: pkA1, Attributes: []Cell{NewCell("data", BlobValue([]byte{0, 1, 2})).At(1700000000000)}}},
	{"delete", "750000000103040200000069640507000000030200000061310a1208097a", Row{PrimaryKey: pkA1, Deleted: true}},
	{"update", "750000000103040200000069640507000000030200000061310a12020304010000007005090000000005000000000000000aa803040100000064" +
		"0603070068e5cf8b0100000a110304010000007806010a0d03040100000063050900000000020000000000000006040af309ed",
		Row{PrimaryKey: pkA1, Attributes: []Cell{
			NewCell("p", IntegerValue(5)),
			{Name: []byte("d"), Op: DeleteOneVersion, HasTimestamp: true, Timestamp: 1700000000000},
			{Name: []byte("x"), Op: DeleteAllVersion},
			{Name: []byte("c"), Op: Increment, HasValue: true, Value: IntegerValue(2)},
		}}},
}

// plain returns the row without the references into the buffer it came from.
func plain(row Row) Row {
	strip := func(cells []Cell) []Cell {
		out := append([]Cell(nil), cells...)
		for i := range out {
			out[i].Encoded = nil
		}
		return out
	}
	row.PrimaryKey, row.Attributes = strip(row.PrimaryKey), strip(row.Attributes)
	return row
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			want, err := hex.DecodeString(v.hex)
			if err != nil {
				t.Fatal(err)
			}
			got := Encode(v.row)
			if !bytes.Equal(got, want) {
				t.Errorf("Encode = %x, want %x", got, want)
			}
			if size := HeaderSize + RowSize(&v.row); size != len(want) {
				t.Errorf("RowSize = %d, want %d", size, len(want))
			}
			var row Row
			if err := DecodeRow(want, &row); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(plain(row), plain(v.row)) {
				t.Errorf("DecodeRow = %+v, want %+v", row, v.row)
			}
		})
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	for _, v := range vectors {
		buf, _ := hex.DecodeString(v.hex)
		for bit := range len(buf) * 8 {
			bad := bytes.Clone(buf)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, err := Decode(bad); !errors.Is(err, ErrChecksum) && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: bit %d flipped: error = %v", v.name, bit, err)
			}
		}
		for n := 1; n < len(buf); n++ {
			if n == HeaderSize {
				continue
			}
			if _, err := Decode(buf[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: cut at %d: error = %v", v.name, n, err)
			}
		}
	}
}

func TestAllTypesRoundTrip(t *testing.T) {
	row := Row{
		PrimaryKey: []Cell{NewCell("a", IntegerValue(-5)), NewCell("b", StringValue("ü")), NewCell("c", BlobValue([]byte{0, 255})),
			NewCell("d", Value{Type: AutoIncrement})},
		Attributes: []Cell{
			NewCell("b0", BooleanValue(false)).At(1), NewCell("b1", BooleanValue(true)).At(2), NewCell("d", DoubleValue(-1.5)).At(3),
			NewCell("e", StringValue("")).At(4), NewCell("n", Value{Type: Null}).At(5), NewCell("z", BlobValue(make([]byte, 100000))).At(6),
		},
	}
	rows, err := Decode(Encode(row, Row{PrimaryKey: pkA1}, row))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 {
		t.Fatalf("%d rows, want 3", len(rows))
	}
	for i, want := range []Row{row, {PrimaryKey: pkA1}, row} {
		for j := range rows[i].Attributes {
			if c := rows[i].Attributes[j]; !c.Value.Equal(want.Attributes[j].Value) || c.Timestamp != want.Attributes[j].Timestamp {
				t.Errorf("row %d cell %d = %+v", i, j, c)
			}
		}
		if len(rows[i].PrimaryKey) != len(want.PrimaryKey) || len(rows[i].Attributes) != len(want.Attributes) {
			t.Errorf("row %d has another shape", i)
		}
	}
	if rows[0].Get("d").Value.Float() != -1.5 || rows[0].PrimaryKey[0].Value.Int() != -5 || !rows[0].Get("b1").Value.Bool() || rows[0].Get("no") != nil {
		t.Error("values differ")
	}
	// What a decoder keeps of a cell can be written back as it is.
	e := RowEncoder{Dst: AppendHeader(nil)}
	e.PrimaryKey()
	for _, c := range rows[0].PrimaryKey {
		e.EncodedCell(c.Encoded)
	}
	e.Attributes()
	for _, c := range rows[0].Attributes {
		e.EncodedCell(c.Encoded)
	}
	e.End(false)
	if !bytes.Equal(e.Dst, Encode(row)) {
		t.Error("EncodedCell and Cell write differently")
	}
}

func TestExtensionIsSkipped(t *testing.T) {
	buf, _ := hex.DecodeString("750000000103040200000069640507000000030200000061310a12" + "0b03000000010203" + "097d")
	if _, err := Decode(buf); err != nil {
		t.Error(err)
	}
}

func TestCRC8(t *testing.T) {
	if got := CRC8(0, []byte("123456789")); got != 0xF4 {
		t.Errorf("CRC8 = %#x, want 0xf4", got)
	}
	r := rand.New(rand.NewPCG(1, 2))
	p := make([]byte, 300)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	for n := range p {
		var slow byte
		for _, b := range p[:n] {
			slow ^= b
			for range 8 {
				if slow&0x80 != 0 {
					slow = slow<<1 ^ crcPolynomial
				} else {
					slow <<= 1
				}
			}
		}
		if got := CRC8(0, p[:n]); got != slow {
			t.Fatalf("CRC8 of %d bytes = %#x, want %#x", n, got, slow)
		}
	}
	if crcUint64(7, 0x0102030405060708) != CRC8(7, []byte{8, 7, 6, 5, 4, 3, 2, 1}) || crcUint32(7, 0x01020304) != CRC8(7, []byte{4, 3, 2, 1}) {
		t.Error("checksums of numbers differ from those of their bytes")
	}
}

// TestRecordings reads every PlainBuffer in the recorded answers of the real service and writes it back byte for byte.
func TestRecordings(t *testing.T) {
	file, err := os.Open(filepath.Join("..", "..", "..", "shared", "recordings", "real-service-2026-07.jsonl"))
	if err != nil {
		t.Skip("no recordings beside the repository:", err)
	}
	defer file.Close()
	buffers := 0
	check := func(buf []byte) {
		if len(buf) == 0 {
			return
		}
		rows, err := Decode(buf)
		if err != nil {
			t.Fatalf("%x: %v", buf, err)
		}
		if !bytes.Equal(Encode(rows...), buf) {
			t.Errorf("%x is written back differently", buf)
		}
		buffers++
	}
	for dec := json.NewDecoder(file); dec.More(); {
		var rec struct {
			Operation string
			Body      string `json:"response_body_base64"`
		}
		if err := dec.Decode(&rec); err != nil {
			t.Fatal(err)
		}
		body, err := base64.StdEncoding.DecodeString(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		switch rec.Operation {
		case "/GetRange":
			for _, rows := range fields(t, body, 2) {
				check(rows)
			}
		case "/BatchGetRow":
			for _, table := range fields(t, body, 1) {
				for _, row := range fields(t, table, 2) {
					for _, buf := range fields(t, row, 4) {
						check(buf)
					}
				}
			}
		}
	}
	if buffers == 0 {
		t.Error("no PlainBuffer was found in the recordings")
	}
}

// fields returns the length-delimited protobuf fields of msg with the number num.
func fields(t *testing.T, msg []byte, num protowire.Number) [][]byte {
	t.Helper()
	var out [][]byte
	for len(msg) > 0 {
		n, typ, size := protowire.ConsumeTag(msg)
		if size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		msg = msg[size:]
		if size = protowire.ConsumeFieldValue(n, typ, msg); size < 0 {
			t.Fatal(protowire.ParseError(size))
		}
		if n == num && typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(msg)
			out = append(out, v)
		}
		msg = msg[size:]
	}
	return out
}

// FuzzDecode: any input is refused or decoded without a panic, and what was decoded survives being written and read again.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors {
		buf, _ := hex.DecodeString(v.hex)
		f.Add(buf)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, buf []byte) {
		var rows []Row
		var err error
		withinBound(t, buf, func() { rows, err = Decode(buf) })
		if err != nil {
			return
		}
		again, err := Decode(Encode(rows...))
		if err != nil {
			t.Fatalf("written rows cannot be read: %v", err)
		}
		if len(again) != len(rows) {
			t.Fatalf("%d rows became %d", len(rows), len(again))
		}
		for i := range rows {
			if !bytes.Equal(Encode(rows[i]), Encode(again[i])) {
				t.Fatalf("row %d changed", i)
			}
		}
	})
}

// FuzzDecodeUnverified: cells and values, read without checksums never make the decoder panic.
func FuzzDecodeUnverified(f *testing.F) {
	for _, v := range vectors {
		buf, _ := hex.DecodeString(v.hex)
		f.Add(buf[5:])
	}
	f.Fuzz(func(t *testing.T, buf []byte) {
		withinBound(t, buf, func() {
			for rest := buf; len(rest) > 0; {
				var c Cell
				var err error
				if rest, err = DecodeCell(rest, &c); err != nil {
					break
				}
			}
			_, _ = DecodeValue(buf)
		})
	})
}

// withinBound fails the test when decode takes much more memory than what it decodes.
func withinBound(t *testing.T, buf []byte, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 256*uint64(len(buf))+1<<20 {
		t.Errorf("%d bytes were allocated for %d", took, len(buf))
	}
}

func BenchmarkCRC8(b *testing.B) {
	p := make([]byte, 10000)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		CRC8(0, p)
	}
}

func BenchmarkEncode10KB(b *testing.B) {
	row := Row{PrimaryKey: pkA1, Attributes: []Cell{NewCell("data", BlobValue(make([]byte, 10000))), NewCell("flags", IntegerValue(2))}}
	dst := make([]byte, 0, 20000)
	b.SetBytes(10000)
	for b.Loop() {
		dst = AppendRow(AppendHeader(dst[:0]), &row)
	}
}

func BenchmarkDecode10KB(b *testing.B) {
	buf := Encode(Row{PrimaryKey: pkA1, Attributes: []Cell{NewCell("data", BlobValue(make([]byte, 10000))), NewCell("flags", IntegerValue(2))}})
	var row Row
	b.SetBytes(10000)
	for b.Loop() {
		if err := DecodeRow(buf, &row); err != nil {
			b.Fatal(err)
		}
	}
}
