package store

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore"
)

// Options configure a Store. Their JSON form is what the Python package sends to open one; it has
// checked them for its user already, so what is refused here is a defect of the caller.
type Options struct {
	Endpoint        string `json:"end_point"`
	Instance        string `json:"instance"`
	Table           string `json:"table"`
	AccessKeyID     string `json:"access_key_id"`
	AccessKeySecret string `json:"access_key_secret"`
	STSToken        string `json:"sts_token"`
	// CredentialsFrom names what gives the credentials when none are given here: they are set after opening, with
	// SetCredentials. It is only there to keep the clients of two such sources apart.
	CredentialsFrom string `json:"credentials_from"`
	Region          string `json:"region"`

	// DefaultTTLMillis is how long a node lives, in milliseconds; 0 for ever.
	DefaultTTLMillis int64 `json:"default_ttl_ms"`
	// AutomaticExpiry makes DefaultTTL the table's TimeToLive. Without it the table keeps
	// everything, reads hide what is older and Cleanup deletes it.
	AutomaticExpiry bool `json:"automatic_expiry"`
	// Compression of new values: "", "zlib" or "zstd". Reads take any.
	Compression string `json:"compression"`

	// TimeoutMillis is the deadline of a call over all its attempts, in milliseconds.
	TimeoutMillis int64 `json:"timeout_ms"`
	// MaxConnection is how many requests may be in flight at once.
	MaxConnection int `json:"max_connection"`

	// ReservedRead and ReservedWrite are in capacity units; 0/0 leaves an existing table's as they are.
	ReservedRead  int `json:"reserved_read"`
	ReservedWrite int `json:"reserved_write"`
}

// ParseOptions reads the JSON form. A key that no option has is an error.
func ParseOptions(text []byte) (Options, error) {
	var options Options
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&options); err != nil {
		return Options{}, &Error{Kind: KindOptions, Operation: "open", Message: "the options are not the JSON object expected: " + err.Error()}
	}
	return options, options.validate()
}

func (o *Options) validate() error {
	refuse := func(format string, arguments ...any) error {
		return &Error{Kind: KindOptions, Operation: "open", Message: fmt.Sprintf(format, arguments...)}
	}
	switch {
	case o.Endpoint == "" || o.Instance == "" || o.Table == "":
		return refuse("end_point, instance and table must be given")
	case o.CredentialsFrom == "" && (o.AccessKeyID == "" || o.AccessKeySecret == ""):
		return refuse("access_key_id and access_key_secret must be given")
	case o.CredentialsFrom != "" && o.AccessKeyID+o.AccessKeySecret+o.STSToken != "":
		return refuse("credentials_from must not be given along with credentials")
	case o.DefaultTTLMillis < 0:
		return refuse("default_ttl_ms %d is negative", o.DefaultTTLMillis)
	case o.AutomaticExpiry && (o.DefaultTTLMillis < minTimeToLive*1000 || o.DefaultTTLMillis%1000 != 0):
		return refuse("automatic_expiry needs a default_ttl of whole seconds, at least a day, not %d ms", o.DefaultTTLMillis)
	case o.AutomaticExpiry && o.DefaultTTLMillis/1000 > math.MaxInt32:
		return refuse("automatic_expiry needs a default_ttl of at most %d s, not %d ms", math.MaxInt32, o.DefaultTTLMillis)
	case o.TimeoutMillis <= 0:
		return refuse("timeout_ms %d is not positive", o.TimeoutMillis)
	case o.MaxConnection <= 0:
		return refuse("max_connection %d is not positive", o.MaxConnection)
	case o.ReservedRead < 0 || o.ReservedWrite < 0:
		return refuse("reserved throughput %d/%d is negative", o.ReservedRead, o.ReservedWrite)
	case o.ReservedRead > math.MaxInt32 || o.ReservedWrite > math.MaxInt32:
		return refuse("reserved throughput %d/%d is more than the protocol can tell", o.ReservedRead, o.ReservedWrite)
	}
	if _, err := compressionFlag(o.Compression); err != nil {
		return refuse("%v", err)
	}
	return nil
}

// minTimeToLive is the least TimeToLive that the service accepts, in seconds.
const minTimeToLive = 86400

func (o *Options) timeout() time.Duration { return time.Duration(o.TimeoutMillis) * time.Millisecond }

func (o *Options) client() tablestore.Options {
	return tablestore.Options{
		Endpoint: o.Endpoint, Instance: o.Instance,
		Credentials: tablestore.Credentials{AccessKeyID: o.AccessKeyID, AccessKeySecret: o.AccessKeySecret, STSToken: o.STSToken},
		Region:      o.Region, MaxConnections: o.MaxConnection,
	}
}
