package local

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// sdk returns the official Go client of a server, without its retries.
func sdk(s *TestServer) *tablestore.TableStoreClient {
	config := tablestore.NewDefaultTableStoreConfig()
	config.RetryTimes = 0
	return tablestore.NewClientWithConfig(s.URL, s.Instance, s.AccessKeyID, s.AccessKeySecret, "", config)
}

// sdkTable creates the table "t" with the primary key id of type STRING, kept for ever, with one version.
func sdkTable(t *testing.T, c *tablestore.TableStoreClient, change ...func(*tablestore.CreateTableRequest)) {
	t.Helper()
	req := &tablestore.CreateTableRequest{
		TableMeta:          &tablestore.TableMeta{TableName: "t"},
		TableOption:        &tablestore.TableOption{TimeToAlive: -1, MaxVersion: 1, DeviationCellVersionInSec: 86400},
		ReservedThroughput: &tablestore.ReservedThroughput{},
	}
	req.TableMeta.AddPrimaryKeyColumn("id", tablestore.PrimaryKeyType_STRING)
	for _, f := range change {
		f(req)
	}
	if _, err := c.CreateTable(req); err != nil {
		t.Fatal(err)
	}
}

func sdkKey(id string) *tablestore.PrimaryKey {
	pk := new(tablestore.PrimaryKey)
	pk.AddPrimaryKeyColumn("id", id)
	return pk
}

func ignore() *tablestore.RowCondition {
	return &tablestore.RowCondition{RowExistenceExpectation: tablestore.RowExistenceExpectation_IGNORE}
}

func sdkPut(t *testing.T, c *tablestore.TableStoreClient, id string, columns ...any) {
	t.Helper()
	change := &tablestore.PutRowChange{TableName: "t", PrimaryKey: sdkKey(id), Condition: ignore()}
	for i := 0; i < len(columns); i += 2 {
		change.AddColumn(columns[i].(string), columns[i+1])
	}
	if _, err := c.PutRow(&tablestore.PutRowRequest{PutRowChange: change}); err != nil {
		t.Fatal(err)
	}
}

func sdkGet(t *testing.T, c *tablestore.TableStoreClient, id string) *tablestore.GetRowResponse {
	t.Helper()
	r, err := c.GetRow(&tablestore.GetRowRequest{SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{TableName: "t", PrimaryKey: sdkKey(id), MaxVersion: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// code returns the error code of the service in err.
func code(err error) string {
	var e *tablestore.OtsError
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestSDKRows(t *testing.T) {
	s := RunT(t)
	c := sdk(s)
	sdkTable(t, c)
	large := make([]byte, 2<<20)
	large[1<<20] = 7
	sdkPut(t, c, "a", "data", []byte("hello"), "flags", int64(2), "s", "text", "f", 1.5, "b", true, "large", large)
	r := sdkGet(t, c, "a")
	if len(r.Columns) != 6 || string(r.Columns[1].Value.([]byte)) != "hello" || r.Columns[3].Value.(int64) != 2 || len(r.Columns[4].Value.([]byte)) != 2<<20 {
		t.Errorf("read back: %d columns", len(r.Columns))
	}
	if r.PrimaryKey.PrimaryKeys[0].Value != "a" {
		t.Errorf("primary key %+v", r.PrimaryKey)
	}
	update := &tablestore.UpdateRowChange{TableName: "t", PrimaryKey: sdkKey("a"), Condition: ignore()}
	update.PutColumn("more", int64(1))
	update.DeleteColumn("large")
	update.IncrementColumn("flags", 3)
	if _, err := c.UpdateRow(&tablestore.UpdateRowRequest{UpdateRowChange: update}); err != nil {
		t.Fatal(err)
	}
	r = sdkGet(t, c, "a")
	if len(r.Columns) != 6 || r.Columns[3].Value.(int64) != 5 || r.Columns[4].ColumnName != "more" {
		t.Errorf("after the update: %+v", r.Columns)
	}
	if _, err := c.DeleteRow(&tablestore.DeleteRowRequest{DeleteRowChange: &tablestore.DeleteRowChange{TableName: "t", PrimaryKey: sdkKey("a"), Condition: ignore()}}); err != nil {
		t.Fatal(err)
	}
	if r := sdkGet(t, c, "a"); len(r.Columns) != 0 || len(r.PrimaryKey.PrimaryKeys) != 0 {
		t.Errorf("after the delete: %+v", r)
	}
}

func TestSDKBatches(t *testing.T) {
	s := RunT(t)
	c := sdk(s)
	sdkTable(t, c)
	write := &tablestore.BatchWriteRowRequest{}
	for i := range 50 {
		change := &tablestore.PutRowChange{TableName: "t", PrimaryKey: sdkKey(fmt.Sprint("k", i)), Condition: ignore()}
		change.AddColumn("data", []byte(fmt.Sprint("v", i)))
		if i == 7 {
			change.SetCondition(tablestore.RowExistenceExpectation_EXPECT_EXIST)
		}
		write.AddRowChange(change)
	}
	w, err := c.BatchWriteRow(write)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range w.TableToRowsResult["t"] {
		if row.IsSucceed != (i != 7) || i == 7 && row.Error.Code != "OTSConditionCheckFail" {
			t.Errorf("row %d: %+v", i, row)
		}
	}
	criteria := &tablestore.MultiRowQueryCriteria{TableName: "t", MaxVersion: 1}
	for i := range 50 {
		criteria.AddRow(sdkKey(fmt.Sprint("k", 49-i)))
	}
	g, err := c.BatchGetRow(&tablestore.BatchGetRowRequest{MultiRowQueryCriteria: []*tablestore.MultiRowQueryCriteria{criteria}})
	if err != nil {
		t.Fatal(err)
	}
	rows := g.TableToRowsResult["t"]
	if len(rows) != 50 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, row := range rows {
		n := 49 - i
		if !row.IsSucceed || (len(row.Columns) == 0) != (n == 7) || n != 7 && string(row.Columns[0].Value.([]byte)) != fmt.Sprint("v", n) {
			t.Errorf("row %d: %+v", i, row)
		}
	}
}

func TestSDKRange(t *testing.T) {
	s := RunT(t)
	c := sdk(s)
	sdkTable(t, c)
	for i := range 10 {
		sdkPut(t, c, fmt.Sprintf("k%02d", i), "n", int64(i))
	}
	for _, direction := range []tablestore.Direction{tablestore.FORWARD, tablestore.BACKWARD} {
		begin, end := new(tablestore.PrimaryKey), new(tablestore.PrimaryKey)
		begin.AddPrimaryKeyColumnWithMinValue("id")
		end.AddPrimaryKeyColumnWithMaxValue("id")
		if direction == tablestore.BACKWARD {
			begin, end = end, begin
		}
		var seen []int64
		for begin != nil {
			r, err := c.GetRange(&tablestore.GetRangeRequest{RangeRowQueryCriteria: &tablestore.RangeRowQueryCriteria{
				TableName: "t", Direction: direction, StartPrimaryKey: begin, EndPrimaryKey: end, MaxVersion: 1, Limit: 3}})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range r.Rows {
				seen = append(seen, row.Columns[0].Value.(int64))
			}
			begin = r.NextStartPrimaryKey
		}
		if len(seen) != 10 || (seen[0] == 0) != (direction == tablestore.FORWARD) || (seen[9] == 9) != (direction == tablestore.FORWARD) {
			t.Errorf("direction %v: %v", direction, seen)
		}
	}
}

func TestSDKTables(t *testing.T) {
	s := RunT(t)
	c := sdk(s)
	sdkTable(t, c)
	d, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if d.TableOption.TimeToAlive != -1 || d.TableOption.MaxVersion != 1 || *d.TableMeta.SchemaEntry[0].Name != "id" {
		t.Errorf("described as %+v", d)
	}
	u, err := c.UpdateTable(&tablestore.UpdateTableRequest{TableName: "t", TableOption: &tablestore.TableOption{TimeToAlive: 86400, MaxVersion: 2}})
	if err != nil {
		t.Fatal(err)
	}
	if u.TableOption.TimeToAlive != 86400 || u.TableOption.MaxVersion != 2 || u.TableOption.DeviationCellVersionInSec != 86400 {
		t.Errorf("updated to %+v", u.TableOption)
	}
	l, err := c.ListTable()
	if err != nil || len(l.TableNames) != 1 || l.TableNames[0] != "t" {
		t.Errorf("tables %v, %v", l, err)
	}
	sdkPut(t, c, "a", "n", int64(1))
	if _, err := c.DeleteTable(&tablestore.DeleteTableRequest{TableName: "t"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: "t"}); code(err) != "OTSObjectNotExist" {
		t.Errorf("description of a deleted table: %v", err)
	}
	sdkTable(t, c)
	if r := sdkGet(t, c, "a"); len(r.Columns) != 0 {
		t.Error("a row outlived its table")
	}
}
