package local

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
)

// documented returns the operations that the manual says are not supported.
func documented(t *testing.T) (operations []string) {
	t.Helper()
	manual, err := os.ReadFile("../docs/tablestore-local.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(manual), "| | Operations |\n|---|---|\n")
	if !found {
		t.Fatal("the manual has no such table")
	}
	table, _, _ := strings.Cut(section, "\n\n")
	for line := range strings.Lines(table) {
		operations = append(operations, strings.Fields(strings.Split(line, "|")[2])...)
	}
	return operations
}

func TestOperationsThatTheManualSaysAreUnsupported(t *testing.T) {
	s := RunT(t)
	operations := documented(t)
	if len(operations) < 50 {
		t.Fatalf("only %d operations", len(operations))
	}
	for _, operation := range operations {
		if handlers[operation] != nil {
			t.Errorf("%s is supported", operation)
		}
		// A body that would be a good request of another operation changes nothing.
		a := s.send(t, s.request(t, operation, mustMarshal(createRequest("t", nil))))
		if e := a.error(t); a.status != 400 || e.GetCode() != "OTSParameterInvalid" || e.GetMessage() != "Unsupported operation: '"+operation+"'." || !a.signed {
			t.Errorf("%s: %d %v, signed %t", operation, a.status, &e, a.signed)
		}
	}
	// Tunnels have a path before the operation.
	r := s.request(t, "create", nil)
	r.URL.Path = "/tunnel/create"
	if a := s.send(t, r); a.status != 400 {
		t.Errorf("tunnel/create: %d", a.status)
	}
	var list otsprotocol.ListTableResponse
	if err := unmarshal(s.must(t, "ListTable", &otsprotocol.ListTableRequest{}), &list); err != nil || len(list.TableNames) != 0 {
		t.Errorf("tables %q, %v", list.TableNames, err)
	}
}

// TestManualKnowsTheOperationsOfTheSDK: an operation of the official Go SDK is served or listed as unsupported.
func TestManualKnowsTheOperationsOfTheSDK(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(string(out))
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	operations, known := 0, documented(t)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		source, err := os.ReadFile(dir + "/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\w+\s*= "/([A-Z][A-Za-z]+)"`).FindAllSubmatch(source, -1) {
			operations++
			if name := string(m[1]); handlers[name] == nil && !slices.Contains(known, name) {
				t.Errorf("%s is neither served nor in the manual", name)
			}
		}
	}
	if operations < 40 {
		t.Errorf("only %d operations found", operations)
	}
}

func TestParametersThatAreUnsupported(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", nil)
	stream := &otsprotocol.StreamSpecification{EnableStream: ptr(true)}
	const unsupported = "OTSUnsupportOperation"
	table := func(change func(*otsprotocol.CreateTableRequest)) *otsprotocol.CreateTableRequest {
		r := createRequest("u", nil)
		change(r)
		return r
	}
	for what, r := range map[string]*otsprotocol.CreateTableRequest{
		"secondary index": table(func(r *otsprotocol.CreateTableRequest) {
			r.IndexMetas = []*otsprotocol.IndexMeta{{Name: ptr("i"), PrimaryKey: []string{"id"}, IndexUpdateMode: otsprotocol.IndexUpdateMode_IUM_ASYNC_INDEX.Enum(), IndexType: otsprotocol.IndexType_IT_GLOBAL_INDEX.Enum()}}
		}),
		"stream":                 table(func(r *otsprotocol.CreateTableRequest) { r.StreamSpec = stream }),
		"server side encryption": table(func(r *otsprotocol.CreateTableRequest) { r.SseSpec = &otsprotocol.SSESpecification{Enable: ptr(true)} }),
		"local transaction":      table(func(r *otsprotocol.CreateTableRequest) { r.EnableLocalTxn = ptr(true) }),
	} {
		if _, code, message := s.call(t, "CreateTable", mustMarshal(r)); code != unsupported || message != "This operation is unsupported: "+what+"." {
			t.Errorf("%s: %s %s", what, code, message)
		}
	}
	update := &otsprotocol.UpdateTableRequest{TableName: ptr("t"), StreamSpec: stream}
	s.refused(t, "UpdateTable", update, unsupported, "This operation is unsupported: stream.")

	const noTransaction = "Try to call method using explicit transaction on explicit-transaction-disabled table."
	put, get, scan, write := putRequest(idKey("a"), cell("x", 1)), getRequest(idKey("a")), allRange(), batch(batchPut("a", cell("x", 1)))
	put.TransactionId, get.TransactionId, scan.TransactionId, write.IsAtomic = ptr("1"), ptr("1"), ptr("1"), ptr(true)
	s.refused(t, "PutRow", put, "OTSParameterInvalid", noTransaction)
	s.refused(t, "GetRow", get, "OTSParameterInvalid", noTransaction)
	s.refused(t, "GetRange", scan, "OTSParameterInvalid", noTransaction)
	s.refused(t, "BatchWriteRow", write, "OTSParameterInvalid", noTransaction)
	write.IsAtomic, write.TransactionId = nil, ptr("1")
	s.refused(t, "BatchWriteRow", write, "OTSParameterInvalid", noTransaction)

	reserve := table(func(r *otsprotocol.CreateTableRequest) { r.ReservedThroughput.CapacityUnit.Read = ptr(int32(1)) })
	s.refused(t, "CreateTable", reserve, "OTSParameterInvalid", "Can not reserve read capacity unit on capacity.")
	s.refused(t, "UpdateTable", &otsprotocol.UpdateTableRequest{TableName: ptr("t"), ReservedThroughput: reserve.ReservedThroughput},
		"OTSForbiddenUpdateCapacityUnit", "Your instance is forbidden to update capacity unit.")
}
