package local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"github.com/cockroachdb/pebble/v2"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// catalog holds the tables. Row writes hold mu for reading until they are applied, so that a table cannot go or change under them, and
// table operations for writing. Reads hold nothing: a write may have to wait for the disk, a table operation for the write, and nobody
// else for either.
type catalog struct {
	mu     sync.RWMutex
	tables atomic.Pointer[map[string]*table] // by name; a change puts another map there
	lastID uint64                            // guarded by mu
}

func (c *catalog) byName() map[string]*table { return *c.tables.Load() }

// change puts a map with another table of that name, or none, into the place of the present one. The caller holds mu for writing.
func (c *catalog) change(name string, t *table) {
	tables := maps.Clone(c.byName())
	if delete(tables, name); t != nil {
		tables[name] = t
	}
	c.tables.Store(&tables)
}

// table is a table. Its fields never change once it is in the catalog: an update puts another one in its place.
type table struct {
	id      uint64
	name    string
	key     []keyColumn
	options tableOptions
	stored  tableRecord
}

type keyColumn struct {
	name          []byte
	typ           plainbuffer.Type
	autoIncrement bool
}

// tableOptions are the options of a table that bear on its rows.
type tableOptions struct {
	timeToLive  int32 // seconds, -1 for ever
	maxVersions int32
	deviation   int64 // seconds
	allowUpdate bool
}

// expired reports whether a cell of the time ts is beyond the table's time to live.
func (o *tableOptions) expired(ts, now int64) bool {
	return o.timeToLive > 0 && ts < now-int64(o.timeToLive)*1000
}

// tableRecord is a table as it is stored: JSON under its name.
type tableRecord struct {
	ID             uint64          `json:"id"`
	UUID           string          `json:"uuid"`
	Created        int64           `json:"created_us"`
	Updated        int64           `json:"updated_s"`
	PrimaryKey     []keyRecord     `json:"primary_key"`
	DefinedColumns []definedColumn `json:"defined_columns,omitempty"`
	TimeToLive     int32           `json:"time_to_live"`
	MaxVersions    int32           `json:"max_versions"`
	Deviation      int64           `json:"deviation_s"`
	AllowUpdate    bool            `json:"allow_update"`
	UpdateFullRow  bool            `json:"update_full_row"`
}

type keyRecord struct {
	Name          string `json:"name"`
	Type          int32  `json:"type"`
	AutoIncrement bool   `json:"auto_increment,omitempty"`
}

type definedColumn struct {
	Name string `json:"name"`
	Type int32  `json:"type"`
}

func newTable(name string, r tableRecord) (*table, error) {
	t := &table{id: r.ID, name: name, stored: r, options: tableOptions{r.TimeToLive, r.MaxVersions, r.Deviation, r.AllowUpdate}}
	for _, k := range r.PrimaryKey {
		typ, ok := keyType(otsprotocol.PrimaryKeyType(k.Type))
		if !ok {
			return nil, fmt.Errorf("table %s has a primary key of the unknown type %d", name, k.Type)
		}
		t.key = append(t.key, keyColumn{[]byte(k.Name), typ, k.AutoIncrement})
	}
	return t, nil
}

func keyType(p otsprotocol.PrimaryKeyType) (plainbuffer.Type, bool) {
	switch p {
	case otsprotocol.PrimaryKeyType_INTEGER:
		return plainbuffer.Integer, true
	case otsprotocol.PrimaryKeyType_STRING:
		return plainbuffer.String, true
	case otsprotocol.PrimaryKeyType_BINARY:
		return plainbuffer.Blob, true
	}
	return 0, false
}

// loadCatalog reads the tables.
func loadCatalog(db *pebble.DB) (*catalog, error) {
	c, tables := &catalog{}, make(map[string]*table)
	c.tables.Store(&tables)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixTable}, UpperBound: []byte{prefixTable + 1}})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		name := string(it.Key()[1:])
		var r tableRecord
		err := json.Unmarshal(it.Value(), &r)
		var t *table
		if err == nil {
			t, err = newTable(name, r)
		}
		if err != nil {
			return nil, fmt.Errorf("read the description of table %s: %w", name, errors.Join(err, it.Close()))
		}
		tables[name] = t
		c.lastID = max(c.lastID, t.id)
	}
	return c, it.Close()
}

// get returns a table for reading; it may be gone a moment later, and then reads as empty.
func (c *catalog) get(name string) *table { return c.byName()[name] }

// refresh gives the mutation the table's options of now; false means that the table was deleted since the request came in. The
// caller holds mu.
func (c *catalog) refresh(m *mutation) bool {
	t := c.get(m.table.name)
	if t == nil || t.id != m.table.id {
		return false
	}
	m.table = t
	return true
}

func (c *catalog) names() []string { return slices.Sorted(maps.Keys(c.byName())) }

// errNoTable is the answer of table operations and of writes, errNoTableToRead that of reads, as three public projects saw it.
func errNoTable() *serviceError       { return failCode(errorcode.ObjectNotExist) }
func errNoTableToRead() *serviceError { return invalid("Request table not exist") }

// save stores a table and puts it in the catalog, whose mu the caller holds.
func (s *Server) save(t *table) error {
	data, err := json.Marshal(t.stored)
	if err != nil {
		return err
	}
	if err := s.setNow(tableKey(t.name), data); err != nil {
		return fmt.Errorf("store the description of table %s: %w", t.name, err)
	}
	s.catalog.change(t.name, t)
	return nil
}

// newUUID returns a random id in the form in which the service writes table and request ids.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// now returns the server's clock.
func (s *Server) now() time.Time {
	return s.options.Clock().Add(time.Duration(s.clockOffset.Load()))
}
