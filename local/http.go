package local

import (
	"bytes"
	"compress/zlib"
	"crypto/md5" //nolint:gosec // The protocol's checksum of bodies.
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"
	"github.com/PMExtra/sentry-tablestore/v2/tablestore/signature"
)

// The headers of the protocol, as the service spells them. They are put into the header map in this spelling, not in net/http's.
const (
	headerDate         = "x-ots-date"
	headerAPIVersion   = "x-ots-apiversion"
	headerAccessKeyID  = "x-ots-accesskeyid"
	headerInstance     = "x-ots-instancename"
	headerContentMD5   = "x-ots-contentmd5"
	headerContentType  = "x-ots-contenttype"
	headerRequestID    = "x-ots-requestid"
	headerCompressType = "x-ots-request-compress-type"
	headerCompressSize = "x-ots-request-compress-size"

	apiVersion  = "2015-12-31"
	contentType = "protocol buffer"
	dateLayout  = "2006-01-02T15:04:05.000000Z"
)

// handlers are the operations.
var handlers = map[string]func(*Server, *call) error{
	"CreateTable":   (*Server).createTable,
	"UpdateTable":   (*Server).updateTable,
	"DescribeTable": (*Server).describeTable,
	"ListTable":     (*Server).listTable,
	"DeleteTable":   (*Server).deleteTable,
	"PutRow":        (*Server).putRow,
	"GetRow":        (*Server).getRow,
	"UpdateRow":     (*Server).updateRow,
	"DeleteRow":     (*Server).deleteRow,
	"BatchGetRow":   (*Server).batchGetRow,
	"BatchWriteRow": (*Server).batchWriteRow,
	"GetRange":      (*Server).getRange,
}

// call is a request on its way through the server.
type call struct {
	server    *Server
	operation string
	requestID string
	time      time.Time
	now       int64 // ms; the only reading of the clock in a request
	body      []byte
	out       []byte         // the answer's body
	status    int            // the answer's HTTP status
	code      string         // the error code in it, "" for none
	key       *signature.Key // nil if the answer cannot be signed
	fault     *Fault         // what a test wants to go wrong, or nil

	// for the metrics
	received              int // bytes of the body as it came in
	rowsRead, rowsWritten int
}

// pooledAnswer is the largest buffer of an answer that is kept for the next one.
const pooledAnswer = 1 << 20

var answers = sync.Pool{New: func() any { return new([]byte) }}

// decode reads the protobuf body of the request.
func (c *call) decode(m protoadapt.MessageV1) error {
	err := unmarshal(c.body, m)
	if err != nil && !errors.Is(err, errTooManyElements) {
		return invalid("Parse PBMessage from RawString failed.")
	}
	return err
}

// encode makes m the body of the answer.
func (c *call) encode(m protoadapt.MessageV1) (err error) {
	c.out, err = proto.MarshalOptions{}.MarshalAppend(c.out, protoadapt.MessageV2Of(m))
	return err
}

func unmarshal(data []byte, m protoadapt.MessageV1) error {
	message := protoadapt.MessageV2Of(m)
	if n := new(listCount); !n.within(data, message.ProtoReflect().Descriptor(), 0) {
		return errTooManyElements
	}
	return proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, message)
}

// ServeHTTP answers a request of the protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if s.options.Faults && strings.HasPrefix(r.URL.Path, "/_") {
		s.serveAdmin(w, r)
		return
	}
	buf := answers.Get().(*[]byte)
	begin, now := time.Now(), s.now()
	c := &call{server: s, time: now, now: now.UnixMilli(), requestID: newUUID(), status: http.StatusOK, out: (*buf)[:0]}
	// Some clients put a path before the operation; signatures cover the operation only.
	c.operation = r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]

	admitted := s.admit()
	if admitted {
		defer s.metrics.running.Add(-1)
	}
	err := s.serve(c, r, admitted)
	if err != nil {
		c.fail(err)
	}
	// A request that a fault cuts off is counted too.
	defer func() {
		s.metrics.observe(c, begin)
		s.log.Debug("request", "operation", c.operation, "status", c.status, "code", c.code, "request_id", c.requestID,
			"in", c.received, "out", len(c.out), "duration", time.Since(begin))
		if cap(c.out) <= pooledAnswer {
			*buf = c.out
			answers.Put(buf)
		}
	}()
	c.write(w, r)
}

// serve checks a request and does what it asks for, if the server still takes requests.
func (s *Server) serve(c *call, r *http.Request, admitted bool) error {
	if r.Method != http.MethodPost {
		return failCode(errorcode.MethodNotAllowed)
	}
	handler := handlers[c.operation]
	// Before the body: whoever has no key gets no memory for one.
	key, err := s.authenticate(c, r.Header)
	if err != nil {
		discard(r)
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	c.received = len(body)
	if err := checkBody(r.Header, body); err != nil {
		return err
	}
	c.key = key
	if !admitted { // said only here, so that the answer is signed and every client believes it
		// Of the errors that say so, every official SDK sends any request again after this one.
		return fail(errorcode.PartitionUnavailable, "The server is stopping.")
	}
	if c.body, err = expandBody(r.Header, body); err != nil {
		return err
	}
	if c.fault = s.nextFault(c.operation, c.body); c.fault != nil {
		if done, err := c.fault.before(c, r); done || err != nil {
			return err
		}
	}
	if handler == nil {
		return invalid("Unsupported operation: '%s'.", c.operation)
	}
	return handler(s, c)
}

// readBody reads the body, up to the service's limit.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > maxRequestBody {
		discard(r)
		return nil, failCode(errorcode.RequestBodyTooLarge)
	}
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	}
	switch {
	case err != nil:
		return nil, failCode(errorcode.RequestTimeout)
	case len(body) > maxRequestBody:
		discard(r)
		return nil, failCode(errorcode.RequestBodyTooLarge)
	}
	return body, nil
}

// maxDiscarded is how much of a body that nobody wants is read after all.
const maxDiscarded = 64 << 20

// discard reads the rest of a body that is too large or came without a right signature: a client that sends all of it before it reads gets its answer. Otherwise
// net/http would close the connection, and all that many clients see is that.
func discard(r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, maxDiscarded) // a client that went away needs no answer
}

// expandBody undoes the compression that the Java SDK can be told to use: a zlib stream, called deflate, with the raw size in a header.
func expandBody(h http.Header, body []byte) ([]byte, error) {
	kind := signature.Get(h, headerCompressType)
	if kind == "" {
		return body, nil
	}
	if kind != "deflate" {
		return nil, invalid("Unsupported compress type: '%s'.", kind)
	}
	size, err := strconv.Atoi(signature.Get(h, headerCompressSize))
	if err != nil || size < 0 {
		return nil, invalid("Missing header: '%s'.", headerCompressSize)
	}
	if size > maxRequestBody {
		return nil, failCode(errorcode.RequestBodyTooLarge)
	}
	z, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, invalid("Cannot deserialize the request data.")
	}
	raw := make([]byte, size+1) // one more than there may be
	if n, err := io.ReadFull(z, raw); n != size || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, invalid("Cannot deserialize the request data.")
	}
	return raw[:size], nil
}

// fail makes the answer an error.
func (c *call) fail(err error) {
	e, expected := asServiceError(err)
	if !expected {
		c.server.log.Error("request failed", "operation", c.operation, "error", err, "request_id", c.requestID)
	}
	c.status, c.code = e.status, e.code
	c.out = appendError(c.out[:0], e)
}

// write sends the answer: header and body go out together, except for bodies that do not fit into net/http's buffer.
func (c *call) write(w http.ResponseWriter, r *http.Request) {
	if c.fault.corruptsChecksum() && len(c.out) > 0 {
		c.out[len(c.out)/2] ^= 0x10
	}
	sum := md5.Sum(c.out) //nolint:gosec // as above
	h := w.Header()
	h[headerContentType] = []string{contentType}
	h[headerRequestID] = []string{c.requestID}
	h[headerDate] = []string{c.time.UTC().Format(dateLayout)}
	h[headerContentMD5] = []string{base64.StdEncoding.EncodeToString(sum[:])}
	h["Content-Type"] = nil // the service sends none, and net/http would guess one
	h["Content-Length"] = []string{strconv.Itoa(len(c.out))}
	if c.fault.corruptsMD5() {
		h[headerContentMD5] = []string{base64.StdEncoding.EncodeToString(make([]byte, md5.Size))}
	}
	if c.server.health.draining.Load() {
		h["Connection"] = []string{"close"}
	}
	if c.key != nil {
		h["Authorization"] = []string{c.key.Authorization(c.server.options.AccessKeyID, c.operation, h)}
	}
	if c.fault != nil && c.fault.writeBroken(c, w, r) {
		return
	}
	w.WriteHeader(c.status)
	if _, err := w.Write(c.out); err != nil {
		c.server.log.Debug("the client went away", "operation", c.operation, "error", err)
	}
}
