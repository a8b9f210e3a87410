package local

import (
	"bytes"
	"math"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/protoadapt"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// selection is what a read wants of each row. It is made once for a request; its cells are reused from row to row.
type selection struct {
	maxVersions int   // versions a column, newest first
	start, end  int64 // cell times, end excluded

	columns      [][]byte // sorted names, nil for all
	keyWanted    bool     // columns names a primary key column, which every row has
	startColumn  []byte
	endColumn    []byte // excluded, nil for no end
	filter       *filter
	table        *table
	cells        []*storedCell
	needsColumns bool // a row with none of the wanted columns is not found
}

// readParameters are the parameters that all reads of rows have.
type readParameters interface {
	GetColumnsToGet() []string
	GetTimeRange() *otsprotocol.TimeRange
	GetMaxVersions() int32
	GetFilter() []byte
	GetStartColumn() string
	GetEndColumn() string
}

// tableToRead decodes the request of GetRow or GetRange and finds its table.
func (c *call) tableToRead(req interface {
	protoadapt.MessageV1
	GetTransactionId() string
	GetTableName() string
},
) (*table, error) {
	if err := c.decode(req); err != nil {
		return nil, err
	}
	if req.GetTransactionId() != "" {
		return nil, errTransaction()
	}
	t := c.server.catalog.get(req.GetTableName())
	if t == nil {
		return nil, errNoTableToRead()
	}
	return t, nil
}

// newSelection checks the parameters of a read. hasMaxVersions and hasEnd tell what is given from what is zero.
func newSelection(t *table, p readParameters, hasMaxVersions, hasEnd bool) (*selection, error) {
	sel := &selection{table: t, maxVersions: math.MaxInt, end: math.MaxInt64}
	if err := sel.setVersions(p.GetTimeRange(), p.GetMaxVersions(), hasMaxVersions); err != nil {
		return nil, err
	}
	names := p.GetColumnsToGet()
	if len(names) > maxColumnsToGet {
		return nil, invalid("The number of columns from the request exceeds the limit, limit count: %d, column count: %d.", maxColumnsToGet, len(names))
	}
	for _, name := range names {
		if !validName(name) {
			return nil, invalid("Invalid column name: '%s'.", name)
		}
		sel.columns = append(sel.columns, []byte(name))
		sel.keyWanted = sel.keyWanted || t.isKey([]byte(name))
	}
	slices.SortFunc(sel.columns, bytes.Compare)
	sel.startColumn = []byte(p.GetStartColumn())
	if hasEnd && p.GetEndColumn() != "" {
		sel.endColumn = []byte(p.GetEndColumn())
	}
	sel.needsColumns = len(sel.columns) > 0 || len(sel.startColumn) > 0 || sel.endColumn != nil
	if len(p.GetFilter()) > 0 {
		var err error
		if sel.filter, err = parseFilter(p.GetFilter(), false); err != nil {
			return nil, err
		}
	}
	return sel, nil
}

func (sel *selection) setVersions(tr *otsprotocol.TimeRange, maxVersions int32, hasMaxVersions bool) error {
	if tr == nil && !hasMaxVersions {
		return invalid("No version condition is specified while querying row.")
	}
	if hasMaxVersions {
		if maxVersions <= 0 {
			return invalid("Invalid max versions: %d. Reason: Max versions must be positive.", maxVersions)
		}
		sel.maxVersions = int(maxVersions)
	}
	if tr == nil {
		return nil
	}
	if tr.SpecificTime != nil {
		switch {
		case hasMaxVersions && (tr.StartTime != nil || tr.EndTime != nil):
			return invalid("Specific timestamp, time range and max versions cannot be given at the same time.")
		case tr.StartTime != nil || tr.EndTime != nil:
			return invalid("Specific tiemstamp and time range cannot be given at the same time.")
		case tr.GetSpecificTime() < 0:
			return invalid("Specific timestamp cannot be less than 0.")
		case tr.GetSpecificTime() >= maxTimestamp:
			return invalid("Timestamp must be in range [0, INT64_MAX/1000).")
		}
		// The official clients always send the newest version's number with it, so the two are taken together.
		sel.start, sel.end = tr.GetSpecificTime(), tr.GetSpecificTime()+1
		return nil
	}
	if tr.StartTime == nil || tr.EndTime == nil {
		return invalid("Start and end time must be given at the same time.")
	}
	sel.start, sel.end = tr.GetStartTime(), tr.GetEndTime()
	if sel.start < 0 || sel.start >= maxTimestamp || sel.end < 0 {
		return invalid("Timestamp must be in range [0, INT64_MAX/1000).")
	}
	if sel.end <= sel.start {
		return invalid("The time range [%d, %d) is invalid.", sel.start, sel.end)
	}
	return nil
}

// wants reports whether the column is among those that the read asks for.
func (sel *selection) wants(name []byte) bool {
	if bytes.Compare(name, sel.startColumn) < 0 || sel.endColumn != nil && bytes.Compare(name, sel.endColumn) >= 0 {
		return false
	}
	if sel.columns == nil {
		return true
	}
	_, found := slices.BinarySearchFunc(sel.columns, name, bytes.Compare)
	return found
}

// apply picks the wanted cells of the reader's row into sel.cells and loads them; found is false if the row is not part of the answer.
// size is what was read, as the service accounts it, without the primary key.
func (sel *selection) apply(r *rowReader, pk []plainbuffer.Cell, now int64) (found bool, size int, err error) {
	row := &r.row
	row.trim(&sel.table.options, now)
	sel.cells = sel.cells[:0]
	var last []byte
	taken, wanted := 0, false
	for i := range row.cells {
		c := &row.cells[i]
		if i == 0 || !bytes.Equal(c.Name, last) {
			last, taken, wanted = c.Name, 0, sel.wants(c.Name)
		}
		if !wanted || taken >= sel.maxVersions || c.Timestamp < sel.start || c.Timestamp >= sel.end {
			continue
		}
		taken++
		sel.cells = append(sel.cells, c)
		size += len(c.Name) + c.size + versionSize
	}
	switch {
	case !row.exists():
		return false, 0, nil
	case len(sel.cells) > 0 || sel.keyWanted:
	case sel.needsColumns || !row.hasMarker || row.marker < sel.start || row.marker >= sel.end:
		return false, 0, nil
	}
	load := func(c *storedCell) error { return r.load(sel.table.id, c) }
	if sel.filter != nil {
		if sel.filter.kind == otsprotocol.FilterType_FT_COLUMN_PAGINATION {
			if sel.cells = sel.filter.page(sel.cells); len(sel.cells) == 0 && !row.hasMarker {
				return false, size, nil
			}
		} else if ok, err := sel.filter.matches(&filterRow{pk, sel.cells, load}); err != nil || !ok {
			return false, size, err
		}
	}
	if size > maxAnswer { // said before the cells are read
		return false, 0, errAnswerTooLarge
	}
	for _, c := range sel.cells {
		if err := load(c); err != nil {
			return false, 0, err
		}
	}
	return true, size, nil
}

// keyCellsSize is the encoded size of the primary key's cells.
func keyCellsSize(pk []plainbuffer.Cell) int {
	n := 0
	for i := range pk {
		n += plainbuffer.CellSize(&pk[i])
	}
	return n
}

// encodedSize is the size of the row that encode writes, without the header of the buffer.
func (sel *selection) encodedSize(pk []plainbuffer.Cell) int {
	n := 1 + keyCellsSize(pk) + 2
	if len(sel.cells) > 0 {
		n++
	}
	for _, c := range sel.cells {
		n += len(c.Encoded)
	}
	return n
}

// encode appends the picked row, without the header of the buffer. Cells go out as they were stored, checksum and all.
func (sel *selection) encode(dst []byte, pk []plainbuffer.Cell) []byte {
	e := plainbuffer.RowEncoder{Dst: dst}
	e.PrimaryKey()
	for i := range pk {
		e.Cell(&pk[i])
	}
	if len(sel.cells) > 0 {
		e.Attributes()
		for _, c := range sel.cells {
			e.EncodedCell(c.Encoded)
		}
	}
	e.End(false)
	return e.Dst
}

// appendConsumed appends a ConsumedCapacity message as the field num. Both numbers are always there: the Go SDK fails without them.
func appendConsumed(dst []byte, num protowire.Number, read, write int32) []byte {
	units := protowire.SizeTag(1) + protowire.SizeVarint(uint64(read)) + protowire.SizeTag(2) + protowire.SizeVarint(uint64(write))
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(protowire.SizeTag(1)+protowire.SizeBytes(units)))
	dst = protowire.AppendTag(dst, 1, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(units))
	dst = protowire.AppendTag(dst, 1, protowire.VarintType)
	dst = protowire.AppendVarint(dst, uint64(read))
	dst = protowire.AppendTag(dst, 2, protowire.VarintType)
	return protowire.AppendVarint(dst, uint64(write))
}

// consumedSize is the size of what appendConsumed appends, tag included.
func consumedSize(read, write int32) int {
	units := 2 + protowire.SizeVarint(uint64(read)) + protowire.SizeVarint(uint64(write))
	return 1 + protowire.SizeBytes(1+protowire.SizeBytes(units))
}
