// Package signature signs and verifies requests and answers of Tablestore, API version 2015-12-31, with V2 and V4 signatures.
//
// A [Key] stands for one secret and one kind of signature. A server makes it as the headers of a request say, checks the request
// with [Key.VerifyRequest] and signs its answer with [Key.Authorization]. A client signs with [Key.SignRequest] and checks the answer
// with [Key.VerifyAuthorization]; if another library signed the request, [KeyFor] finds the key that it used.
package signature

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // The protocol's signature of answers, and of requests with V2, is HMAC-SHA1.
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// The headers that take part in signing, in the spelling the service uses. net/http's canonical spelling is recognised as well.
const (
	HeaderPrefix      = "x-ots-"
	HeaderSignature   = "x-ots-signature"
	HeaderSignatureV4 = "x-ots-signaturev4"
	HeaderSignDate    = "x-ots-signdate"
	HeaderSignRegion  = "x-ots-signregion"
)

const (
	v4Prefix  = "aliyun_v4"
	v4Product = "ots"
	v4Suffix  = "aliyun_v4_request"
	v4Salt    = "ots"
)

// Key signs with one secret and one kind of signature. It is safe for concurrent use.
type Key struct {
	v4       bool
	text     string    // the secret (V2) or the derived signing key in base64 (V4)
	requests sync.Pool // of hash.Hash: keying an HMAC costs more than the few hundred bytes it signs
	answers  sync.Pool
}

// NewV2 returns the key of V2 signatures.
func NewV2(secret string) *Key { return newKey(false, secret) }

// NewV4 returns the key of V4 signatures for a region on a day, date being YYYYMMDD.
func NewV4(secret, date, region string) *Key {
	k := sum256([]byte(v4Prefix+secret), date)
	k = sum256(k, region)
	k = sum256(k, v4Product)
	k = sum256(k, v4Suffix)
	// The signing key is the base64 text, not the bytes that it stands for.
	return newKey(true, base64.StdEncoding.EncodeToString(k))
}

// KeyFor returns the key that belongs to a signed request with the given headers: V4 if they carry a V4 signature, V2 otherwise.
func KeyFor(secret string, header http.Header) *Key {
	if Get(header, HeaderSignatureV4) != "" {
		return NewV4(secret, Get(header, HeaderSignDate), Get(header, HeaderSignRegion))
	}
	return NewV2(secret)
}

func newKey(v4 bool, text string) *Key {
	k := &Key{v4: v4, text: text}
	k.answers.New = func() any { return hmac.New(sha1.New, []byte(text)) }
	if v4 {
		k.requests.New = func() any { return hmac.New(sha256.New, []byte(text)) }
	} else {
		k.requests.New = k.answers.New
	}
	return k
}

func sum256(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

func sum(pool *sync.Pool, message []byte) string {
	h := pool.Get().(hash.Hash)
	h.Reset()
	h.Write(message)
	var buf [sha256.Size]byte
	s := base64.StdEncoding.EncodeToString(h.Sum(buf[:0]))
	pool.Put(h)
	return s
}

// SignRequest returns the signature of a request for operation (such as "GetRow"), which covers its x-ots-* headers.
func (k *Key) SignRequest(operation string, header http.Header) string {
	var buf [1024]byte
	message := AppendStringToSign(buf[:0], operation, header)
	if k.v4 {
		message = append(message, v4Salt...)
	}
	return sum(&k.requests, message)
}

// VerifyRequest reports whether the request carries the signature that this key gives it. The time it takes does not depend on
// where the two differ.
func (k *Key) VerifyRequest(operation string, header http.Header) bool {
	name := HeaderSignature
	if k.v4 {
		name = HeaderSignatureV4
	}
	return hmac.Equal([]byte(Get(header, name)), []byte(k.SignRequest(operation, header)))
}

// SignAnswer returns the signature of an answer to operation, which covers its x-ots-* headers.
func (k *Key) SignAnswer(operation string, header http.Header) string {
	var buf [512]byte
	message := appendCanonicalHeaders(buf[:0], header)
	message = append(message, '/')
	message = append(message, operation...)
	return sum(&k.answers, message)
}

// Authorization returns the Authorization header of an answer: "OTS <access key id>:<signature>".
func (k *Key) Authorization(accessKeyID, operation string, header http.Header) string {
	return "OTS " + accessKeyID + ":" + k.SignAnswer(operation, header)
}

// VerifyAuthorization reports whether the answer's Authorization header is the one that this key gives it, in time that does not
// depend on where the two differ.
func (k *Key) VerifyAuthorization(accessKeyID, operation string, header http.Header) bool {
	return hmac.Equal([]byte(header.Get("Authorization")), []byte(k.Authorization(accessKeyID, operation, header)))
}

// AppendStringToSign appends what the signature of a request covers: path, method, an empty query, and all x-ots-* headers but the
// signature itself, sorted by their lower-case names. V4 signs it with "ots" appended.
func AppendStringToSign(dst []byte, operation string, header http.Header) []byte {
	dst = append(dst, '/')
	dst = append(dst, operation...)
	dst = append(dst, "\nPOST\n\n"...)
	return appendCanonicalHeaders(dst, header)
}

type field struct{ name, value string }

func appendCanonicalHeaders(dst []byte, header http.Header) []byte {
	var buf [16]field
	fields := buf[:0]
	for name, values := range header {
		if len(values) == 0 || len(name) < len(HeaderPrefix) || !strings.EqualFold(name[:len(HeaderPrefix)], HeaderPrefix) {
			continue
		}
		name = lower(name)
		if name == HeaderSignature || name == HeaderSignatureV4 {
			continue
		}
		fields = append(fields, field{name, strings.TrimSpace(values[0])})
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	for _, f := range fields {
		dst = append(dst, f.name...)
		dst = append(dst, ':')
		dst = append(dst, f.value...)
		dst = append(dst, '\n')
	}
	return dst
}

// canonical maps the usual names from net/http's spelling to the service's, which saves an allocation each.
var canonical = func() map[string]string {
	m := make(map[string]string)
	for _, name := range []string{
		HeaderSignature, HeaderSignatureV4, HeaderSignDate, HeaderSignRegion, "x-ots-date", "x-ots-apiversion", "x-ots-accesskeyid",
		"x-ots-instancename", "x-ots-contentmd5", "x-ots-contenttype", "x-ots-requestid", "x-ots-ststoken",
	} {
		m[http.CanonicalHeaderKey(name)] = name
	}
	return m
}()

func lower(name string) string {
	if s, ok := canonical[name]; ok {
		return s
	}
	return strings.ToLower(name)
}

// Get returns the value of an x-ots-* header given in lower case, in whichever spelling the header map holds it.
func Get(header http.Header, name string) string {
	if v := header[name]; len(v) > 0 {
		return strings.TrimSpace(v[0])
	}
	return strings.TrimSpace(header.Get(name))
}
