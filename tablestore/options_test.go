package tablestore

import (
	"net/http"
	"strings"
	"testing"
)

func TestOptionsThatCannotWork(t *testing.T) {
	good := Options{Endpoint: "https://sentry.cn-hangzhou.ots.aliyuncs.com", Instance: "sentry", Credentials: Credentials{AccessKeyID: testKeyID, AccessKeySecret: testSecret}}
	if _, err := Open(good); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*Options)
		part   string
	}{
		"no endpoint":           {func(o *Options) { o.Endpoint = "" }, "end_point does not start with http"},
		"no scheme":             {func(o *Options) { o.Endpoint = "sentry.ots.aliyuncs.com" }, "end_point does not start with http"},
		"no URL":                {func(o *Options) { o.Endpoint = "http://[" + testSecret }, "end_point is not a URL"},
		"another scheme":        {func(o *Options) { o.Endpoint = "ftp://host" }, "end_point does not start with http"},
		"no host":               {func(o *Options) { o.Endpoint = "https://:443" }, "end_point names no host"},
		"a key in the endpoint": {func(o *Options) { o.Endpoint = "https://" + testKeyID + ":" + "NeverShown@host" }, "end_point holds a user name"},
		"a query":               {func(o *Options) { o.Endpoint = "https://host/?token=NeverShown" }, "end_point holds a query"},
		"no instance":           {func(o *Options) { o.Instance = "" }, "instance is missing"},
		"no key":                {func(o *Options) { o.AccessKeyID = "" }, "access_key_id is missing"},
		"no secret":             {func(o *Options) { o.AccessKeySecret = "" }, "access_key_secret is missing"},
		"a newline after it":    {func(o *Options) { o.AccessKeySecret = testSecret + "\n" }, "access_key_secret holds a blank"},
		"a header in the token": {func(o *Options) { o.STSToken = testToken + "\r\nX-Other: 1" }, "sts_token holds a blank"},
		"a blank in the region": {func(o *Options) { o.Region = "cn hangzhou" }, "region holds a blank"},
		"a letter beyond ASCII": {func(o *Options) { o.Instance = "sentrÿ" }, "instance holds"},
		"a negative maximum":    {func(o *Options) { o.MaxConnections = -1 }, "max_connection is negative"},
	} {
		t.Run(name, func(t *testing.T) {
			options := good
			test.change(&options)
			_, err := Open(options)
			wantKind(t, failureOf(t, err), Invalid, test.part)
			if strings.Contains(err.Error(), "NeverShown") {
				t.Errorf("a credential is shown: %v", err)
			}
		})
	}
}

func TestEndpointWithPath(t *testing.T) {
	for _, suffix := range []string{"", "/"} {
		var path string
		client := open(t, serve(t, func(r *http.Request, _ []byte) answer {
			path = r.URL.Path
			return goodAnswer(t)
		}).URL+suffix)
		if failure := get(t, client); failure != nil || path != "/GetRow" {
			t.Errorf("suffix %q: path %q, %v", suffix, path, failure)
		}
	}
}

func TestDefaultMaxConnections(t *testing.T) {
	client := open(t, "http://host", func(o *Options) { o.MaxConnections = 0 })
	if cap(client.slots) != 50 || client.transport.pool.max != 50 {
		t.Errorf("%d in flight, %d kept", cap(client.slots), client.transport.pool.max)
	}
}
