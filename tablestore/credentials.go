package tablestore

import (
	"sync/atomic"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
	"github.com/aliyun/aliyun-tablestore-go-sdk/common"
)

// Credentials are an access key and, where it is a temporary one, its token.
type Credentials struct {
	AccessKeyID     string
	AccessKeySecret string
	STSToken        string // optional
}

func (c *Credentials) validate() error {
	return checkHeaderFields(
		headerField{"access_key_id", c.AccessKeyID, false},
		headerField{"access_key_secret", c.AccessKeySecret, false},
		headerField{"sts_token", c.STSToken, true},
	)
}

// identity is what one request is signed with and its answer is verified with.
type identity struct {
	keys        *Credentials
	date        string // YYYYMMDD of a V4 key
	credentials common.Credentials
	key         *signature.Key
}

// keyring gives each request its identity: always the same with V2 signatures, a new one each day (UTC)
// with V4, and another one as soon as other credentials are set. The SDK's own V4 provider is not used: it is not safe for concurrent use, and on
// the first request of a day it sends yesterday's date with today's signature.
type keyring struct {
	region  string // "": V2 signatures
	now     func() time.Time
	keys    atomic.Pointer[Credentials] // nil: not set yet
	current atomic.Pointer[identity]
}

func newKeyring(region string) *keyring {
	return &keyring{region: region, now: time.Now}
}

// identity is nil as long as there are no credentials.
func (k *keyring) identity() *identity {
	keys, id := k.keys.Load(), k.current.Load()
	if keys == nil {
		return nil
	}
	if id != nil && id.keys != keys {
		id = nil
	}
	if k.region == "" {
		if id == nil {
			id = &identity{
				keys: keys,
				credentials: &common.DefaultCredentials{
					AccessKeyID:     keys.AccessKeyID,
					AccessKeySecret: keys.AccessKeySecret,
					SecurityToken:   keys.STSToken,
				},
				key: signature.NewV2(keys.AccessKeySecret),
			}
			k.current.Store(id)
		}
		return id
	}

	now := k.now().UTC()
	if id != nil && sameDay(id.date, now) {
		return id
	}
	date := now.Format("20060102")
	id = &identity{
		keys:        keys,
		date:        date,
		credentials: newV4Credentials(keys, k.region, date),
		key:         signature.NewV4(keys.AccessKeySecret, date, k.region),
	}
	k.current.Store(id)
	return id
}

// sameDay compares without allocating: it runs for every request.
func sameDay(date string, now time.Time) bool {
	var buf [8]byte
	return string(now.AppendFormat(buf[:0], "20060102")) == date
}

// v4Credentials are the SDK's view of a V4 key for one day. They never change.
type v4Credentials struct {
	common.DefaultCredentials // its secret is the derived signing key
	region, date              string
}

func newV4Credentials(keys *Credentials, region, date string) *v4Credentials {
	return &v4Credentials{
		DefaultCredentials: common.DefaultCredentials{
			AccessKeyID:     keys.AccessKeyID,
			AccessKeySecret: common.FinalSigningKeyString(keys.AccessKeySecret, date, region, "ots", "HmacSHA256"),
			SecurityToken:   keys.STSToken,
		},
		region: region,
		date:   date,
	}
}

// GetRegion is a method of [common.CredentialsV4].
func (c *v4Credentials) GetRegion() string { return c.region }

// GetSigningDate is a method of [common.CredentialsV4].
func (c *v4Credentials) GetSigningDate() string { return c.date }
