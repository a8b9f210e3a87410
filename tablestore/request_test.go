package tablestore

import (
	"bytes"
	"net/http"
	"testing"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

func sdkKey(key PrimaryKey) *sdk.PrimaryKey {
	return &sdk.PrimaryKey{PrimaryKeys: []*sdk.PrimaryKeyColumn{{ColumnName: key.Name, Value: key.Value}}}
}

// Every request is the one that the SDK makes of the same.
func TestRequestsAreTheSDKs(t *testing.T) {
	var sent []byte
	client := open(t, serve(t, func(_ *http.Request, body []byte) answer {
		sent = body
		return answer{status: 400, body: failed(t, "OTSParameterInvalid", "noted")}
	}).URL)
	bySDK := func(call func(*sdk.TableStoreClient) error) []byte {
		sent = nil
		_ = client.call(t.Context(), "GetRow", "nodestore", decodeAnswer, call)
		return sent
	}
	byClient := func(call func() error) []byte {
		sent = nil
		_ = call()
		return sent
	}

	columns := []string{"data", "flags"}
	equal := sdk.NewSingleColumnCondition("flags", sdk.CT_EQUAL, int64(-1))
	equal.FilterIfMissing, equal.LatestVersionOnly = false, true
	less := sdk.NewSingleColumnCondition("expires", sdk.CT_LESS_EQUAL, int64(7))
	less.FilterIfMissing, less.LatestVersionOnly = true, true
	both := sdk.NewCompositeColumnCondition(sdk.LO_AND)
	both.AddFilter(equal)
	both.AddFilter(less)
	filter := &Filter{Column: "flags", Comparator: Equal, Value: int64(-1), PassIfMissing: true,
		And: &Filter{Column: "expires", Comparator: LessEqual, Value: int64(7)}}

	puts := []RowChange{
		{Kind: Put, PrimaryKey: key("a"), Columns: []Column{{Name: "data", Value: []byte("value")}, {Name: "flags", Value: int64(2)}}},
		{Kind: Put, PrimaryKey: key("b"), Columns: []Column{{Name: "s", Value: "text", Timestamp: 1700000000000}}, Condition: filter},
		{Kind: Put, PrimaryKey: key("empty"), Columns: []Column{{Name: "data", Value: []byte{}}}},
	}
	sdkPuts := []*sdk.PutRowChange{
		{Columns: []sdk.AttributeColumn{{ColumnName: "data", Value: []byte("value")}, {ColumnName: "flags", Value: int64(2)}}},
		{Columns: []sdk.AttributeColumn{{ColumnName: "s", Value: "text", Timestamp: 1700000000000}}},
		{Columns: []sdk.AttributeColumn{{ColumnName: "data", Value: []byte{}}}},
	}
	for i, change := range sdkPuts {
		change.TableName, change.PrimaryKey = "nodestore", sdkKey(puts[i].PrimaryKey)
		change.SetCondition(sdk.RowExistenceExpectation_IGNORE)
	}
	sdkPuts[1].SetColumnCondition(both)

	update := &RowChange{
		Kind: Update, PrimaryKey: key("c"), Columns: []Column{{Name: "flags", Value: int64(6)}},
		Deletes: []ColumnDelete{{Name: "data"}, {Name: "expires", Timestamp: 1700000000000}},
	}
	sdkUpdate := &sdk.UpdateRowChange{TableName: "nodestore", PrimaryKey: sdkKey(key("c"))}
	sdkUpdate.PutColumn("flags", int64(6))
	sdkUpdate.DeleteColumn("data")
	sdkUpdate.DeleteColumnWithTimestamp("expires", 1700000000000)
	sdkUpdate.SetCondition(sdk.RowExistenceExpectation_IGNORE)

	remove := &RowChange{Kind: Delete, PrimaryKey: key("d")}
	sdkRemove := &sdk.DeleteRowChange{TableName: "nodestore", PrimaryKey: sdkKey(key("d"))}
	sdkRemove.SetCondition(sdk.RowExistenceExpectation_IGNORE)

	write := func(change *RowChange) func() error {
		return func() error { return client.WriteRow(t.Context(), "nodestore", change) }
	}
	scan := func(start sdk.PrimaryKeyColumn) func(*sdk.TableStoreClient) error {
		return func(c *sdk.TableStoreClient) error {
			_, err := c.GetRange(&sdk.GetRangeRequest{RangeRowQueryCriteria: &sdk.RangeRowQueryCriteria{
				TableName: "nodestore", StartPrimaryKey: &sdk.PrimaryKey{PrimaryKeys: []*sdk.PrimaryKeyColumn{&start}},
				EndPrimaryKey: &sdk.PrimaryKey{PrimaryKeys: []*sdk.PrimaryKeyColumn{{ColumnName: "id", PrimaryKeyOption: sdk.MAX}}},
				ColumnsToGet:  columns, MaxVersion: 1, Direction: sdk.FORWARD, Limit: 10, Filter: both,
				TimeRange: &sdk.TimeRange{Start: 0, End: 1700000000000},
			}})
			return err
		}
	}
	for name, test := range map[string]struct {
		ours     func() error
		sdks     func(*sdk.TableStoreClient) error
		defaults string
	}{
		"GetRow": {
			func() error {
				_, err := client.GetRow(t.Context(), &GetRowRequest{Table: "nodestore", PrimaryKey: key("й"), ColumnsToGet: columns})
				return err
			},
			func(c *sdk.TableStoreClient) error {
				_, err := c.GetRow(&sdk.GetRowRequest{SingleRowQueryCriteria: &sdk.SingleRowQueryCriteria{
					TableName: "nodestore", PrimaryKey: sdkKey(key("й")), ColumnsToGet: columns, MaxVersion: 1,
				}})
				return err
			}, "",
		},
		"BatchGetRow": {
			func() error {
				_, err := client.BatchGetRow(t.Context(), &BatchGetRowRequest{Table: "nodestore", PrimaryKeys: []PrimaryKey{key("a"), key("b")}, ColumnsToGet: columns})
				return err
			},
			func(c *sdk.TableStoreClient) error {
				_, err := c.BatchGetRow(&sdk.BatchGetRowRequest{MultiRowQueryCriteria: []*sdk.MultiRowQueryCriteria{{
					TableName: "nodestore", PrimaryKey: []*sdk.PrimaryKey{sdkKey(key("a")), sdkKey(key("b"))}, ColumnsToGet: columns, MaxVersion: 1,
				}}})
				return err
			}, "",
		},
		"PutRow": {
			write(&puts[0]),
			func(c *sdk.TableStoreClient) error {
				_, err := c.PutRow(&sdk.PutRowRequest{PutRowChange: sdkPuts[0]})
				return err
			}, "",
		},
		"PutRow with condition and timestamp": {
			write(&puts[1]),
			func(c *sdk.TableStoreClient) error {
				_, err := c.PutRow(&sdk.PutRowRequest{PutRowChange: sdkPuts[1]})
				return err
			}, "",
		},
		"UpdateRow": {
			write(update),
			func(c *sdk.TableStoreClient) error {
				_, err := c.UpdateRow(&sdk.UpdateRowRequest{UpdateRowChange: sdkUpdate})
				return err
			}, "",
		},
		"DeleteRow": {
			write(remove),
			func(c *sdk.TableStoreClient) error {
				_, err := c.DeleteRow(&sdk.DeleteRowRequest{DeleteRowChange: sdkRemove})
				return err
			}, "",
		},
		"BatchWriteRow": {
			func() error {
				_, err := client.BatchWriteRow(t.Context(), "nodestore", append(puts, *update, *remove))
				return err
			},
			func(c *sdk.TableStoreClient) error {
				_, err := c.BatchWriteRow(&sdk.BatchWriteRowRequest{RowChangesGroupByTable: map[string][]sdk.RowChange{
					"nodestore": {sdkPuts[0], sdkPuts[1], sdkPuts[2], sdkUpdate, sdkRemove},
				}})
				return err
			}, "\x18\x00", // is_atomic
		},
		"GetRange": {
			func() error {
				_, _, err := client.GetRange(t.Context(), &GetRangeRequest{
					Table: "nodestore", Start: key("a"), ColumnsToGet: columns, TimeRange: &TimeRange{End: 1700000000000}, Filter: filter, Limit: 10,
				})
				return err
			}, scan(sdk.PrimaryKeyColumn{ColumnName: "id", Value: "a"}), "\x78\x00\x88\x01\x00", // data_block_type_hint, return_entire_primary_keys
		},
		"GetRange from the beginning": {
			func() error {
				_, _, err := client.GetRange(t.Context(), &GetRangeRequest{
					Table: "nodestore", Start: key(""), ColumnsToGet: columns, TimeRange: &TimeRange{End: 1700000000000}, Filter: filter, Limit: 10,
				})
				return err
			}, scan(sdk.PrimaryKeyColumn{ColumnName: "id", PrimaryKeyOption: sdk.MIN}), "\x78\x00\x88\x01\x00", // data_block_type_hint, return_entire_primary_keys
		},
	} {
		t.Run(name, func(t *testing.T) {
			ours, sdks := byClient(test.ours), bySDK(test.sdks)
			if len(ours) == 0 || len(sdks) == 0 {
				t.Fatalf("sent %d bytes, the SDK %d", len(ours), len(sdks))
			}
			// Behind the rest, the SDK also says what the service takes for granted.
			if rest, ok := bytes.CutPrefix(sdks, ours); !ok || string(rest) != test.defaults {
				t.Errorf("sent\n%x\nthe SDK sends\n%x", ours, sdks)
			}
		})
	}
}
