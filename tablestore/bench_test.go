package tablestore

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
)

// The figures include the server's part: it runs in the same process.
//
//	go test ./tablestore -run '^$' -bench . -benchmem
func BenchmarkRow(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 10, 50 << 10} {
		value := make([]byte, size)
		random := rand.NewChaCha8([32]byte{})
		_, _ = random.Read(value)
		columns := []Column{{Name: "data", Value: value}, {Name: "flags", Value: int64(2)}}
		b.Run(fmt.Sprintf("Get/%dKB", size>>10), func(b *testing.B) {
			client, _ := withTable(b)
			put(b, client, "a1", columns...)
			request := &GetRowRequest{Table: "nodestore", PrimaryKey: key("a1"), ColumnsToGet: []string{"data", "flags", "expires"}}
			b.ReportAllocs()
			for b.Loop() {
				if row, err := client.GetRow(b.Context(), request); err != nil || row == nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("Put/%dKB", size>>10), func(b *testing.B) {
			client, _ := withTable(b)
			change := &RowChange{Kind: Put, PrimaryKey: key("a1"), Columns: columns}
			b.ReportAllocs()
			for b.Loop() {
				if err := client.WriteRow(b.Context(), "nodestore", change); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBatchGet(b *testing.B) {
	request := &BatchGetRowRequest{Table: "nodestore"}
	rows := &otsprotocol.TableInBatchGetRowResponse{TableName: proto.String("nodestore")}
	for i := range 100 {
		id := fmt.Sprintf("id%02d", i)
		request.PrimaryKeys = append(request.PrimaryKeys, key(id))
		rows.Rows = append(rows.Rows, &otsprotocol.RowInBatchGetRowResponse{
			IsOk: proto.Bool(true), Consumed: consumed(), Row: row(id, make([]byte, 10<<10)),
		})
	}
	client := open(b, cannedServer(b, "BatchGetRow", message(b, &otsprotocol.BatchGetRowResponse{Tables: []*otsprotocol.TableInBatchGetRowResponse{rows}})))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.BatchGetRow(b.Context(), request); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExchange is GetRow against a server that does nothing but write an answer made before: what is
// left is the client's part and net/http.
func BenchmarkExchange(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			client := open(b, cannedServer(b, "GetRow", gotRow(b, row("a1", make([]byte, size)))))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.GetRow(b.Context(), getA1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// cannedServer reads requests by their Content-Length only and gives all the same answer.
func cannedServer(t testing.TB, operation string, body []byte) string {
	request := httptest.NewRequest("POST", "/"+operation, nil)
	encoded := answer{body: body}.encoded(request)
	return wire(t, func(_ int, conn net.Conn, r *bufio.Reader) {
		for {
			length := 0
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
					length, _ = strconv.Atoi(string(bytes.TrimSpace(n)))
				}
				if len(line) == 2 {
					break
				}
			}
			if _, err := r.Discard(length); err != nil {
				return
			}
			if _, err := conn.Write(encoded); err != nil {
				return
			}
		}
	})
}
