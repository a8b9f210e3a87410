package tablestore

import (
	"sync/atomic"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
	"github.com/aliyun/aliyun-tablestore-go-sdk/common"
)

// identity is what one request is signed with and its answer is verified with.
type identity struct {
	date        string // YYYYMMDD of a V4 key
	credentials common.Credentials
	key         *signature.Key
}

// keyring gives each request its identity: always the same with V2 signatures, a new one each day (UTC)
// with V4. The SDK's own V4 provider is not used: it is not safe for concurrent use, and on
// the first request of a day it sends yesterday's date with today's signature.
type keyring struct {
	options Options
	now     func() time.Time
	current atomic.Pointer[identity]
}

func newKeyring(options Options) *keyring {
	return &keyring{options: options, now: time.Now}
}

func (k *keyring) identity() *identity {
	id := k.current.Load()
	if k.options.Region == "" {
		if id == nil {
			id = &identity{
				credentials: &common.DefaultCredentials{
					AccessKeyID:     k.options.AccessKeyID,
					AccessKeySecret: k.options.AccessKeySecret,
					SecurityToken:   k.options.STSToken,
				},
				key: signature.NewV2(k.options.AccessKeySecret),
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
		date:        date,
		credentials: newV4Credentials(k.options, date),
		key:         signature.NewV4(k.options.AccessKeySecret, date, k.options.Region),
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

func newV4Credentials(options Options, date string) *v4Credentials {
	return &v4Credentials{
		DefaultCredentials: common.DefaultCredentials{
			AccessKeyID:     options.AccessKeyID,
			AccessKeySecret: common.FinalSigningKeyString(options.AccessKeySecret, date, options.Region, "ots", "HmacSHA256"),
			SecurityToken:   options.STSToken,
		},
		region: options.Region,
		date:   date,
	}
}

// GetRegion is a method of [common.CredentialsV4].
func (c *v4Credentials) GetRegion() string { return c.region }

// GetSigningDate is a method of [common.CredentialsV4].
func (c *v4Credentials) GetSigningDate() string { return c.date }
