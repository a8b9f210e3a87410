package store

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/PMExtra/sentry-tablestore/v2/local"
)

func TestLogOfACall(t *testing.T) {
	s, server, _ := newStore(t)
	withoutPauses(s)
	if err := server.SetFaults(local.Rule{Operation: "GetRow", Fault: local.Fault{Code: "OTSServerBusy"}, Count: local.Times(3)}); err != nil {
		t.Fatal(err)
	}
	log := &Log{ProjectLevel: levelDebug, ClientLevel: levelDebug}
	if _, _, err := s.Get(WithLog(t.Context(), log), "node"); err != nil {
		t.Fatal(err)
	}
	var records []record
	if err := json.Unmarshal(log.Take(), &records); err != nil {
		t.Fatal(err)
	}
	requests := 0
	for _, r := range records {
		if r.Logger == "client" {
			requests++
			for _, part := range []string{"GetRow", "status=", "request_id=", "sent=", "received=", "time=", "attempt="} {
				if !strings.Contains(r.Message, part) {
					t.Errorf("record %q has no %s", r.Message, part)
				}
			}
		}
		if strings.Contains(r.Message, server.AccessKeySecret) {
			t.Errorf("record %q holds the secret", r.Message)
		}
	}
	if requests != 4 || !strings.Contains(records[len(records)-1].Message, "attempt=4") {
		t.Errorf("records %+v", records)
	}
	if log.Take() != nil {
		t.Error("records were not forgotten")
	}
}

func TestNothingIsCollectedForLevelsThatAreOff(t *testing.T) {
	s, _, _ := newStore(t)
	log := &Log{ProjectLevel: levelWarning, ClientLevel: levelWarning}
	ctx := WithLog(t.Context(), log)
	if err := s.Set(ctx, "node", []byte("value"), NoTTL); err != nil {
		t.Fatal(err)
	}
	if err := s.Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	if text := log.Take(); text != nil {
		t.Errorf("log %s", text)
	}
}
