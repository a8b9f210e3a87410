package local

import (
	"bytes"
	"errors"
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// mutation is a checked write of one row.
type mutation struct {
	table      *table
	operation  otsprotocol.OperationType
	row        plainbuffer.Row // aliases the request
	key        []byte          // of the row in the store
	existence  otsprotocol.RowExistenceExpectation
	condition  *filter
	returnType otsprotocol.ReturnType
	returned   [][]byte // columns to return after the write, nil for all that it touched
	size       int      // primary key and attributes, as the service accounts them
	generated  bool     // the key has an auto-increment column that got its value here
}

// newMutation checks a write before any data is looked at.
func (s *Server) newMutation(t *table, op otsprotocol.OperationType, encoded []byte, cond *otsprotocol.Condition, ret *otsprotocol.ReturnContent, now int64) (*mutation, error) {
	m := &mutation{table: t, operation: op, existence: cond.GetRowExistence(), returnType: ret.GetReturnType()}
	if err := decodeRow(encoded, &m.row); err != nil {
		return nil, err
	}
	if m.existence < otsprotocol.RowExistenceExpectation_IGNORE || m.existence > otsprotocol.RowExistenceExpectation_EXPECT_NOT_EXIST {
		return nil, invalid("Invalid row-existence expectation: %d.", m.existence)
	}
	if m.returnType < otsprotocol.ReturnType_RT_NONE || m.returnType > otsprotocol.ReturnType_RT_AFTER_MODIFY {
		return nil, invalid("Invalid return type: %d.", m.returnType)
	}
	for _, name := range ret.GetReturnColumnNames() {
		m.returned = append(m.returned, []byte(name))
	}
	if data := cond.GetColumnCondition(); len(data) > 0 {
		var err error
		if m.condition, err = parseFilter(data, true); err != nil {
			return nil, err
		}
	}
	if err := t.checkKey(m.row.PrimaryKey, false, op == otsprotocol.OperationType_PUT); err != nil {
		return nil, err
	}
	if err := s.generateKey(m, now); err != nil {
		return nil, err
	}
	m.size = keySize(m.row.PrimaryKey)
	var err error
	switch op {
	case otsprotocol.OperationType_PUT:
		err = m.checkPut(now)
	case otsprotocol.OperationType_UPDATE:
		err = m.checkUpdate(now)
	case otsprotocol.OperationType_DELETE:
		err = m.checkDelete()
	default:
		err = invalid("The type of row in batch write operation is invalid.")
	}
	m.key = appendRowKey(nil, t.id, m.row.PrimaryKey)
	if err != nil {
		return m, err
	}
	if m.needsSpace() {
		return m, s.checkSpace(m.size, true)
	}
	s.space.freed.Store(true)
	return m, s.checkSpace(m.size, false)
}

// generateKey replaces the place-holder of an auto-increment column by a number that grows from row to row.
func (s *Server) generateKey(m *mutation, now int64) error {
	for i := range m.row.PrimaryKey {
		v := &m.row.PrimaryKey[i].Value
		if v.Type != plainbuffer.AutoIncrement {
			continue
		}
		if m.existence != otsprotocol.RowExistenceExpectation_IGNORE {
			return invalid("Invalid expect: %s when modify row with pk auto increment.", m.existence)
		}
		if m.condition != nil {
			return invalid("Can't set condition when modify row with pk auto increment.")
		}
		last := s.increments.Load()
		next := max(last+1, now*1000)
		for !s.increments.CompareAndSwap(last, next) {
			last = s.increments.Load()
			next = max(last+1, now*1000)
		}
		*v = plainbuffer.IntegerValue(next)
		m.generated = true
	}
	return nil
}

// checkCells checks what puts and updates have in common.
func (m *mutation) checkCells(operation string, now int64) error {
	if m.row.Deleted {
		return invalid("Invalid request of put/update row: unexpected RowDeleteMarker in request.")
	}
	if n := len(m.row.Attributes); n > maxColumnsPerWrite {
		return invalid("The number of attribute columns exceeds the limit, limit count: %d, column count: %d.", maxColumnsPerWrite, n)
	}
	for i := range m.row.Attributes {
		c := &m.row.Attributes[i]
		if err := m.table.checkColumn(c); err != nil {
			return err
		}
		if c.HasTimestamp && c.Op == plainbuffer.Put {
			if err := m.table.options.checkTimestamp(c, now); err != nil {
				return err
			}
		}
		m.size += len(c.Name) + c.Value.Size() + versionSize
	}
	if m.size > maxRowWriteSize {
		return invalid("The total data size of %s request exceeds the limit, limit size: %d, data size: %d.", operation, maxRowWriteSize, m.size)
	}
	return nil
}

// expect checks whether the row, trimmed to what reads see, meets the condition of the write.
func (m *mutation) expect(p *pendingRow) error {
	exists := p.reader.row.exists()
	switch {
	case m.existence == otsprotocol.RowExistenceExpectation_EXPECT_EXIST && !exists:
		return fail(errorcode.ConditionCheckFail, "Row does not exist which is expected existent")
	case m.existence == otsprotocol.RowExistenceExpectation_EXPECT_NOT_EXIST && exists:
		return fail(errorcode.ConditionCheckFail, "Row exists which is expected nonexistent")
	case m.condition == nil:
		return nil
	}
	cells := make([]*storedCell, len(p.reader.row.cells))
	for i := range cells {
		cells[i] = &p.reader.row.cells[i]
	}
	ok, err := m.condition.matches(&filterRow{m.row.PrimaryKey, cells, func(c *storedCell) error { return p.reader.load(m.table.id, c) }})
	if err != nil {
		return err
	}
	if !ok {
		return failCode(errorcode.ConditionCheckFail)
	}
	return nil
}

// apply changes the pending row as the mutation says, if its condition holds.
func (m *mutation) apply(p *pendingRow, now int64) error {
	if err := m.expect(p); err != nil {
		return err
	}
	switch m.operation {
	case otsprotocol.OperationType_PUT:
		m.put(p, now)
	case otsprotocol.OperationType_UPDATE:
		if err := m.update(p, now); err != nil {
			return err
		}
	default:
		p.reader.row.reset()
	}
	p.reader.row.trim(&m.table.options, now)
	p.dirty = true
	return nil
}

// consumed returns the capacity units of the write. Looking at the row for a condition costs reading its key.
func (m *mutation) consumed() (read, write int32) {
	if m.existence != otsprotocol.RowExistenceExpectation_IGNORE || m.condition != nil {
		read = capacityUnits(keySize(m.row.PrimaryKey))
	}
	return read, capacityUnits(m.size)
}

// answer returns the row that the client asked back, with the header of a buffer: nil if it asked for none.
func (m *mutation) answer(p *pendingRow) ([]byte, error) {
	var out plainbuffer.Row
	switch m.returnType {
	case otsprotocol.ReturnType_RT_PK:
	case otsprotocol.ReturnType_RT_AFTER_MODIFY:
		for i := range p.reader.row.cells {
			c := &p.reader.row.cells[i]
			if !m.returns(c.Name) || len(out.Attributes) > 0 && bytes.Equal(out.Attributes[len(out.Attributes)-1].Name, c.Name) {
				continue
			}
			if err := p.reader.load(m.table.id, c); err != nil {
				return nil, err
			}
			out.Attributes = append(out.Attributes, c.Cell)
		}
	default:
		return nil, nil
	}
	out.PrimaryKey = m.row.PrimaryKey
	return plainbuffer.Encode(out), nil
}

func (m *mutation) returns(name []byte) bool {
	if m.returned != nil {
		return slices.ContainsFunc(m.returned, func(n []byte) bool { return bytes.Equal(n, name) })
	}
	return slices.ContainsFunc(m.row.Attributes, func(c plainbuffer.Cell) bool { return bytes.Equal(c.Name, name) })
}

// writeOne applies a mutation on its own and returns when it is on disk, with the row that the client asked back.
func (s *Server) writeOne(m *mutation, now int64) (answer []byte, err error) {
	wait, answer, err := s.writeLocked(m, now)
	if wait == nil { // nothing to write, or refused: because of what another request wrote, perhaps
		wait = s.awaitSeen
	}
	return answer, errors.Join(err, wait())
}

func (s *Server) writeLocked(m *mutation, now int64) (wait func() error, answer []byte, err error) {
	s.catalog.mu.RLock()
	defer s.catalog.mu.RUnlock()
	if !s.catalog.refresh(m) {
		return nil, nil, errNoTable()
	}
	lock := &s.locks[stripe(m.key)]
	lock.Lock()
	defer lock.Unlock()
	var p pendingRow
	defer p.reader.release()
	if err := p.begin(s, m.table, m.key, now); err != nil {
		return nil, nil, err
	}
	if err := m.apply(&p, now); err != nil {
		return nil, nil, err
	}
	if answer, err = m.answer(&p); err != nil {
		return nil, nil, err
	}
	batch, err := s.newBatch()
	if err != nil {
		return nil, nil, err
	}
	if err := p.stage(s, m.table, batch); err != nil {
		return nil, nil, err
	}
	if batch.Count() == 0 {
		return nil, answer, batch.Close()
	}
	wait, err = s.commit(batch)
	return wait, answer, err
}
