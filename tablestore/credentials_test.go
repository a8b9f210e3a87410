package tablestore

import (
	"net/http"
	"strings"
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

// What is set while a client works signs its next request, and is removed from errors as its predecessor is.
func TestCredentialsAreReplaced(t *testing.T) {
	const rotated = "NeverShownEither-rotated"
	for _, region := range []string{"", "cn-hangzhou"} {
		secret, key := testSecret, testKeyID
		client := open(t, serve(t, func(r *http.Request, _ []byte) answer {
			if !signature.KeyFor(secret, r.Header).VerifyRequest("GetRow", r.Header) || r.Header.Get("x-ots-accesskeyid") != key {
				t.Errorf("region %q: not signed with the credentials of the moment", region)
			}
			if secret == rotated && r.Header.Get("x-ots-ststoken") != "token-2" {
				t.Errorf("region %q: token %q", region, r.Header.Get("x-ots-ststoken"))
			}
			if secret == rotated {
				return answer{status: 403, body: failed(t, "OTSAuthFailed", testSecret+rotated), change: func(h http.Header) { h.Del("Authorization") }}
			}
			return goodAnswer(t)
		}).URL, func(o *Options) { o.Region = region })
		if failure := get(t, client); failure != nil {
			t.Fatal(failure)
		}
		secret, key = rotated, "key-2"
		if err := client.SetCredentials(Credentials{AccessKeyID: key, AccessKeySecret: rotated, STSToken: "token-2"}); err != nil {
			t.Fatal(err)
		}
		failure := get(t, client)
		if failure == nil || strings.Contains(failure.Error(), "NeverShown") {
			t.Errorf("region %q: error %v", region, failure)
		}
	}
}

func TestClientWithoutCredentialsSaysSo(t *testing.T) {
	client := open(t, "http://127.0.0.1:1", func(o *Options) { o.Credentials = Credentials{} })
	if failure := get(t, client); failure == nil || failure.Kind != Invalid || !strings.Contains(failure.Message, "no credentials") {
		t.Errorf("row operation: %v", failure)
	}
	_, err := client.DescribeTable(t.Context(), "nodestore")
	if err == nil || failureOf(t, err).Kind != Invalid {
		t.Errorf("table operation: %v", err)
	}
	for name, wrong := range map[string]Credentials{
		"no secret": {AccessKeyID: "id"}, "line break": {AccessKeyID: "id", AccessKeySecret: "secret\n"}, "none": {},
	} {
		if err := client.SetCredentials(wrong); err == nil {
			t.Errorf("%s: taken", name)
		}
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
