package proof

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tests/authority"
)

var trusted, unknown = authority.New("authority of the matrix"), authority.New("another one")

// trust makes this process trust the authority alone; Go reads the file once.
func trust(a *authority.Authority, folder string) error {
	path := filepath.Join(folder, "authority.pem")
	if err := os.WriteFile(path, authority.PEM(a.Certificate), 0o600); err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", path)
}

// front speaks TLS before a proxy, with the certificate that it has at the moment; without any it passes on what comes.
type front struct {
	certificate atomic.Pointer[tls.Certificate]
	address     string
}

func newFront(t *testing.T, backend string) *front {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	f := &front{address: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if certificate := f.certificate.Load(); certificate != nil {
				conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*certificate}})
			}
			go pass(conn, backend)
		}
	}()
	return f
}

// pass connects both until one ends.
func pass(client net.Conn, backend string) {
	defer client.Close()
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			buffer := make([]byte, 64<<10)
			for {
				n, err := way[0].Read(buffer)
				if n > 0 {
					if _, err := way[1].Write(buffer[:n]); err != nil {
						break
					}
				}
				if err != nil {
					break
				}
			}
			ended <- struct{}{}
		}()
	}
	<-ended
}

func shown(by *authority.Authority, changes ...func(*x509.Certificate)) *tls.Certificate {
	certificate := by.Server(changes...)
	return &certificate
}

// certificateFaults are servers whose certificate is refused, or that have none, until they get the right one.
func certificateFaults() []fault {
	wrong := map[string]func() *tls.Certificate{
		"certificate that has expired": func() *tls.Certificate {
			return shown(trusted, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
		},
		"certificate of another host": func() *tls.Certificate {
			return shown(trusted, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)} })
		},
		"certificate of an unknown authority": func() *tls.Certificate { return shown(unknown) },
		"TLS with a server that has none":     func() *tls.Certificate { return nil },
	}
	var all []fault
	for _, name := range []string{"certificate that has expired", "certificate of another host", "certificate of an unknown authority", "TLS with a server that has none"} {
		f := fault{name: name, leads: fails}
		timeout := patience
		if strings.HasPrefix(name, "TLS") {
			f.leads, timeout = either, 3*impatience // the way is longer
		}
		f.begin = func(w *world) {
			w.front = newFront(w.t, w.proxy.listener.Addr().String())
			w.front.certificate.Store(wrong[name]())
			w.store = w.open("https://"+w.front.address, timeout)
		}
		f.end = func(w *world) { w.front.certificate.Store(shown(trusted)) }
		all = append(all, f)
	}
	return all
}
