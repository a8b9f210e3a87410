package store

import (
	"encoding/json"
	"testing"
)

func TestOptionsRefused(t *testing.T) {
	good := map[string]any{
		"end_point": "http://127.0.0.1:1", "instance": "sentry", "table": "nodestore", "access_key_id": "id", "access_key_secret": "secret",
		"timeout_ms": 1000, "max_connection": 4,
	}
	parse := func(change map[string]any) error {
		options := map[string]any{}
		for _, source := range []map[string]any{good, change} {
			for key, value := range source {
				options[key] = value
			}
		}
		text, err := json.Marshal(options)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseOptions(text)
		return err
	}
	if err := parse(nil); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []map[string]any{
		{"end_point": ""}, {"table": ""}, {"access_key_id": ""}, {"access_key_secret": ""}, {"timeout_ms": 0}, {"max_connection": 0},
		{"compression": "lz4"}, {"automatic_expiry": true}, {"automatic_expiry": true, "default_ttl_ms": 3600_000},
		{"automatic_expiry": true, "default_ttl_ms": 86_400_001}, {"automatic_expiry": true, "default_ttl_ms": 2_147_483_648_000},
		{"reserved_write": 2_147_483_648}, {"default_ttl_ms": -1}, {"reserved_read": -1}, {"unknown": 1}, {"table": 5},
	} {
		failure(t, parse(wrong), KindOptions)
	}
}
