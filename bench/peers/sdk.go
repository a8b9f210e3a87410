package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/klauspost/compress/zstd"
)

const (
	table = "nodestore"
	zstds = 2 // in the column flags

	readAtOnce    = 100
	deletedAtOnce = 200
)

// sdk does the calls with the official Go SDK, as its examples show, and zstd. Batches are made one after the other.
type sdk struct {
	client   *tablestore.TableStoreClient
	events   [][]byte
	ids      []string
	orders   [10][]string
	absent   []string
	encoders sync.Pool
	decoder  *zstd.Decoder
}

func newSDK(service map[string]string, events [][]byte) *sdk {
	config := tablestore.NewDefaultTableStoreConfig()
	config.MaxIdleConnections = 64
	s := &sdk{
		client: tablestore.NewClientWithConfig(service["end_point"], service["instance"], service["access_key_id"],
			service["access_key_secret"], "", config),
		events: events,
		ids:    keptIDs(len(events)),
		encoders: sync.Pool{New: func() any {
			encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
			if err != nil {
				panic(err) // only a wrong option does that
			}
			return encoder
		}},
	}
	s.decoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0))
	for i := range s.orders {
		s.orders[i] = slices.Clone(s.ids)
		rand.New(rand.NewPCG(1, uint64(i))).Shuffle(len(s.ids), func(a, b int) {
			s.orders[i][a], s.orders[i][b] = s.orders[i][b], s.orders[i][a]
		})
	}
	for range 10_000 {
		s.absent = append(s.absent, newID())
	}
	return s
}

func (s *sdk) call(operation string, many, thread, i int) error {
	switch operation {
	case "get":
		_, err := s.get(s.ids[(31*thread+i)%len(s.ids)])
		return err
	case "set":
		return s.set(newID(), s.events[(31*thread+i)%len(s.events)])
	case "get_many":
		_, err := s.getMany(s.orders[(thread+i)%len(s.orders)][:many])
		return err
	case "delete_many":
		return s.deleteMany(s.absent[:many])
	}
	return fmt.Errorf("there is no operation %q", operation)
}

// check makes sure that reads give what was written.
func (s *sdk) check() error {
	value, err := s.get(s.ids[1])
	if err != nil || !bytes.Equal(value, s.events[1]) {
		return fmt.Errorf("node 1 came back as %d bytes: %w", len(value), err)
	}
	values, err := s.getMany(s.ids[:10])
	if err != nil || !slices.EqualFunc(values, s.events[:10], bytes.Equal) {
		return fmt.Errorf("nodes came back changed: %w", err)
	}
	return errors.Join(s.set(newID(), s.events[0]), s.deleteMany(s.absent[:deletedAtOnce]))
}

func key(id string) *tablestore.PrimaryKey {
	k := new(tablestore.PrimaryKey)
	k.AddPrimaryKeyColumn("id", id)
	return k
}

func (s *sdk) get(id string) ([]byte, error) {
	answer, err := s.client.GetRow(&tablestore.GetRowRequest{
		SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{TableName: table, PrimaryKey: key(id), MaxVersion: 1},
	})
	if err != nil {
		return nil, err
	}
	return s.decode(answer.Columns)
}

func (s *sdk) set(id string, value []byte) error {
	encoder := s.encoders.Get().(*zstd.Encoder)
	encoded := encoder.EncodeAll(value, nil)
	s.encoders.Put(encoder)
	change := &tablestore.PutRowChange{TableName: table, PrimaryKey: key(id)}
	change.AddColumn("data", encoded)
	change.AddColumn("flags", int64(zstds))
	change.SetCondition(tablestore.RowExistenceExpectation_IGNORE)
	_, err := s.client.PutRow(&tablestore.PutRowRequest{PutRowChange: change})
	return err
}

func (s *sdk) getMany(ids []string) (values [][]byte, err error) {
	for chunk := range slices.Chunk(ids, readAtOnce) {
		criteria := &tablestore.MultiRowQueryCriteria{TableName: table, MaxVersion: 1}
		for _, id := range chunk {
			criteria.AddRow(key(id))
		}
		answer, err := s.client.BatchGetRow(&tablestore.BatchGetRowRequest{MultiRowQueryCriteria: []*tablestore.MultiRowQueryCriteria{criteria}})
		if err != nil {
			return nil, err
		}
		for _, row := range answer.TableToRowsResult[table] {
			if !row.IsSucceed {
				return nil, errors.New(row.Error.Message)
			}
			value, err := s.decode(row.Columns)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
	}
	return values, nil
}

func (s *sdk) deleteMany(ids []string) error {
	for chunk := range slices.Chunk(ids, deletedAtOnce) {
		request := &tablestore.BatchWriteRowRequest{}
		for _, id := range chunk {
			change := &tablestore.DeleteRowChange{TableName: table, PrimaryKey: key(id)}
			change.SetCondition(tablestore.RowExistenceExpectation_IGNORE)
			request.AddRowChange(change)
		}
		answer, err := s.client.BatchWriteRow(request)
		if err != nil {
			return err
		}
		for _, row := range answer.TableToRowsResult[table] {
			if !row.IsSucceed {
				return errors.New(row.Error.Message)
			}
		}
	}
	return nil
}

func (s *sdk) decode(columns []*tablestore.AttributeColumn) ([]byte, error) {
	var data []byte
	var flags int64
	for _, column := range columns {
		switch column.ColumnName {
		case "data":
			data, _ = column.Value.([]byte)
		case "flags":
			flags, _ = column.Value.(int64)
		}
	}
	if flags != zstds {
		return nil, fmt.Errorf("a row has the flags %d", flags)
	}
	return s.decoder.DecodeAll(data, nil)
}
