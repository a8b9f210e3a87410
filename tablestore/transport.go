package tablestore

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// bufferSize lets an answer of a usual node pass in one system call.
	bufferSize = 64 << 10
	// maxAnswer bounds what an answer may cost in memory. GetRange stops at 4 MiB scanned; a cell holds 2 MiB
	// at most, so only a BatchGetRow of more than 30 of the largest values, or a read of that many parts of one row,
	// comes near: the caller halves it (Error.TooLarge).
	maxAnswer = 64 << 20
)

// transport makes the connections to one endpoint and keeps the idle ones. It uses no proxy from the environment,
// as the SDK.
type transport struct {
	pool    pool
	dialer  net.Dialer
	address string // host:port
	host    string // as the header Host tells it
	path    string // in front of the operation, mostly empty
	tls     *tls.Config
}

func newTransport(endpoint *url.URL, maxConnections int) *transport {
	t := &transport{
		pool:   pool{max: maxConnections, now: time.Now},
		dialer: net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second},
		host:   strings.TrimSuffix(endpoint.Host, ":"),
		path:   endpoint.EscapedPath(),
	}
	port := endpoint.Port()
	if endpoint.Scheme == "https" {
		t.tls = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			ServerName:         endpoint.Hostname(),
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		}
		if port == "" {
			port = "443"
		}
	} else if port == "" {
		port = "80"
	}
	t.address = net.JoinHostPort(endpoint.Hostname(), port)
	return t
}

// dial makes a new connection, whose socket waits.
func (t *transport) dial(ctx context.Context) (*connection, error) {
	conn, err := t.dialer.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, err
	}
	s, err := newSocket(conn.(*net.TCPConn))
	if err != nil {
		return nil, err
	}
	if t.tls == nil {
		return newConnection(s, s), nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	secure := tls.Client(s, t.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return newConnection(s, secure), nil
}

// appendRequest appends the request line and the header of a request but for the blank line at its end.
func (t *transport) appendRequest(b []byte, operation string, length int) []byte {
	b = append(b, "POST "...)
	b = append(b, t.path...)
	b = append(b, '/')
	b = append(b, operation...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, t.host...)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(length), 10)
	return append(b, "\r\n"...)
}

func appendHeader(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

func appendFields(b []byte, header http.Header) []byte {
	for name, values := range header {
		for _, value := range values {
			b = appendHeader(b, name, value)
		}
	}
	return b
}
