package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// bare makes the exchanges of another contestant as mere bytes, with nothing done to them.
type bare struct {
	endpoint  string
	client    http.Client
	exchanges map[string]exchange
}

type exchange struct {
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"`
	Body     []byte            `json:"body"` // base64 in JSON
	Answered int               `json:"answered"`
}

func newBare(endpoint string) *bare {
	return &bare{endpoint: endpoint, client: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}}
}

// repeat takes over what the other sent and was answered, by the operation and its number of rows.
func (b *bare) repeat(exchanges json.RawMessage) error {
	return json.Unmarshal(exchanges, &b.exchanges)
}

func (b *bare) call(operation string, many, _, _ int) error {
	x, ok := b.exchanges[fmt.Sprintf("%s %d", operation, many)]
	if !ok {
		return fmt.Errorf("there is no exchange of %s %d", operation, many)
	}
	request, err := http.NewRequest(http.MethodPost, b.endpoint+x.Path, bytes.NewReader(x.Body))
	if err != nil {
		return err
	}
	for name, value := range x.Headers {
		request.Header[name] = []string{value}
	}
	response, err := b.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := make([]byte, x.Answered)
	if _, err := io.ReadFull(response.Body, answer); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %w", response.StatusCode, err)
	}
	// To the end, without which the connection is not used again.
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
