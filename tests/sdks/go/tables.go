package main

import (
	"slices"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

var keyTypes = map[string]tablestore.PrimaryKeyType{
	"INTEGER": tablestore.PrimaryKeyType_INTEGER, "STRING": tablestore.PrimaryKeyType_STRING, "BINARY": tablestore.PrimaryKeyType_BINARY,
}

func createTable(c *tablestore.TableStoreClient, s *step) (object, error) {
	meta := &tablestore.TableMeta{TableName: s.Table}
	for _, column := range s.Schema {
		if len(column) > 2 {
			meta.AddPrimaryKeyColumnOption(column[0], keyTypes[column[1]], tablestore.AUTO_INCREMENT)
		} else {
			meta.AddPrimaryKeyColumn(column[0], keyTypes[column[1]])
		}
	}
	_, err := c.CreateTable(&tablestore.CreateTableRequest{
		TableMeta: meta, TableOption: s.Options.tableOption(),
		ReservedThroughput: &tablestore.ReservedThroughput{Readcap: s.Throughput[0], Writecap: s.Throughput[1]},
	})
	return object{}, err
}

func (o *tableOptions) tableOption() *tablestore.TableOption {
	return &tablestore.TableOption{
		TimeToAlive: o.TTL, MaxVersion: o.MaxVersions, DeviationCellVersionInSec: o.Deviation, AllowUpdate: o.AllowUpdate,
	}
}

func updateTable(c *tablestore.TableStoreClient, s *step) (object, error) {
	r, err := c.UpdateTable(&tablestore.UpdateTableRequest{TableName: s.Table, TableOption: s.Options.tableOption()})
	if err != nil {
		return nil, err
	}
	return object{
		"ttl": r.TableOption.TimeToAlive, "max_versions": r.TableOption.MaxVersion, "deviation": r.TableOption.DeviationCellVersionInSec,
		"throughput": []int{r.ReservedThroughput.Readcap, r.ReservedThroughput.Writecap},
	}, nil
}

func describeTable(c *tablestore.TableStoreClient, s *step) (object, error) {
	r, err := c.DescribeTable(&tablestore.DescribeTableRequest{TableName: s.Table})
	if err != nil {
		return nil, err
	}
	schema := [][]string{}
	for _, column := range r.TableMeta.SchemaEntry {
		for name, t := range keyTypes {
			if t == *column.Type {
				schema = append(schema, []string{*column.Name, name})
			}
		}
		if column.Option != nil {
			last := len(schema) - 1
			schema[last] = append(schema[last], "AUTO_INCREMENT")
		}
	}
	return object{
		"table": r.TableMeta.TableName, "schema": schema, "ttl": r.TableOption.TimeToAlive, "max_versions": r.TableOption.MaxVersion,
		"deviation": r.TableOption.DeviationCellVersionInSec, "allow_update": *r.TableOption.AllowUpdate,
		"throughput": []int{r.ReservedThroughput.Readcap, r.ReservedThroughput.Writecap},
	}, nil
}

func listTable(c *tablestore.TableStoreClient) (object, error) {
	r, err := c.ListTable()
	if err != nil {
		return nil, err
	}
	names := append([]string{}, r.TableNames...)
	slices.Sort(names)
	return object{"tables": names}, nil
}
