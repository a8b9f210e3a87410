package tablestore

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	// idleTimeout is the SDK's: shorter than the service keeps idle connections.
	idleTimeout = 25 * time.Second
	// bufferSize lets a request or an answer of a usual node pass in one system call.
	bufferSize = 64 << 10
	// maxAnswer bounds what an answer may cost in memory. GetRange stops at 4 MiB scanned; a cell holds 2 MiB
	// at most, so only a BatchGetRow of more than 30 of the largest values, or a read of that many parts of one row,
	// comes near: the caller halves it (Error.TooLarge).
	maxAnswer = 64 << 20
)

// newTransport makes the connections that all sessions share. No proxy from the environment, as the SDK.
func newTransport(maxConnections int) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		},
		Protocols:           &protocols,
		DisableCompression:  true,
		MaxIdleConnsPerHost: maxConnections,
		IdleConnTimeout:     idleTimeout,
		WriteBufferSize:     bufferSize,
		ReadBufferSize:      bufferSize,
	}
}

var errAnswerTooLarge = fmt.Errorf("the answer exceeds %d MiB", maxAnswer>>20)

// readBody reads to the end, so that the connection can be used again.
func readBody(response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	if n := response.ContentLength; n >= 0 {
		if n > maxAnswer {
			return nil, errAnswerTooLarge
		}
		body := make([]byte, n)
		read, err := io.ReadFull(response.Body, body)
		return body[:read], err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errAnswerTooLarge
	}
	return body, err
}
