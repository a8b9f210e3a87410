package main

import (
	"bytes"
	"errors"
	"strconv"
)

// request is a POST with a length. Its parts alias what was read.
type request struct {
	path   []byte
	header []byte // the lines of it, each with its end
	body   []byte
}

var errNotPost = errors.New("expected a POST with Content-Length")

// parse takes a request off the front of what was read: its size is 0 as long as it is not all there.
func parse(read []byte, r *request) (size int, err error) {
	end := bytes.Index(read, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	line, header, _ := bytes.Cut(read[:end+2], []byte("\r\n"))
	method, rest, _ := bytes.Cut(line, []byte(" "))
	path, _, ok := bytes.Cut(rest, []byte(" "))
	if !ok || string(method) != "POST" {
		return 0, errNotPost
	}
	length := lengthIn(header)
	if length < 0 {
		return 0, errNotPost
	}
	size = end + 4 + length
	if len(read) < size {
		return 0, nil
	}
	*r = request{path: path, header: header, body: read[end+4 : size]}
	return size, nil
}

const contentLength = "content-length:"

func lengthIn(header []byte) int {
	for len(header) > len(contentLength) {
		if header[0]|0x20 == 'c' && bytes.EqualFold(header[:len(contentLength)], []byte(contentLength)) {
			value, _, _ := bytes.Cut(header[len(contentLength):], []byte("\r\n"))
			if n, err := strconv.Atoi(string(bytes.TrimSpace(value))); err == nil {
				return n
			}
			return -1
		}
		next := bytes.IndexByte(header, '\n')
		if next < 0 {
			break
		}
		header = header[next+1:]
	}
	return -1
}
