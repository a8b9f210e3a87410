package tablestore

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tests/authority"
)

func TestCertificates(t *testing.T) {
	trusted, stranger := authority.New("trusted"), authority.New("trusted") // the same name, another key
	for name, test := range map[string]struct {
		by     *authority.Authority
		change func(*x509.Certificate)
		part   string // of the error's text; empty where the certificate is good
	}{
		"good":              {by: trusted},
		"self-signed":       {part: "this machine does not trust who signed it: install"},
		"unknown authority": {by: stranger, part: "this machine does not trust who signed it: install"},
		"another host": {by: trusted, part: "it is for another host: name in end_point", change: func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"sentry.cn-hangzhou.ots.aliyuncs.com"}
		}},
		"the host as common name only": {by: trusted, part: "it is for another host", change: func(c *x509.Certificate) { c.IPAddresses = nil }},
		"expired": {by: trusted, part: "it has expired or is not valid yet: have it renewed", change: func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Hour)
		}},
		"not valid yet": {by: trusted, part: "it has expired or is not valid yet", change: func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Hour)
		}},
		"a client's": {by: trusted, part: "it is not fit for a server", change: func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			certify, change := authority.SelfSigned, test.change
			if test.by != nil {
				certify = test.by.Server
			}
			if change == nil {
				change = func(*x509.Certificate) {}
			}
			var asked atomic.Int32
			server := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{certify(change)}}, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				goodAnswer(t).write(w, r)
			})
			client := open(t, server)
			client.transport.tls.RootCAs = x509.NewCertPool()
			client.transport.tls.RootCAs.AddCert(trusted.Certificate)

			failure := get(t, client)
			if test.part == "" {
				if failure != nil || asked.Load() != 1 {
					t.Fatalf("%v after %d requests", failure, asked.Load())
				}
				return
			}
			wantKind(t, failure, Untrusted, "the server's certificate is refused: "+test.part)
			if failure.Retryable() {
				t.Error("is to be tried again")
			}
			if asked.Load() != 0 {
				t.Error("a request was sent all the same")
			}
		})
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	trusted := authority.New("trusted")
	server := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{trusted.Server()},
		MinVersion:   tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	}, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	client := open(t, server)
	client.transport.tls.RootCAs = x509.NewCertPool()
	client.transport.tls.RootCAs.AddCert(trusted.Certificate)
	wantKind(t, get(t, client), NotSent, "protocol version")
}

// Nothing may be sent to where a redirect points: the signed request would go to whoever is named there.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := serve(t, always(answer{status: status, change: func(h http.Header) { h.Set("Location", other.URL+"/GetRow") }}))
		if failure := get(t, open(t, server.URL)); failure == nil || !strings.Contains(failure.Error(), "redirects") {
			t.Errorf("%d: %v", status, failure)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests followed a redirect", n)
	}
}

func serveTLS(t *testing.T, config *tls.Config, handler http.HandlerFunc) string {
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}
