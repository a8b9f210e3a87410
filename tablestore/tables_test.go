package tablestore

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
)

// described is what the service answers to DescribeTable, changed by f.
func described(table string, f func(*otsprotocol.DescribeTableResponse)) *otsprotocol.DescribeTableResponse {
	status := otsprotocol.TableStatus_ACTIVE
	answer := &otsprotocol.DescribeTableResponse{
		TableMeta: &otsprotocol.TableMeta{TableName: &table, PrimaryKey: []*otsprotocol.PrimaryKeySchema{
			{Name: proto.String("id"), Type: otsprotocol.PrimaryKeyType_STRING.Enum()},
			{Name: proto.String("n"), Type: otsprotocol.PrimaryKeyType_INTEGER.Enum()},
			{Name: proto.String("b"), Type: otsprotocol.PrimaryKeyType_BINARY.Enum()},
		}},
		ReservedThroughputDetails: &otsprotocol.ReservedThroughputDetails{
			CapacityUnit:     &otsprotocol.CapacityUnit{Read: proto.Int32(3), Write: proto.Int32(4)},
			LastIncreaseTime: proto.Int64(1),
		},
		TableOptions: &otsprotocol.TableOptions{
			TimeToLive: proto.Int32(-1), MaxVersions: proto.Int32(1), DeviationCellVersionInSec: proto.Int64(86400),
		},
		TableStatus: &status,
	}
	if f != nil {
		f(answer)
	}
	return answer
}

func TestDescribeTable(t *testing.T) {
	client := open(t, serve(t, always(answer{body: message(t, described("nodestore", nil))})).URL)
	got, err := client.DescribeTable(t.Context(), "nodestore")
	if err != nil {
		t.Fatal(err)
	}
	want := &TableDescription{
		Name:       "nodestore",
		PrimaryKey: []PrimaryKeySchema{{"id", "STRING"}, {"n", "INTEGER"}, {"b", "BINARY"}},
		Options:    TableOptions{TimeToLive: -1, MaxVersions: 1, MaxTimeDeviation: 86400},
		Throughput: ReservedThroughput{Read: 3, Write: 4},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The answers to changes of tables say nothing that is needed. Decoding them could only fail after the change was made.
func TestAnswersToTableChangesAreNotDecoded(t *testing.T) {
	calls := map[string]func(*client) error{
		"CreateTable": func(c *client) error {
			return c.CreateTable(t.Context(), &TableDescription{Name: "nodestore", PrimaryKey: []PrimaryKeySchema{{"id", "STRING"}}})
		},
		"UpdateTable": func(c *client) error {
			return c.UpdateTable(t.Context(), "nodestore", &TableOptions{TimeToLive: -1}, nil)
		},
		"DeleteTable": func(c *client) error { return c.DeleteTable(t.Context(), "nodestore") },
	}
	for name, call := range calls {
		for _, body := range [][]byte{nil, {0x0a, 0x02, 0x08, 0x00}, []byte("anything")} {
			client := open(t, serve(t, always(answer{body: body})).URL)
			if err := call(client); err != nil {
				t.Errorf("%s, %q: %v", name, body, err)
			}
		}
		client := open(t, serve(t, always(answer{status: 409, body: failed(t, "OTSObjectAlreadyExist", "Requested table already exists.")})).URL)
		if failure := failureOf(t, call(client)); failure == nil || !failure.AlreadyExists() || failure.Operation != name {
			t.Errorf("%s: %v", name, failure)
		}
		client = open(t, serve(t, always(answer{change: func(h http.Header) { h.Del("Authorization") }})).URL)
		if failure := failureOf(t, call(client)); failure == nil || failure.Kind != Corrupt {
			t.Errorf("%s, unsigned: %v", name, failure)
		}
	}
}

// What the service is asked for, field by field.
func TestTableRequests(t *testing.T) {
	var path string
	var body []byte
	client := open(t, serve(t, func(r *http.Request, b []byte) answer {
		path, body = r.URL.Path, b
		return answer{}
	}).URL)

	if err := client.CreateTable(t.Context(), &TableDescription{
		Name:       "nodestore",
		PrimaryKey: []PrimaryKeySchema{{"id", "STRING"}},
		Options:    TableOptions{TimeToLive: 86400, MaxVersions: 1, MaxTimeDeviation: 315360000},
		Throughput: ReservedThroughput{Read: 1, Write: 2},
	}); err != nil {
		t.Fatal(err)
	}
	var create otsprotocol.CreateTableRequest
	if err := decode(body, &create); err != nil || path != "/CreateTable" {
		t.Fatal(path, err)
	}
	key, options := create.TableMeta.PrimaryKey, create.TableOptions
	if create.TableMeta.GetTableName() != "nodestore" || len(key) != 1 || key[0].GetName() != "id" || key[0].GetType() != otsprotocol.PrimaryKeyType_STRING ||
		options.GetTimeToLive() != 86400 || options.GetMaxVersions() != 1 || options.GetDeviationCellVersionInSec() != 315360000 ||
		create.ReservedThroughput.CapacityUnit.GetRead() != 1 || create.ReservedThroughput.CapacityUnit.GetWrite() != 2 {
		t.Errorf("CreateTable sent %v", &create)
	}

	if err := client.UpdateTable(t.Context(), "nodestore", &TableOptions{TimeToLive: -1, MaxVersions: 1, MaxTimeDeviation: 86400}, nil); err != nil {
		t.Fatal(err)
	}
	var update otsprotocol.UpdateTableRequest
	if err := decode(body, &update); err != nil || path != "/UpdateTable" {
		t.Fatal(path, err)
	}
	if update.TableOptions.GetTimeToLive() != -1 || update.TableOptions.GetDeviationCellVersionInSec() != 86400 || update.ReservedThroughput != nil {
		t.Errorf("UpdateTable sent %v", &update)
	}
	if err := client.UpdateTable(t.Context(), "nodestore", nil, &ReservedThroughput{Read: 0, Write: 7}); err != nil {
		t.Fatal(err)
	}
	update.Reset()
	if err := decode(body, &update); err != nil {
		t.Fatal(err)
	}
	if update.TableOptions != nil || update.ReservedThroughput.CapacityUnit.GetWrite() != 7 {
		t.Errorf("UpdateTable sent %v", &update)
	}
}

func TestUnknownPrimaryKeyTypeIsNotSent(t *testing.T) {
	client := open(t, "http://127.0.0.1:1")
	err := client.CreateTable(t.Context(), &TableDescription{Name: "nodestore", PrimaryKey: []PrimaryKeySchema{{"id", "TEXT"}}})
	wantKind(t, failureOf(t, err), Invalid, `"id" has the unknown type "TEXT"`)
}
