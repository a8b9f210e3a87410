// Command certificates writes what a server can show: right.pem, expired.pem, soon.pem (a week left), elsewhere.pem (for another
// host), each with its key and signed by the authority of trusted.pem, unknown.pem, signed by one that nobody has, and self-signed.pem.
//
//	certificates FOLDER
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const day = 24 * time.Hour

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: certificates FOLDER")
	}
	folder := os.Args[1]
	trusted, unknown := newAuthority("tests only"), newAuthority("tests only, unknown")
	write(folder, "trusted.pem", block("CERTIFICATE", trusted.certificate.Raw))
	write(folder, "right.pem", trusted.serve("127.0.0.1", 90*day))
	write(folder, "expired.pem", trusted.serve("127.0.0.1", -day))
	write(folder, "soon.pem", trusted.serve("127.0.0.1", 7*day+time.Hour))
	write(folder, "elsewhere.pem", trusted.serve("192.0.2.1", 90*day))
	write(folder, "unknown.pem", unknown.serve("127.0.0.1", 90*day))
	write(folder, "self-signed.pem", (&authority{}).serve("127.0.0.1", 90*day))
}

func newAuthority(name string) *authority {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-30 * day), NotAfter: time.Now().Add(365 * day), KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	check(err)
	certificate, err := x509.ParseCertificate(raw)
	check(err)
	return &authority{certificate, key}
}

// serve gives a certificate for a server at this address that is valid for so long from now, and its key. No authority's is signed
// by itself.
func (a *authority) serve(address string, left time.Duration) []byte {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: address}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-20 * day), NotAfter: time.Now().Add(left), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if a.certificate == nil {
		a = &authority{template, key}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	return bytes.Join([][]byte{block("CERTIFICATE", raw), block("PRIVATE KEY", private)}, nil)
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	return key
}

func block(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}

func write(folder, name string, text []byte) {
	check(os.WriteFile(filepath.Join(folder, name), text, 0o600))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
