package tablestore

import (
	"context"
	"fmt"

	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// primaryKeyTypes names the SDK's types as the service's documentation does.
var primaryKeyTypes = map[sdk.PrimaryKeyType]string{
	sdk.PrimaryKeyType_STRING:  "STRING",
	sdk.PrimaryKeyType_INTEGER: "INTEGER",
	sdk.PrimaryKeyType_BINARY:  "BINARY",
}

// DescribeTable is a method of [Client].
func (c *client) DescribeTable(ctx context.Context, table string) (*TableDescription, error) {
	var description *TableDescription
	err := c.call(ctx, "DescribeTable", table, decodeAnswer, func(sdkClient *sdk.TableStoreClient) error {
		answer, err := sdkClient.DescribeTable(&sdk.DescribeTableRequest{TableName: table})
		if err != nil {
			return err
		}
		if answer.TableMeta.TableName != table {
			return shapeError(fmt.Sprintf("the answer describes table %q", answer.TableMeta.TableName))
		}
		description = &TableDescription{
			Name: table,
			Options: TableOptions{
				TimeToLive:       answer.TableOption.TimeToAlive,
				MaxVersions:      answer.TableOption.MaxVersion,
				MaxTimeDeviation: answer.TableOption.DeviationCellVersionInSec,
			},
			Throughput: ReservedThroughput{Read: answer.ReservedThroughput.Readcap, Write: answer.ReservedThroughput.Writecap},
		}
		for _, column := range answer.TableMeta.SchemaEntry {
			kind := primaryKeyTypes[*column.Type]
			if kind == "" {
				return shapeError(fmt.Sprintf("primary key column %q has the unknown type %d", *column.Name, *column.Type))
			}
			description.PrimaryKey = append(description.PrimaryKey, PrimaryKeySchema{Name: *column.Name, Type: kind})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return description, nil
}

// CreateTable is a method of [Client].
func (c *client) CreateTable(ctx context.Context, description *TableDescription) error {
	const operation = "CreateTable"
	meta := &sdk.TableMeta{TableName: description.Name}
	for _, column := range description.PrimaryKey {
		kind, err := sdkPrimaryKeyType(column)
		if err != nil {
			return c.invalid(operation, description.Name, err)
		}
		meta.AddPrimaryKeyColumn(column.Name, kind)
	}
	return c.call(ctx, operation, description.Name, ignoreAnswer, func(sdkClient *sdk.TableStoreClient) error {
		_, err := sdkClient.CreateTable(&sdk.CreateTableRequest{
			TableMeta:          meta,
			TableOption:        sdkTableOption(&description.Options),
			ReservedThroughput: sdkThroughput(&description.Throughput),
		})
		return err
	})
}

// UpdateTable is a method of [Client].
func (c *client) UpdateTable(ctx context.Context, table string, options *TableOptions, throughput *ReservedThroughput) error {
	request := &sdk.UpdateTableRequest{TableName: table}
	if options != nil {
		request.TableOption = sdkTableOption(options)
	}
	if throughput != nil {
		request.ReservedThroughput = sdkThroughput(throughput)
	}
	return c.call(ctx, "UpdateTable", table, ignoreAnswer, func(sdkClient *sdk.TableStoreClient) error {
		_, err := sdkClient.UpdateTable(request)
		return err
	})
}

// DeleteTable is a method of [Client].
func (c *client) DeleteTable(ctx context.Context, table string) error {
	return c.call(ctx, "DeleteTable", table, ignoreAnswer, func(sdkClient *sdk.TableStoreClient) error {
		_, err := sdkClient.DeleteTable(&sdk.DeleteTableRequest{TableName: table})
		return err
	})
}

func sdkPrimaryKeyType(column PrimaryKeySchema) (sdk.PrimaryKeyType, error) {
	for kind, name := range primaryKeyTypes {
		if name == column.Type {
			return kind, nil
		}
	}
	return 0, fmt.Errorf("primary key column %q has the unknown type %q", column.Name, column.Type)
}

// sdkTableOption: the SDK leaves out a deviation of 0, and the service then takes its default of a day.
func sdkTableOption(options *TableOptions) *sdk.TableOption {
	return &sdk.TableOption{
		TimeToAlive:               options.TimeToLive,
		MaxVersion:                options.MaxVersions,
		DeviationCellVersionInSec: options.MaxTimeDeviation,
	}
}

func sdkThroughput(throughput *ReservedThroughput) *sdk.ReservedThroughput {
	return &sdk.ReservedThroughput{Readcap: throughput.Read, Writecap: throughput.Write}
}
