// Command certificates writes what a server can show: right.pem, expired.pem, soon.pem (a week left), elsewhere.pem (for another
// host), each with its key and signed by the authority of trusted.pem, unknown.pem, signed by one that nobody has, and self-signed.pem.
//
//	certificates FOLDER
package main

import (
	"crypto/tls"
	"crypto/x509"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tests/authority"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: certificates FOLDER")
	}
	trusted, unknown := authority.New("tests only"), authority.New("tests only, unknown")
	write("trusted.pem", authority.PEM(trusted.Certificate))
	for name, certificate := range map[string]tls.Certificate{
		"right.pem":       trusted.Server(),
		"expired.pem":     trusted.Server(ends(-24 * time.Hour)),
		"soon.pem":        trusted.Server(ends(7*24*time.Hour + time.Hour)),
		"elsewhere.pem":   trusted.Server(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} }),
		"unknown.pem":     unknown.Server(),
		"self-signed.pem": authority.SelfSigned(),
	} {
		write(name, append(authority.PEM(certificate.Leaf), authority.KeyPEM(certificate)...))
	}
}

func ends(left time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotAfter = time.Now().Add(left) }
}

func write(name string, text []byte) {
	if err := os.WriteFile(filepath.Join(os.Args[1], name), text, 0o600); err != nil {
		log.Fatal(err)
	}
}
