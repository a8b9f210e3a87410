package tablestore

import (
	"os"
	"regexp"
	"testing"
)

// The SDK is maintained as v1.x, but two old versions carry a higher number: without the pin and both
// exclusions any update would go back to them.
func TestSDKIsPinned(t *testing.T) {
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`(?m)^\s*(require )?github\.com/aliyun/aliyun-tablestore-go-sdk v1\.8\.0( // indirect)?$`,
		`(?m)^\s*(exclude )?github\.com/aliyun/aliyun-tablestore-go-sdk v4\.1\.2\+incompatible$`,
		`(?m)^\s*(exclude )?github\.com/aliyun/aliyun-tablestore-go-sdk v4\.1\.3\+incompatible$`,
	} {
		if !regexp.MustCompile(line).Match(module) {
			t.Errorf("go.mod has no line like %s", line)
		}
	}
}
