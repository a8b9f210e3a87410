package tablestore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// refusedCertificate tells whether a handshake failed for the server's certificate, and says what is wrong with it and what
// to do. No option and no variable of the environment makes this package go on all the same.
func refusedCertificate(err error) (advice string, is bool) {
	var verification *tls.CertificateVerificationError
	if !errors.As(err, &verification) {
		return "", false
	}
	var (
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		roots   x509.SystemRootsError
	)
	switch {
	case errors.As(err, &host):
		return "it is for another host: name in end_point the host that it is for", true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired or is not valid yet: have it renewed, or set this machine's clock", true
	case errors.As(err, &unknown), errors.As(err, &roots):
		return "this machine does not trust who signed it: install the certificate of that authority, or name its file in SSL_CERT_FILE", true
	}
	return "it is not fit for a server: have it replaced", true
}
