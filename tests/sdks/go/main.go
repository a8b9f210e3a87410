// Command go runs the operation script of tests/sdks through the official Go SDK.
//
// It reads {"server": …, "steps": […]} from standard input and prints {"step": name, "outcome": …} for each step. What the fields of
// both mean stands in tests/sdks/README.md.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/aliyun/aliyun-tablestore-go-sdk/common"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// server is how to reach and sign for it; a step may say otherwise.
type server struct {
	EndPoint        string `json:"end_point"`
	Instance        string `json:"instance"`
	AccessKeyID     string `json:"access_key_id"`
	AccessKeySecret string `json:"access_key_secret"`
	Region          string `json:"region"` // signs with V4
}

// object is a JSON object of an outcome.
type object map[string]any

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "the Go client:", err)
		os.Exit(1)
	}
}

func run() error {
	var input struct {
		Server json.RawMessage `json:"server"`
		Steps  []json.RawMessage
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		return fmt.Errorf("read the script: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	for _, raw := range input.Steps {
		var s step
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("read the step %s: %w", raw, err)
		}
		var to server
		for _, settings := range []json.RawMessage{input.Server, s.Client} {
			if settings == nil {
				continue
			}
			if err := json.Unmarshal(settings, &to); err != nil {
				return fmt.Errorf("read the server of %q: %w", s.Name, err)
			}
		}
		if err := out.Encode(object{"step": s.Name, "outcome": outcome(&s, to)}); err != nil {
			return err
		}
	}
	return nil
}

// outcome performs the step. The SDK panics on what it did not expect; so do values of the script that are wrong.
func outcome(s *step, to server) (o object) {
	defer func() {
		if p := recover(); p != nil {
			o = object{"client_error": fmt.Sprint("panic: ", p)}
		}
	}()
	o, err := perform(client(to), s)
	var refusal *tablestore.OtsError
	switch {
	case errors.As(err, &refusal):
		return object{"error": object{"status": refusal.HttpStatusCode, "code": refusal.Code, "message": refusal.Message}}
	case err != nil:
		return object{"client_error": err.Error()}
	}
	return o
}

func client(to server) *tablestore.TableStoreClient {
	config := tablestore.NewDefaultTableStoreConfig()
	config.RetryTimes = 0
	if to.Region == "" {
		return tablestore.NewClientWithConfig(to.EndPoint, to.Instance, to.AccessKeyID, to.AccessKeySecret, "", config)
	}
	credentials := &common.DefaultCredentials{AccessKeyID: to.AccessKeyID, AccessKeySecret: to.AccessKeySecret}
	return tablestore.NewClientWithCredentialsProvider(to.EndPoint, to.Instance, common.CreateByCredentials(credentials, to.Region), config)
}

func perform(c *tablestore.TableStoreClient, s *step) (object, error) {
	switch s.Op {
	case "CreateTable":
		return createTable(c, s)
	case "UpdateTable":
		return updateTable(c, s)
	case "DescribeTable":
		return describeTable(c, s)
	case "ListTable":
		return listTable(c)
	case "DeleteTable":
		_, err := c.DeleteTable(&tablestore.DeleteTableRequest{TableName: s.Table})
		return object{}, err
	case "PutRow":
		return putRow(c, s)
	case "UpdateRow":
		return updateRow(c, s)
	case "DeleteRow":
		return deleteRow(c, s)
	case "GetRow":
		return getRow(c, s)
	case "GetRange":
		return getRange(c, s)
	case "BatchGetRow":
		return batchGetRow(c, s)
	case "BatchWriteRow":
		return batchWriteRow(c, s)
	case "ListSearchIndex":
		_, err := c.ListSearchIndex(&tablestore.ListSearchIndexRequest{TableName: s.Table})
		return object{}, err
	}
	return nil, fmt.Errorf("the script asks for an unknown operation %q", s.Op)
}
