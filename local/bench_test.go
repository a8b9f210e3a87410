package local

import (
	"fmt"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// The benchmarks of operations leave out HTTP and signatures, of which BenchmarkHTTPGet1KB has all.

func benchServer(b *testing.B, size int) *TestServer {
	s := RunT(b)
	if _, err := s.do(&call{operation: "CreateTable"}, createTableBody("t", 1)); err != nil {
		b.Fatal(err)
	}
	for i := range 1000 {
		if _, err := s.do(&call{operation: "PutRow"}, putBody(fmt.Sprint("k", i), make([]byte, size))); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// do carries an operation out without HTTP.
func (s *TestServer) do(c *call, body []byte) ([]byte, error) {
	c.server, c.body, c.now = s.Server, body, s.now().UnixMilli()
	c.out = c.out[:0]
	err := handlers[c.operation](s.Server, c)
	return c.out, err
}

func mustMarshal(m protoadapt.MessageV1) []byte {
	data, err := proto.Marshal(protoadapt.MessageV2Of(m))
	if err != nil {
		panic(err)
	}
	return data
}

func createTableBody(name string, versions int32) []byte {
	ttl, id, zero := int32(-1), "id", int32(0)
	return mustMarshal(&otsprotocol.CreateTableRequest{
		TableMeta: &otsprotocol.TableMeta{TableName: &name, PrimaryKey: []*otsprotocol.PrimaryKeySchema{
			{Name: &id, Type: otsprotocol.PrimaryKeyType_STRING.Enum()}}},
		ReservedThroughput: &otsprotocol.ReservedThroughput{CapacityUnit: &otsprotocol.CapacityUnit{Read: &zero, Write: &zero}},
		TableOptions:       &otsprotocol.TableOptions{TimeToLive: &ttl, MaxVersions: &versions},
	})
}

func idKey(id string) []plainbuffer.Cell {
	return []plainbuffer.Cell{plainbuffer.NewCell("id", plainbuffer.StringValue(id))}
}

func putBody(id string, data []byte) []byte {
	name := "t"
	return mustMarshal(&otsprotocol.PutRowRequest{
		TableName: &name, Condition: &otsprotocol.Condition{RowExistence: otsprotocol.RowExistenceExpectation_IGNORE.Enum()},
		Row: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: idKey(id), Attributes: []plainbuffer.Cell{plainbuffer.NewCell("data", plainbuffer.BlobValue(data))}}),
	})
}

func getBody(id string) []byte {
	name, versions := "t", int32(1)
	return mustMarshal(&otsprotocol.GetRowRequest{TableName: &name, MaxVersions: &versions, PrimaryKey: plainbuffer.Encode(plainbuffer.Row{PrimaryKey: idKey(id)})})
}

func BenchmarkGetRow10KB(b *testing.B) {
	s := benchServer(b, 10000)
	bodies := make([][]byte, 1000)
	for i := range bodies {
		bodies[i] = getBody(fmt.Sprint("k", i))
	}
	c := &call{operation: "GetRow"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.do(c, bodies[i%len(bodies)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPutRow10KB(b *testing.B) {
	s := benchServer(b, 10000)
	bodies := make([][]byte, 1000)
	for i := range bodies {
		bodies[i] = putBody(fmt.Sprint("k", i), make([]byte, 10000))
	}
	c := &call{operation: "PutRow"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.do(c, bodies[i%len(bodies)]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBatchGetRow100Of1KB(b *testing.B) {
	s := benchServer(b, 1000)
	name, versions := "t", int32(1)
	table := &otsprotocol.TableInBatchGetRowRequest{TableName: &name, MaxVersions: &versions}
	for i := range 100 {
		table.PrimaryKey = append(table.PrimaryKey, plainbuffer.Encode(plainbuffer.Row{PrimaryKey: idKey(fmt.Sprint("k", i*7))}))
	}
	body := mustMarshal(&otsprotocol.BatchGetRowRequest{Tables: []*otsprotocol.TableInBatchGetRowRequest{table}})
	c := &call{operation: "BatchGetRow"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.do(c, body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHTTPGet1KB is the official Go client and the server in one process: most of the time is the client's.
func BenchmarkHTTPGet1KB(b *testing.B) {
	s := benchServer(b, 1000)
	b.RunParallel(func(pb *testing.PB) {
		c := sdk(s)
		for pb.Next() {
			_, err := c.GetRow(&tablestore.GetRowRequest{SingleRowQueryCriteria: &tablestore.SingleRowQueryCriteria{TableName: "t", PrimaryKey: sdkKey("k5"), MaxVersion: 1}})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
