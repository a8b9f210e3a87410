package store

import (
	"context"

	"github.com/klauspost/compress/zstd"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Scanned is what a scan tells of a node.
type Scanned struct {
	ID          string `json:"id"`
	Written     int64  `json:"written"`     // milliseconds since 1970
	Expires     int64  `json:"expires"`     // milliseconds since 1970; 0: when the table says so
	Compression string `json:"compression"` // as in Options
	Stored      int64  `json:"stored"`      // bytes of the value as it is in the table
	Size        int64  `json:"size"`        // bytes of the value; -1: not told without decompressing it
	Error       string `json:"error"`       // why it cannot be decoded, or ""
	Value       []byte `json:"-"`           // nil unless asked for, and for a node that cannot be decoded
}

// Scan reads nodes in the order of their ids, from start (inclusive; "" is the beginning) to end (exclusive; "" is the table's end), and
// tells the id to go on from, "" at the end. An answer holds at most limit nodes, about 4 MB of values that are stored whole, and with values about 16 MB of split
// ones or a single one; it may hold none before the end. Nodes that are no longer visible are left out.
func (s *Store) Scan(ctx context.Context, start, end string, limit int, values bool) (nodes []Scanned, next string, err error) {
	const operation = "scan"
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return nil, "", s.failed(operation, err)
	}
	defer cancel()
	request := &tablestore.GetRangeRequest{
		Table: s.options.Table, Start: tablestore.PrimaryKey{Name: keyName, Value: start}, End: end, ColumnsToGet: nodeColumns, Limit: limit,
	}
	var rows []tablestore.Row
	var following *tablestore.PrimaryKey
	err = s.retry(ctx, func(ctx context.Context) (err error) {
		rows, following, err = s.client.GetRange(ctx, request)
		return err
	})
	if err != nil {
		return nil, "", s.failed(operation, err)
	}
	if following != nil {
		next = following.Value
	}
	if n := fitting(rows); values && n < len(rows) {
		next, rows = rows[n].PrimaryKey.Value, rows[:n]
	}
	found := make([]*tablestore.Row, len(rows))
	for i := range rows {
		found[i] = &rows[i]
	}
	nodes, err = s.scannedAll(ctx, found, values)
	return nodes, next, s.failed(operation, err)
}

// maxScanSplit is how many bytes of split values a scan reads at once. They are not in the answer that the service bounds, and have to be
// read within the same call.
const maxScanSplit = 16 << 20

// fitting tells how many of the rows, from the first, have no more of them; the first one alone always fits.
func fitting(rows []tablestore.Row) int {
	var total int64
	for i := range rows {
		for _, column := range rows[i].Columns {
			if column.Name == columnSize {
				size, _ := column.Value.(int64)
				total += max(0, min(size, maxEncodedSize))
			}
		}
		if total > maxScanSplit && i > 0 {
			return i
		}
	}
	return len(rows)
}

// ScanMany tells of nodes what a scan does, in the order of their ids here; those that are missing, or no longer visible, are left out.
func (s *Store) ScanMany(ctx context.Context, ids []string, values bool) ([]Scanned, error) {
	const operation = "scan_many"
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return nil, s.failed(operation, err)
	}
	defer cancel()
	for _, id := range ids {
		if err := checkID(id); err != nil {
			return nil, s.failed(operation, err, id)
		}
	}
	unique, _ := distinct(ids)
	rows, err := s.getRows(ctx, unique, nodeColumns)
	if err != nil {
		return nil, s.failed(operation, err)
	}
	nodes, err := s.scannedAll(ctx, rows, values)
	return nodes, s.failed(operation, err)
}

// scannedAll leaves out rows that show no node.
func (s *Store) scannedAll(ctx context.Context, rows []*tablestore.Row, values bool) ([]Scanned, error) {
	all := make([]*Scanned, len(rows))
	err := firstOf(parallel(len(rows), cores, func(i int) (err error) {
		all[i], err = s.scanned(ctx, rows[i], values)
		return err
	}))
	if err != nil {
		return nil, err
	}
	nodes := make([]Scanned, 0, len(all))
	for _, node := range all {
		if node != nil {
			nodes = append(nodes, *node)
		}
	}
	return nodes, nil
}

// scanned is nil for a row that shows no node.
func (s *Store) scanned(ctx context.Context, row *tablestore.Row, values bool) (*Scanned, error) {
	if !hasValue(row) {
		return nil, nil
	}
	result := &Scanned{ID: row.PrimaryKey.Value, Written: writtenAt(row), Size: -1}
	broken := func(err error) (*Scanned, error) {
		result.Error = err.Error()
		if own, ok := err.(*Error); ok {
			result.Error = own.Message
		}
		return result, nil
	}
	n, err := parseNode(row)
	if err != nil {
		return broken(err)
	}
	if !s.visible(n) {
		return nil, nil
	}
	encoded := n.data
	if n.flags&flagSplit != 0 && values {
		if encoded, n, err = s.readSplit(ctx, n); err != nil && isCorrupt(err) {
			return broken(err)
		}
		if err != nil || n == nil {
			return nil, err
		}
		result.Written = n.written // of the value that was read, which may be newer than the row's
	}
	result.Expires, result.Compression = n.expires, compressionName(n.flags)
	if result.Stored = int64(len(encoded)); n.flags&flagSplit != 0 {
		result.Stored = n.size
	}
	if !values {
		result.Size = rawSize(n, encoded)
		return result, nil
	}
	value, err := n.decode(encoded)
	if err != nil {
		return broken(err)
	}
	if value == nil {
		value = []byte{}
	}
	count(ctx, Stored, len(encoded))
	count(ctx, Raw, len(value))
	result.Size, result.Value = int64(len(value)), value
	return result, nil
}

func isCorrupt(err error) bool {
	own, ok := err.(*Error)
	return ok && own.Kind == KindCorruptRow
}

func compressionName(flags int64) string {
	switch flags & (flagZlib | flagZstd) {
	case flagZlib:
		return "zlib"
	case flagZstd:
		return "zstd"
	}
	return ""
}

// rawSize is the size of a value before compression, as far as its form tells it; else -1.
func rawSize(n *node, encoded []byte) int64 {
	switch n.flags {
	case 0:
		return int64(len(encoded))
	case flagSplit:
		return n.size
	case flagZstd:
		var header zstd.Header
		if header.Decode(encoded) == nil && header.HasFCS {
			return int64(header.FrameContentSize)
		}
	}
	return -1
}
