package local

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
)

// TestListsAreCountedFirst sends bodies of 1 MB that consist of nothing but empty elements of lists, which took up to 120 MB.
func TestListsAreCountedFirst(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	for _, operation := range operations {
		for field := byte(1); field < 6; field++ {
			body := bytes.Repeat([]byte{field<<3 | 2, 0}, 1<<19)
			nested := appendBytes(nil, 1, body[:len(body)-16])
			for _, body := range [][]byte{body, nested} {
				allocates(t, 16<<20+memTableSize, 0, 0, func() {
					if _, err := s.do(&call{operation: operation}, body); err != nil {
						if e, expected := asServiceError(err); !expected || e.status >= 500 {
							t.Errorf("%s, field %d: %v", operation, field, err)
						}
					}
				})
			}
		}
	}
}

// TestLargestLists: what the service allows is not refused.
func TestLargestLists(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	var columns []string
	for i := range maxColumnsToGet {
		columns = append(columns, fmt.Sprint("c", i))
	}
	m := &otsprotocol.BatchGetRowRequest{}
	for i := range maxBatchGetRows {
		m.Tables = append(m.Tables, &otsprotocol.TableInBatchGetRowRequest{TableName: ptr("t"), MaxVersions: ptr(int32(1)),
			ColumnsToGet: columns, PrimaryKey: [][]byte{getRequest(idKey(fmt.Sprint(i))).PrimaryKey}})
	}
	s.must(t, "BatchGetRow", m)
}

// TestLargestAnswer asks for a row of 16 MB as often as a BatchGetRow can: it is refused before the answer takes up the memory, and
// answered when it is asked for less often.
func TestLargestAnswer(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	for i := range 8 {
		s.must(t, "UpdateRow", updateRequest(idKey("a"), cell(fmt.Sprint("c", i), incompressible(2<<20-100))))
	}
	request := func(times int) []byte {
		part := &otsprotocol.TableInBatchGetRowRequest{TableName: ptr("t"), MaxVersions: ptr(int32(1))}
		for range times {
			part.PrimaryKey = append(part.PrimaryKey, getRequest(idKey("a")).PrimaryKey)
		}
		return mustMarshal(&otsprotocol.BatchGetRowRequest{Tables: []*otsprotocol.TableInBatchGetRowRequest{part}})
	}
	allocates(t, 4*maxAnswer, 0, 0, func() {
		if _, err := s.do(&call{operation: "BatchGetRow"}, request(100)); err != errAnswerTooLarge {
			t.Errorf("an answer of 1.6 GB: %v", err)
		}
	})
	if out, err := s.do(&call{operation: "BatchGetRow"}, request(15)); err != nil || len(out) < 15*16<<20-20000 {
		t.Errorf("%d bytes, %v", len(out), err)
	}
}
