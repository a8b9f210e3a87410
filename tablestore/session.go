package tablestore

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"runtime/debug"

	"github.com/aliyun/aliyun-tablestore-go-sdk/common"
	sdk "github.com/aliyun/aliyun-tablestore-go-sdk/tablestore"
)

// session is an SDK client together with what the SDK cannot be told: the call that it is used for. It serves
// one call at a time. It is the SDK's [http.RoundTripper] and credentials provider.
type session struct {
	client   *client
	sdk      *sdk.TableStoreClient
	exchange *exchange // the call under way
	identity *identity // what its request is signed with
	body     answerBody
}

func newSession(c *client) *session {
	s := &session{client: c}
	s.sdk = sdk.NewClientWithCredentialsProvider(c.options.Endpoint, c.options.Instance, s, &sdk.TableStoreConfig{
		// RetryTimes 0 switches the SDK's retries off, HTTPTimeout 0 its timers: both belong to the caller.
		Transport: s,
	})
	return s
}

// GetCredentials is a method of [common.CredentialsProvider]. The SDK calls it once a request.
func (s *session) GetCredentials() common.Credentials {
	s.identity = s.client.keys.identity()
	return s.identity.credentials
}

// run makes the call. A session in which the SDK panicked is not reusable.
func (s *session) run(x *exchange, f func(*sdk.TableStoreClient) error) (reusable bool, err error) {
	s.exchange = x
	defer func() {
		s.exchange = nil
		s.body.Reset(nil)
		if value := recover(); value != nil {
			reusable, err = false, &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return true, f(s.sdk)
}

// answerBody is an answer's verified body as the SDK reads it.
type answerBody struct{ bytes.Reader }

// Close is a method of [io.Closer].
func (*answerBody) Close() error { return nil }

// RoundTrip is a method of [http.RoundTripper]: it makes the one request of the call under way. An answer reaches
// the SDK only when it is good; all else is kept in the exchange.
func (s *session) RoundTrip(request *http.Request) (*http.Response, error) {
	x := s.exchange
	if !x.began.IsZero() {
		return nil, errors.New("second request in one call")
	}
	data, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	x.identity = s.identity
	x.begin(data, func(b []byte, _ *exchange, _ []byte) []byte { return appendFields(b, request.Header) })
	response, body, err := x.complete()
	if err != nil {
		return nil, err
	}
	if x.use == ignoreAnswer {
		return nil, errIgnored
	}
	s.body.Reset(body)
	response.Body = &s.body
	return response, nil
}
