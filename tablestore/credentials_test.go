package tablestore

import (
	"net/http"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
)

// With V4 the first request of a day is signed with that day's key, header and all: the SDK's own
// provider mixes two days there.
func TestV4KeyOfTheDay(t *testing.T) {
	var date string
	client := open(t, serve(t, func(r *http.Request, _ []byte) answer {
		if !signature.KeyFor(testSecret, r.Header).VerifyRequest("GetRow", r.Header) {
			t.Error("the signature does not match")
		}
		if region := r.Header.Get("x-ots-signregion"); region != "cn-hangzhou" {
			t.Errorf("region %q", region)
		}
		date = r.Header.Get("x-ots-signdate")
		return goodAnswer(t)
	}).URL, func(o *Options) { o.Region = "cn-hangzhou" })
	now := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	client.keys.now = func() time.Time { return now }
	for _, want := range []string{"20261231", "20261231", "20270101"} {
		derived := client.keys.current.Load()
		if failure := get(t, client); failure != nil || date != want {
			t.Errorf("date %q, want %q: %v", date, want, failure)
		}
		if same := client.keys.current.Load() == derived; same != (derived != nil && derived.date == want) {
			t.Errorf("%s: key kept: %v", want, same)
		}
		now = now.Add(time.Second / 2)
	}
}

func TestSTSToken(t *testing.T) {
	for _, region := range []string{"", "cn-hangzhou"} {
		client := open(t, serve(t, func(r *http.Request, _ []byte) answer {
			if token := r.Header.Get("x-ots-ststoken"); token != testToken {
				t.Errorf("region %q: token %q", region, token)
			}
			if !signature.KeyFor(testSecret, r.Header).VerifyRequest("GetRow", r.Header) {
				t.Errorf("region %q: the signature does not match", region)
			}
			return goodAnswer(t)
		}).URL, func(o *Options) { o.Region, o.STSToken = region, testToken })
		if failure := get(t, client); failure != nil {
			t.Error(failure)
		}
	}
}
