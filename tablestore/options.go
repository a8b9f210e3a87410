package tablestore

import (
	"errors"
	"net/url"
	"strings"
)

// Options are what a Client needs to know of its instance.
type Options struct {
	Endpoint       string // http(s)://host[:port]
	Instance       string
	Credentials           // none: set before the first call, with SetCredentials
	Region         string // not empty: sign with V4
	MaxConnections int    // requests in flight at most, and connections kept; 0 stands for 50
}

// defaultMaxConnections is what the official Python SDK keeps.
const defaultMaxConnections = 50

// normalize refuses what can never work and fills in defaults; it gives the end point taken apart, too. No message repeats an
// option's value, since users put credentials into the wrong one.
func (o Options) normalize() (Options, *url.URL, error) {
	invalid := func(message string) (Options, *url.URL, error) {
		return Options{}, nil, &Error{Kind: Invalid, Operation: "Open", Message: message}
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
	endpoint.Path, endpoint.RawPath = strings.TrimRight(endpoint.Path, "/"), strings.TrimRight(endpoint.RawPath, "/")

	if err := checkHeaderFields(headerField{"instance", o.Instance, false}, headerField{"region", o.Region, true}); err != nil {
		return invalid(err.Error())
	}
	if o.Credentials != (Credentials{}) {
		if err := o.Credentials.validate(); err != nil {
			return invalid(err.Error())
		}
	}
	switch {
	case o.MaxConnections < 0:
		return invalid("max_connection is negative")
	case o.MaxConnections == 0:
		o.MaxConnections = defaultMaxConnections
	}
	return o, endpoint, nil
}

// headerField is an option that travels in an HTTP header.
type headerField struct {
	name, value string
	optional    bool
}

func checkHeaderFields(fields ...headerField) error {
	for _, field := range fields {
		if field.value == "" && !field.optional {
			return errors.New(field.name + " is missing")
		}
		// The secret travels in no header, but blanks around it are a slip of the hand as well.
		if strings.ContainsFunc(field.value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New(field.name + " holds a blank, a control character or a character outside ASCII")
		}
	}
	return nil
}
