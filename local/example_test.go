package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"

	"github.com/PMExtra/sentry-tablestore/v2/local"
)

func TestABusyService(t *testing.T) {
	server := local.RunT(t)
	if err := server.SetFaults(local.Rule{Operation: "ListTable", Fault: local.Fault{Code: "OTSServerBusy"}, Count: local.Times(2)}); err != nil {
		t.Fatal(err)
	}
	client := tablestore.NewClient(server.URL, server.Instance, server.AccessKeyID, server.AccessKeySecret)
	if _, err := client.ListTable(); err != nil { // the SDK tries again
		t.Fatal(err)
	}
	server.AdvanceClock(time.Minute)
}

// TestTheManualShowsThis: the test above is the example of docs/tablestore-local.md.
func TestTheManualShowsThis(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join("..", "docs", "tablestore-local.md"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```go\n")
	example, _, found := strings.Cut(rest, "```")
	if !found || !strings.Contains(string(source), example) {
		t.Errorf("the example of the manual is not the test here:\n%s", example)
	}
}
