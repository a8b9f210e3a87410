package tablestore

// Options are what a Client needs to know of its instance.
type Options struct {
	Endpoint        string // http(s)://host[:port]
	Instance        string
	AccessKeyID     string
	AccessKeySecret string
	STSToken        string // optional
	Region          string // not empty: sign with V4
	MaxConnections  int    // requests in flight at most, and connections kept
}
