package tablestore

import (
	"net/url"
	"strings"
)

// Options are what a Client needs to know of its instance.
type Options struct {
	Endpoint        string // http(s)://host[:port]
	Instance        string
	AccessKeyID     string
	AccessKeySecret string
	STSToken        string // optional
	Region          string // not empty: sign with V4
	MaxConnections  int    // requests in flight at most, and connections kept; 0 stands for 50
}

// defaultMaxConnections is what the official Python SDK keeps.
const defaultMaxConnections = 50

// normalize refuses what can never work and fills in defaults. No message repeats an option's value, since
// users put credentials into the wrong one.
func (o Options) normalize() (Options, error) {
	invalid := func(message string) (Options, error) {
		return Options{}, &Error{Kind: Invalid, Operation: "Open", Message: message}
	}
	endpoint, err := url.Parse(o.Endpoint)
	switch {
	case err != nil:
		return invalid("end_point is not a URL; expected http(s)://host[:port]")
	case endpoint.Scheme != "http" && endpoint.Scheme != "https":
		return invalid("end_point does not start with http:// or https://")
	case endpoint.Hostname() == "":
		return invalid("end_point names no host; expected http(s)://host[:port]")
	case endpoint.User != nil:
		return invalid("end_point holds a user name or password; keys go into access_key_id and access_key_secret")
	case endpoint.RawQuery != "" || endpoint.Fragment != "":
		return invalid("end_point holds a query or fragment; expected http(s)://host[:port]")
	}
	// The operation's path is appended to the endpoint as text.
	o.Endpoint = strings.TrimRight(o.Endpoint, "/?#")

	for _, field := range []struct {
		name, value string
		optional    bool
	}{
		{"instance", o.Instance, false},
		{"access_key_id", o.AccessKeyID, false},
		{"access_key_secret", o.AccessKeySecret, false},
		{"sts_token", o.STSToken, true},
		{"region", o.Region, true},
	} {
		if field.value == "" && !field.optional {
			return invalid(field.name + " is missing")
		}
		// They travel in HTTP headers, the secret in none: but blanks around it are a slip of the hand as well.
		if strings.ContainsFunc(field.value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return invalid(field.name + " holds a blank, a control character or a character outside ASCII")
		}
	}
	switch {
	case o.MaxConnections < 0:
		return invalid("max_connection is negative")
	case o.MaxConnections == 0:
		o.MaxConnections = defaultMaxConnections
	}
	return o, nil
}
