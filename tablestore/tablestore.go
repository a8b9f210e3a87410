// Package tablestore talks to one instance of Alibaba Cloud Tablestore: row and
// table calls behind one interface, [Client], over an HTTP transport of its own.
// Table calls are encoded and decoded by the Aliyun SDK, row calls by this package.
//
// # Caveats
//
// No call is retried here: the store above knows which calls may be repeated
// and how much time is left. Every error is an [*Error] that names the operation, the
// table, the service's code and its request id. A missing row is not an error.
//
// A call ends when its context does, whatever the network does.
package tablestore

import "context"

// Client is a connection to one instance. It is safe for use by any number of
// goroutines. [Open] gives the real one; tests of the store bring their own.
type Client interface {
	// GetRow returns the row, or nil when there is no such row or when it has
	// none of the columns asked for.
	GetRow(ctx context.Context, request *GetRowRequest) (*Row, error)

	// BatchGetRow returns one result for each primary key, in their order. At
	// most 100 keys a request. The error is nil when single rows failed: look
	// at each result.
	BatchGetRow(ctx context.Context, request *BatchGetRowRequest) ([]RowResult, error)

	// WriteRow sends one PutRow, UpdateRow or DeleteRow, as change.Kind says.
	WriteRow(ctx context.Context, table string, change *RowChange) error

	// BatchWriteRow returns one error (or nil) for each change, in their order.
	// At most 200 changes and 4 MiB of data a request. The second result is
	// for the request as a whole.
	BatchWriteRow(ctx context.Context, table string, changes []RowChange) ([]error, error)

	// GetRange returns rows in ascending order of their primary key, and the
	// key to go on from, or nil at the end. The service stops at 5,000 rows or 4 MiB
	// scanned, so an answer may hold fewer rows than asked for, even none.
	GetRange(ctx context.Context, request *GetRangeRequest) (rows []Row, next *PrimaryKey, err error)

	DescribeTable(ctx context.Context, table string) (*TableDescription, error)
	CreateTable(ctx context.Context, description *TableDescription) error

	// UpdateTable sets the options; a nil throughput leaves that as it is.
	UpdateTable(ctx context.Context, table string, options *TableOptions, throughput *ReservedThroughput) error
	DeleteTable(ctx context.Context, table string) error

	// SetCredentials replaces what later requests are signed with. Requests under way are not touched.
	SetCredentials(credentials Credentials) error

	// Close drops idle connections. Calls that are under way go on.
	Close()
}

// PrimaryKey is a primary key of a single STRING column, the only shape that
// this project's tables have.
type PrimaryKey struct {
	Name  string
	Value string
}

// Column is one attribute column in its newest version. Value is a string, an
// int64, a []byte, a float64 or a bool; Timestamp is in milliseconds since 1970, and 0 in a write
// lets the service's clock set it.
type Column struct {
	Name      string
	Value     any
	Timestamp int64
}

// Row is a row as read: its primary key and the columns asked for, sorted by name.
type Row struct {
	PrimaryKey PrimaryKey
	Columns    []Column
}

// RowResult is one row of a BatchGetRow: Err when this row failed, else Row,
// which is nil when there is no such row.
type RowResult struct {
	Row *Row
	Err error
}

// GetRowRequest asks for one row. No ColumnsToGet means every column.
type GetRowRequest struct {
	Table        string
	PrimaryKey   PrimaryKey
	ColumnsToGet []string
}

// BatchGetRowRequest asks for up to 100 rows of one table.
type BatchGetRowRequest struct {
	Table        string
	PrimaryKeys  []PrimaryKey
	ColumnsToGet []string
}

// GetRangeRequest asks for the rows from Start (inclusive; its Value "" means
// the beginning of the table) to End (exclusive; "" means the end of the table).
type GetRangeRequest struct {
	Table        string
	Start        PrimaryKey
	End          string
	ColumnsToGet []string
	TimeRange    *TimeRange // nil: any time
	Filter       *Filter    // nil: every row
	Limit        int        // 0: as many as the service gives
}

// TimeRange restricts cells to timestamps in [Start, End), in milliseconds since 1970.
type TimeRange struct {
	Start, End int64
}

// ChangeKind says what a RowChange does.
type ChangeKind int

const (
	// Put replaces the whole row: columns that it had before are gone.
	Put ChangeKind = iota + 1
	// Update sets and deletes single columns.
	Update
	// Delete removes the row; a missing row is fine.
	Delete
)

// RowChange is one write of one row. Columns are for Put and Update,
// Deletes for Update. A Condition that does not hold fails the write with
// OTSConditionCheckFail, and so does a row that is there when it must be Missing.
type RowChange struct {
	Kind       ChangeKind
	PrimaryKey PrimaryKey
	Columns    []Column
	Deletes    []ColumnDelete
	Condition  *Filter
	Missing    bool
}

// ColumnDelete removes all versions of a column, or, with a Timestamp other than 0, the
// version of exactly that time and no other.
type ColumnDelete struct {
	Name      string
	Timestamp int64
}

// Comparator is a Filter's comparison of the column with the value.
type Comparator int

const (
	Equal Comparator = iota + 1
	NotEqual
	LessEqual
)

// Filter compares one column with a value. PassIfMissing says whether
// a row without that column passes. With And, both must pass.
type Filter struct {
	Column        string
	Comparator    Comparator
	Value         any
	PassIfMissing bool
	And           *Filter
}

// TableDescription is a table as DescribeTable tells it and CreateTable takes it.
type TableDescription struct {
	Name       string             `json:"name"`
	PrimaryKey []PrimaryKeySchema `json:"primary_key"`
	Options    TableOptions       `json:"options"`
	Throughput ReservedThroughput `json:"throughput"`
}

// PrimaryKeySchema is a primary key column; Type is "STRING", "INTEGER" or "BINARY".
type PrimaryKeySchema struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// TableOptions are a table's options. TimeToLive is in seconds, -1 for ever;
// MaxTimeDeviation (seconds) is how far a cell's timestamp given by a client may be from the
// service's clock.
type TableOptions struct {
	TimeToLive       int   `json:"time_to_live"`
	MaxVersions      int   `json:"max_versions"`
	MaxTimeDeviation int64 `json:"max_time_deviation"`
}

// ReservedThroughput is in capacity units a second; 0/0 is pay as you go.
type ReservedThroughput struct {
	Read  int `json:"read"`
	Write int `json:"write"`
}
