package local

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
)

func TestCreateTableRefuses(t *testing.T) {
	s := RunT(t)
	str, integer := otsprotocol.PrimaryKeyType_STRING, otsprotocol.PrimaryKeyType_INTEGER
	options := func(o otsprotocol.TableOptions) func(*otsprotocol.CreateTableRequest) {
		return func(m *otsprotocol.CreateTableRequest) { m.TableOptions = &o }
	}
	for message, change := range map[string]func(*otsprotocol.CreateTableRequest){
		"Invalid table name: '1t'.":                                      func(m *otsprotocol.CreateTableRequest) { m.TableMeta.TableName = ptr("1t") },
		"Invalid table name: ''.":                                        func(m *otsprotocol.CreateTableRequest) { m.TableMeta.TableName = ptr("") },
		"Invalid table name: 'a-b'.":                                     func(m *otsprotocol.CreateTableRequest) { m.TableMeta.TableName = ptr("a-b") },
		"TimeToLive cannot be 0 or less than -1.":                        options(otsprotocol.TableOptions{TimeToLive: ptr(int32(0))}),
		"TimeToLive cannot be less than 86400.":                          options(otsprotocol.TableOptions{TimeToLive: ptr(int32(86399))}),
		"The maximum versions cannot be less than or equal to 0.":        options(otsprotocol.TableOptions{MaxVersions: ptr(int32(0))}),
		"The maximum deviation must be in range [0, INT64_MAX/1000000].": options(otsprotocol.TableOptions{DeviationCellVersionInSec: ptr(int64(-1))}),
		"Can not reserve read capacity unit on capacity.":                func(m *otsprotocol.CreateTableRequest) { m.ReservedThroughput.CapacityUnit.Read = ptr(int32(1)) },
		"Can not reserve write capacity unit on capacity.":               func(m *otsprotocol.CreateTableRequest) { m.ReservedThroughput.CapacityUnit.Write = ptr(int32(1)) },
		"The number of primary key columns must be in range: [1, 4].":    func(m *otsprotocol.CreateTableRequest) { m.TableMeta.PrimaryKey = nil },
		"The number of defined columns must be in range: [0, 32].": func(m *otsprotocol.CreateTableRequest) {
			for range 33 {
				m.TableMeta.DefinedColumn = append(m.TableMeta.DefinedColumn, &otsprotocol.DefinedColumnSchema{Name: ptr("x"), Type: otsprotocol.DefinedColumnType_DCT_STRING.Enum()})
			}
		},
		"Duplicated primary key name: 'id'.": func(m *otsprotocol.CreateTableRequest) {
			m.TableMeta.PrimaryKey = append(m.TableMeta.PrimaryKey, m.TableMeta.PrimaryKey[0])
		},
		"AUTO_INCREMENT primary key must be integer.": func(m *otsprotocol.CreateTableRequest) {
			m.TableMeta.PrimaryKey[0].Option = otsprotocol.PrimaryKeyOption_AUTO_INCREMENT.Enum()
		},
		"First primary key can't be auto increment, table: 't'.": func(m *otsprotocol.CreateTableRequest) {
			m.TableMeta.PrimaryKey[0].Type = integer.Enum()
			m.TableMeta.PrimaryKey[0].Option = otsprotocol.PrimaryKeyOption_AUTO_INCREMENT.Enum()
		},
	} {
		m := createRequest("t", nil)
		change(m)
		s.refused(t, "CreateTable", m, "OTSParameterInvalid", message)
	}
	five := createRequest("t", nil, keySchema{"a", str}, keySchema{"b", str}, keySchema{"c", str}, keySchema{"d", str}, keySchema{"e", str})
	s.refused(t, "CreateTable", five, "OTSParameterInvalid", "The number of primary key columns must be in range: [1, 4].")
	m := createRequest("t", nil)
	m.StreamSpec = &otsprotocol.StreamSpecification{EnableStream: ptr(true)}
	m.EnableLocalTxn = ptr(true)
	s.refused(t, "CreateTable", m, "OTSUnsupportOperation", "This operation is unsupported: stream, local transaction.")
	m = createRequest(strings.Repeat("t", 255), nil)
	s.must(t, "CreateTable", m)
}

func TestDescribeTable(t *testing.T) {
	s := RunT(t, fixedClock)
	s.create(t, "docstore_test_1", nil, keySchema{"pName", otsprotocol.PrimaryKeyType_STRING})
	got := s.must(t, "DescribeTable", &otsprotocol.DescribeTableRequest{TableName: ptr("docstore_test_1")})
	uuid := s.catalog.get("docstore_test_1").stored.UUID
	text := hex.EncodeToString(got)
	if !strings.Contains(text, hex.EncodeToString([]byte(uuid))) || !strings.HasSuffix(text, "620208006800") {
		t.Errorf("described as %x", got)
	}
	s.refused(t, "DescribeTable", &otsprotocol.DescribeTableRequest{TableName: ptr("u")}, "OTSObjectNotExist", "Requested table does not exist.")
}

func TestUpdateTable(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	update := func(o *otsprotocol.TableOptions) *otsprotocol.UpdateTableRequest {
		return &otsprotocol.UpdateTableRequest{TableName: ptr("t"), TableOptions: o}
	}
	s.must(t, "UpdateTable", update(&otsprotocol.TableOptions{TimeToLive: ptr(int32(100000))}))
	s.must(t, "UpdateTable", update(&otsprotocol.TableOptions{MaxVersions: ptr(int32(5)), AllowUpdate: ptr(false)}))
	o := s.catalog.get("t").options
	if o.timeToLive != 100000 || o.maxVersions != 5 || o.deviation != 86400 || o.allowUpdate {
		t.Errorf("options %+v", o)
	}
	s.refused(t, "UpdateRow", updateRequest(idKey("a"), cell("x", 1)), "OTSParameterInvalid", "UpdateRow is not allowed when allow_update is false, table: 't'.")
	s.must(t, "PutRow", putRequest(idKey("a"), cell("x", 1)))
	s.refused(t, "UpdateTable", update(&otsprotocol.TableOptions{}), "OTSParameterInvalid", "No parameter is specified in table options.")
	s.refused(t, "UpdateTable", update(nil), "OTSParameterInvalid", "No parameter is specified in UpdateTable.")
	s.refused(t, "UpdateTable", update(&otsprotocol.TableOptions{TimeToLive: ptr(int32(1))}), "OTSParameterInvalid", "TimeToLive cannot be less than 86400.")
	m := update(nil)
	m.ReservedThroughput = &otsprotocol.ReservedThroughput{CapacityUnit: &otsprotocol.CapacityUnit{Read: ptr(int32(1))}}
	s.refused(t, "UpdateTable", m, "OTSForbiddenUpdateCapacityUnit", "Your instance is forbidden to update capacity unit.")
	m = update(&otsprotocol.TableOptions{TimeToLive: ptr(int32(-1))})
	m.TableName = ptr("u")
	s.refused(t, "UpdateTable", m, "OTSObjectNotExist", "Requested table does not exist.")
}
