package tablestore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// connection is a connection to the service, for one request after the other.
type connection struct {
	socket *socket
	stream net.Conn // the socket, or TLS over it
	reader *bufio.Reader
	reused bool      // it has had an exchange before, so the service may have closed it since
	idle   time.Time // since when nobody uses it
}

func newConnection(s *socket, stream net.Conn) *connection {
	return &connection{socket: s, stream: stream, reader: bufio.NewReaderSize(stream, bufferSize)}
}

// close does without the farewell of TLS: no request is under way that it could protect.
func (c *connection) close() { _ = c.socket.Close() }

// send sends a request, or keeps what cannot be sent yet if the socket tries.
func (c *connection) send(request, body []byte) error {
	if _, err := c.stream.Write(request); err != nil {
		return err
	}
	if len(body) > 0 {
		if _, err := c.stream.Write(body); err != nil {
			return err
		}
	}
	return nil
}

// quiet reports whether the service has neither closed the idle connection nor sent anything.
func (c *connection) quiet() bool {
	c.socket.try()
	_, err := c.reader.Peek(1)
	return err == errNotYet
}

// answering is an answer as far as it has come.
type answering struct {
	begun    bool           // something came
	response *http.Response // nil until the header is there
	source   io.Reader      // of the body
	body     []byte
	read     int // bytes of body, when its length is known
}

// maxHeader is the room for an answer's header; the service's have a few hundred bytes.
const maxHeader = bufferSize

// maxAhead is how much room an answer gets before that much of it has come: to announce much costs a hostile service nothing.
const maxAhead = 4 << 20

// maxInformational is how many answers of status 1xx may come before the real one.
const maxInformational = 5

var (
	errAnswerTooLarge = fmt.Errorf("the answer exceeds %d MiB", maxAnswer>>20)
	errHeaderTooLarge = fmt.Errorf("malformed answer: its header exceeds %d KiB", maxHeader>>10)
	errNotHTTP        = errors.New("malformed answer: it does not begin with HTTP/")
	// errMustWait is for answers without length: a socket that tries cannot read them.
	errMustWait = errors.New("the answer cannot be read without waiting")
)

// receive reads the answer to its end, or as far as it is there if the socket tries: with errNotYet, go on
// later with the same answering.
func (c *connection) receive(a *answering) error {
	for n := 0; a.response == nil; n++ {
		size, err := c.awaitHeader(a)
		if err != nil {
			return err
		}
		header, _ := c.reader.Peek(size)
		if a.response = usualHeader(header); a.response != nil {
			_, _ = c.reader.Discard(size)
			a.source = c.reader
			break
		}
		response, err := http.ReadResponse(c.reader, nil)
		if err != nil {
			return err
		}
		if response.StatusCode >= 200 {
			a.response, a.source = response, response.Body
		} else if n == maxInformational {
			return errors.New("malformed answer: too many of status 1xx")
		}
	}
	if a.response.ContentLength < 0 {
		return c.receiveUnknown(a)
	}
	if a.response.ContentLength > maxAnswer {
		return errAnswerTooLarge
	}
	length := int(a.response.ContentLength)
	if a.body == nil {
		a.body = make([]byte, min(length, maxAhead))
	}
	for a.read < length {
		if a.read == len(a.body) {
			a.body = append(make([]byte, 0, min(2*a.read, length)), a.body...)
			a.body = a.body[:cap(a.body)]
		}
		n, err := a.source.Read(a.body[a.read:])
		a.read += n
		if err != nil && a.read < length {
			if err == io.EOF {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// receiveUnknown reads a body whose length is not told: in chunks, or until the connection ends.
func (c *connection) receiveUnknown(a *answering) (err error) {
	if c.socket.waits == nil {
		return errMustWait
	}
	a.body, err = io.ReadAll(io.LimitReader(a.source, maxAnswer+1))
	a.read = len(a.body)
	if err == nil && len(a.body) > maxAnswer {
		err = errAnswerTooLarge
	}
	return err
}

// awaitHeader fills the buffer until there is a whole header in it, so that it can be parsed without
// waiting, or until what is there can be none. It gives the size of the header, as far as it is known.
func (c *connection) awaitHeader(a *answering) (size int, err error) {
	for {
		there, _ := c.reader.Peek(c.reader.Buffered())
		a.begun = a.begun || len(there) > 0
		if n := min(len(there), len("HTTP/")); string(there[:n]) != "HTTP/"[:n] {
			return 0, errNotHTTP
		}
		if end := bytes.Index(there, []byte("\n\r\n")); end >= 0 {
			return end + len("\n\r\n"), nil
		}
		if bytes.Contains(there, []byte("\n\n")) {
			return 0, nil
		}
		if len(there) == maxHeader {
			return 0, errHeaderTooLarge
		}
		if _, err := c.reader.Peek(len(there) + 1); err != nil {
			if err == io.EOF && len(there) > 0 {
				return 0, io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

// reusable reports whether another request may follow on the connection after this answer.
func (c *connection) reusable(a *answering) bool {
	return !a.response.Close && c.reader.Buffered() == 0 && len(c.socket.out) == 0
}
