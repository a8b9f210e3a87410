package local

import (
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// fixedClock is a clock that stands still at start until the test moves it.
func fixedClock(o *Options) { o.Clock = func() time.Time { return start } }

var start = time.Date(2026, 7, 31, 12, 0, 0, 0, time.UTC)

func versionsOf(n int32) *otsprotocol.TableOptions {
	return &otsprotocol.TableOptions{TimeToLive: ptr(int32(-1)), MaxVersions: &n}
}

func TestGetRowSelection(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "t", versionsOf(3))
	now := start.UnixMilli()
	pk := idKey("a")
	s.must(t, "PutRow", putRequest(pk, cell("a", 1), cell("b", "one").At(now-3000), cell("b", "two").At(now-2000), cell("b", "three").At(now-1000),
		cell("b", "four").At(now), cell("c", []byte("blob")), cell("d", 2.5), cell("e", true)))
	all := func(m *otsprotocol.GetRowRequest) {}
	for _, tt := range []struct {
		name   string
		change func(*otsprotocol.GetRowRequest)
		want   string
	}{
		{"newest", all, "a=1@0s b=four@0s c=blob@0s d=VT_DOUBLE@0s e=VT_BOOLEAN@0s"},
		{"two versions", func(m *otsprotocol.GetRowRequest) { m.MaxVersions = ptr(int32(2)); m.ColumnsToGet = []string{"b"} }, "b=four@0s b=three@-1s"},
		{"more versions than the table keeps", func(m *otsprotocol.GetRowRequest) { m.MaxVersions = ptr(int32(9)); m.ColumnsToGet = []string{"b"} }, "b=four@0s b=three@-1s b=two@-2s"},
		{"time range", func(m *otsprotocol.GetRowRequest) {
			m.MaxVersions = nil
			m.TimeRange = &otsprotocol.TimeRange{StartTime: ptr(now - 2000), EndTime: ptr(now)}
		}, "b=three@-1s b=two@-2s"},
		{"time range and versions", func(m *otsprotocol.GetRowRequest) {
			m.TimeRange = &otsprotocol.TimeRange{StartTime: ptr(now - 2000), EndTime: ptr(now)}
		}, "b=three@-1s"},
		{"one time", func(m *otsprotocol.GetRowRequest) {
			m.MaxVersions = nil
			m.TimeRange = &otsprotocol.TimeRange{SpecificTime: ptr(now - 2000)}
		}, "b=two@-2s"},
		{"columns", func(m *otsprotocol.GetRowRequest) { m.ColumnsToGet = []string{"d", "a", "nothing"} }, "a=1@0s d=VT_DOUBLE@0s"},
		{"a key column among them", func(m *otsprotocol.GetRowRequest) { m.ColumnsToGet = []string{"id", "a"} }, "a=1@0s"},
		{"only a key column", func(m *otsprotocol.GetRowRequest) { m.ColumnsToGet = []string{"id"} }, ""},
		{"no such column", func(m *otsprotocol.GetRowRequest) { m.ColumnsToGet = []string{"nothing"} }, "none"},
		{"column range", func(m *otsprotocol.GetRowRequest) { m.StartColumn, m.EndColumn = ptr("b"), ptr("d") }, "b=four@0s c=blob@0s"},
		{"column range from", func(m *otsprotocol.GetRowRequest) { m.StartColumn = ptr("d") }, "d=VT_DOUBLE@0s e=VT_BOOLEAN@0s"},
		{"empty column range", func(m *otsprotocol.GetRowRequest) { m.StartColumn = ptr("f") }, "none"},
		{"another row", func(m *otsprotocol.GetRowRequest) { m.PrimaryKey = getRequest(idKey("b")).PrimaryKey }, "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := getRequest(pk)
			tt.change(m)
			row, _ := s.get(t, m)
			if got := text(row, start); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestGetRowRefuses(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	pk := idKey("a")
	for message, change := range map[string]func(*otsprotocol.GetRowRequest){
		"No version condition is specified while querying row.":                                            func(m *otsprotocol.GetRowRequest) { m.MaxVersions = nil },
		"Invalid max versions: 0. Reason: Max versions must be positive.":                                  func(m *otsprotocol.GetRowRequest) { m.MaxVersions = ptr(int32(0)) },
		"Start and end time must be given at the same time.":                                               func(m *otsprotocol.GetRowRequest) { m.TimeRange = &otsprotocol.TimeRange{StartTime: ptr(int64(1))} },
		"Specific timestamp cannot be less than 0.":                                                        func(m *otsprotocol.GetRowRequest) { m.TimeRange = &otsprotocol.TimeRange{SpecificTime: ptr(int64(-1))} },
		"Request table not exist":                                                                          func(m *otsprotocol.GetRowRequest) { m.TableName = ptr("u") },
		"Invalid column name: '1x'.":                                                                       func(m *otsprotocol.GetRowRequest) { m.ColumnsToGet = []string{"1x"} },
		"Deserialize filter failed.":                                                                       func(m *otsprotocol.GetRowRequest) { m.Filter = []byte{1} },
		"Attribute column cannot be given while reading data.":                                             func(m *otsprotocol.GetRowRequest) { m.PrimaryKey = putRequest(pk, cell("a", 1)).Row },
		"Delete marker cannot be given.":                                                                   func(m *otsprotocol.GetRowRequest) { m.PrimaryKey = deleteRequest(pk).PrimaryKey },
		"Cell data broken, PK is empty.":                                                                   func(m *otsprotocol.GetRowRequest) { m.PrimaryKey = []byte{} },
		"Cell data broken, checksum is mismatch, row: plainbuffer: checksum mismatch.":                     func(m *otsprotocol.GetRowRequest) { m.PrimaryKey[len(m.PrimaryKey)-1]++ },
		"The number of columns from the request exceeds the limit, limit count: 1024, column count: 1025.": func(m *otsprotocol.GetRowRequest) { m.ColumnsToGet = make([]string, 1025) },
		"Try to call method using explicit transaction on explicit-transaction-disabled table.":            func(m *otsprotocol.GetRowRequest) { m.TransactionId = ptr("x") },
	} {
		m := getRequest(pk)
		change(m)
		s.refused(t, "GetRow", m, "OTSParameterInvalid", message)
	}
	m := getRequest(pk)
	m.PrimaryKey = append(m.PrimaryKey, 0, 0)
	s.must(t, "GetRow", m)
	m.PrimaryKey = append(m.PrimaryKey, 1)
	s.refused(t, "GetRow", m, "OTSParameterInvalid", "Cell data broken, has more data in cell, but they can't be parsed.")
	for message, key := range map[string][]plainbuffer.Cell{
		"Validate PK size fail. Input: 2, Meta: 1.":                  {cell("id", "a"), cell("x", "b")},
		"Validate PK name fail. Input: ID, Meta: id.":                {cell("ID", "a")},
		"Validate PK type fail. Input: VT_INTEGER, Meta: VT_STRING.": {cell("id", 1)},
		"Validate PK type fail. Input: VT_BLOB, Meta: VT_STRING.":    {cell("id", []byte("a"))},
		"Validate PK type fail. Input: VT_INF_MIN, Meta: VT_STRING.": {cell("id", plainbuffer.InfMin)},
	} {
		s.refused(t, "GetRow", getRequest(key), "OTSInvalidPK", message)
	}
	s.refused(t, "GetRow", getRequest(idKey(string(make([]byte, 1025)))), "OTSParameterInvalid",
		"The length of primary key column: 'id' exceeds the MaxLength:1024 with CurrentLength:1025.")
}

func TestKeysOfAllTypes(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil, keySchema{"s", otsprotocol.PrimaryKeyType_STRING}, keySchema{"i", otsprotocol.PrimaryKeyType_INTEGER},
		keySchema{"b", otsprotocol.PrimaryKeyType_BINARY}, keySchema{"z", otsprotocol.PrimaryKeyType_STRING})
	keys := [][]plainbuffer.Cell{
		{cell("s", ""), cell("i", -1), cell("b", []byte{}), cell("z", "")},
		{cell("s", ""), cell("i", 1), cell("b", []byte{}), cell("z", "")},
		{cell("s", ""), cell("i", 1), cell("b", []byte{0}), cell("z", "")},
		{cell("s", ""), cell("i", 1), cell("b", []byte{0, 0}), cell("z", "\x00")},
		{cell("s", ""), cell("i", 1), cell("b", []byte{0, 1}), cell("z", "a")},
		{cell("s", "a"), cell("i", -1<<62), cell("b", []byte{255}), cell("z", "ü")},
		{cell("s", "a\x00"), cell("i", 0), cell("b", []byte{1}), cell("z", "z")},
		{cell("s", "ab"), cell("i", 0), cell("b", []byte{1}), cell("z", "z")},
	}
	for i, pk := range keys {
		s.must(t, "PutRow", putRequest(pk, cell("n", i)))
	}
	for i, pk := range keys {
		row, _ := s.get(t, getRequest(pk))
		if got := text(row, time.Time{}); got != "n="+decimal(int64(i)) {
			t.Errorf("row %d: %s", i, got)
		}
	}
	infinite := func(typ plainbuffer.Type) (pk []plainbuffer.Cell) {
		for _, name := range []string{"s", "i", "b", "z"} {
			pk = append(pk, cell(name, typ))
		}
		return pk
	}
	rows, _ := s.scan(t, rangeRequest(otsprotocol.Direction_FORWARD, infinite(plainbuffer.InfMin), infinite(plainbuffer.InfMax)))
	if len(rows) != len(keys) {
		t.Fatalf("%d rows", len(rows))
	}
	for i, row := range rows {
		for j, c := range row.PrimaryKey {
			if !c.Value.Equal(keys[i][j].Value) {
				t.Errorf("row %d column %s: %+v", i, c.Name, c.Value)
			}
		}
	}
}

func TestReadUnits(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	pk := idKey("a") // 3 bytes
	for _, tt := range []struct{ size, units int }{{1, 1}, {4096 - 3 - 1 - 8, 1}, {4096 - 3 - 1 - 8 + 1, 2}, {100000, 25}} {
		s.must(t, "PutRow", putRequest(pk, cell("x", make([]byte, tt.size))))
		if _, units := s.get(t, getRequest(pk)); int(units) != tt.units {
			t.Errorf("%d bytes cost %d", tt.size, units)
		}
	}
	if _, units := s.get(t, getRequest(idKey("none"))); units != 1 {
		t.Errorf("a missing row costs %d", units)
	}
	m := getRequest(pk)
	m.ColumnsToGet = []string{"y"}
	if _, units := s.get(t, m); units != 1 {
		t.Errorf("a row without the wanted column costs %d", units)
	}
}
