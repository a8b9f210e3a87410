package tablestore

import (
	"crypto/hmac"
	"crypto/md5" // the protocol's checksum; the signature covers it
	"encoding/base64"
	"net/http"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// check returns nil for a good answer of the service, else why it is none: an error of the service, or
// an answer that is not what the service sent.
func (x *exchange) check(response *http.Response, body []byte) *Error {
	redact := &x.client.redact
	status := response.StatusCode
	success := status >= 200 && status < 300
	corrupt := func(message string) *Error {
		return &Error{Kind: Corrupt, Message: message, RequestID: x.requestID, HTTPStatus: status}
	}

	var code, message string
	if !success {
		code, message = serviceError(body)
		message = printable(redact.text(message), maxMessage)
	}
	// The service cannot sign for a key that it does not know, and proxies in between sign nothing: only good
	// answers must be signed. What is there must be right.
	digest := response.Header.Get("X-Ots-Contentmd5")
	switch {
	case digest == "" && success:
		return corrupt("the answer carries no MD5: is end_point an endpoint of Tablestore?")
	case digest != "" && !sameMD5(digest, body):
		return corrupt("the MD5 of the answer does not match its body")
	}
	switch authorization := response.Header.Get("Authorization"); {
	case authorization == "" && success:
		return corrupt("the answer is not signed: is end_point an endpoint of Tablestore?")
	case authorization != "" && code != errorcode.AuthFailed &&
		!x.identity.key.VerifyAuthorization(x.identity.keys.AccessKeyID, x.operation, response.Header):
		return corrupt("the signature of the answer does not match: it was changed on the way, or access_key_secret is wrong")
	}

	switch {
	case success && len(body) == 0 && x.use == decodeAnswer:
		return corrupt("the answer is empty")
	case success:
		return nil
	case code != "":
		return &Error{Kind: Service, Code: code, Message: message, RequestID: x.requestID, HTTPStatus: status}
	case status >= 300 && status < 400:
		message = "the server redirects, which Tablestore never does: check end_point"
	case len(body) == 0:
		message = "the server gave no reason"
	default:
		message = "the answer is not Tablestore's: " + redact.foreign(string(body))
	}
	return &Error{Kind: Service, Message: message, RequestID: x.requestID, HTTPStatus: status}
}

func sameMD5(header string, body []byte) bool {
	sum := md5.Sum(body)
	var text [24]byte
	base64.StdEncoding.Encode(text[:], sum[:])
	return hmac.Equal(text[:], []byte(header))
}

// serviceError decodes the body of an error; the code is empty when it is none.
func serviceError(body []byte) (code, message string) {
	var answer otsprotocol.Error
	if proto.Unmarshal(body, protoadapt.MessageV2Of(&answer)) != nil || !isCode(answer.GetCode()) {
		return "", ""
	}
	return answer.GetCode(), answer.GetMessage()
}

// isCode reports whether the text is shaped as all the service's codes are: other bodies can happen to
// decode as protobuf.
func isCode(text string) bool {
	if len(text) < 4 || len(text) > 100 || text[:3] != "OTS" {
		return false
	}
	for _, r := range text {
		if (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return true
}
