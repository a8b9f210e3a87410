package local

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // The protocol's checksum of bodies.
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
)

// keyV4 is the signing key of a day and a region, kept because deriving one takes five HMACs.
type keyV4 struct {
	date, region string
	key          *signature.Key
}

// authenticate checks the headers of a request: all there, made for this instance and with its key, signed right, and of now. It
// returns the key, with which the answer is to be signed once the body has been found to be the one of the headers. Answers to
// requests that fail on identity or signature are not signed; Python's client expects just that.
func (s *Server) authenticate(c *call, h http.Header) (*signature.Key, error) {
	for _, name := range []string{headerAPIVersion, headerDate, headerAccessKeyID, headerInstance, headerContentMD5} {
		if signature.Get(h, name) == "" {
			return nil, invalid("Missing header: '%s'.", name)
		}
	}
	if v := signature.Get(h, headerAPIVersion); v != apiVersion {
		return nil, invalid("Invalid API version: '%s'.", v)
	}
	if !hmac.Equal([]byte(signature.Get(h, headerAccessKeyID)), []byte(s.options.AccessKeyID)) {
		return nil, fail(errorcode.AuthFailed, "The AccessKeyID does not exist.")
	}
	key, err := s.keyFor(h)
	if err != nil {
		return nil, err
	}
	if !key.VerifyRequest(c.operation, h) {
		return nil, fail(errorcode.AuthFailed, "Signature mismatch.")
	}
	if !strings.EqualFold(signature.Get(h, headerInstance), s.options.Instance) {
		return nil, fail(errorcode.AuthFailed, "The instance is not found.")
	}
	date := signature.Get(h, headerDate)
	sent, err := parseDate(date)
	if err != nil {
		return nil, invalid("Invalid date format: %s.", date)
	}
	if skew := s.options.ClockSkew; skew >= 0 && c.time.Sub(sent).Abs() > skew {
		return nil, fail(errorcode.AuthFailed, "Mismatch between system time and x-ots-date: %s.", date)
	}
	return key, nil
}

// checkBody makes sure that the body is the one that the headers, and so the signature, speak of.
func checkBody(h http.Header, body []byte) error {
	sum := md5.Sum(body) //nolint:gosec // as above
	if signature.Get(h, headerContentMD5) != base64.StdEncoding.EncodeToString(sum[:]) {
		return fail(errorcode.AuthFailed, "Mismatch between MD5 value of request body and x-ots-contentmd5 in header.")
	}
	return nil
}

// keyFor returns the key that the request says it is signed with.
func (s *Server) keyFor(h http.Header) (*signature.Key, error) {
	if signature.Get(h, signature.HeaderSignatureV4) == "" {
		if signature.Get(h, signature.HeaderSignature) == "" {
			return nil, invalid("Missing header: '%s'.", signature.HeaderSignature)
		}
		return s.key, nil
	}
	date, region := signature.Get(h, signature.HeaderSignDate), signature.Get(h, signature.HeaderSignRegion)
	switch {
	case date == "":
		return nil, invalid("Missing header: '%s'.", signature.HeaderSignDate)
	case region == "":
		return nil, invalid("Missing header: '%s'.", signature.HeaderSignRegion)
	}
	if k := s.keysV4.Load(); k != nil && k.date == date && k.region == region {
		return k.key, nil
	}
	k := &keyV4{strings.Clone(date), strings.Clone(region), signature.NewV4(s.options.AccessKeySecret, date, region)}
	s.keysV4.Store(k)
	return k.key, nil
}

// parseDate reads the date of a request. Its fraction may have any number of digits, and is ignored: the Go SDK fills it with month,
// day and hour.
func parseDate(date string) (time.Time, error) {
	whole := strings.TrimSuffix(date, "Z")
	if dot := strings.IndexByte(whole, '.'); dot >= 0 {
		for _, d := range whole[dot+1:] {
			if d < '0' || d > '9' {
				return time.Time{}, &time.ParseError{Value: date}
			}
		}
		whole = whole[:dot]
	}
	return time.Parse("2006-01-02T15:04:05", whole)
}
