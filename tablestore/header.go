package tablestore

import (
	"bytes"
	"net/http"
	"strconv"
)

// headerNames are the names of the header fields that the service sends, as net/http spells them, by how they may come.
var headerNames = func() map[string]string {
	names := make(map[string]string)
	for _, name := range []string{
		"x-ots-contentmd5", "x-ots-contenttype", "x-ots-date", "x-ots-requestid", "x-ots-traceinfo",
		"authorization", "content-type", "content-length", "date", "server",
	} {
		names[name] = http.CanonicalHeaderKey(name)
		names[http.CanonicalHeaderKey(name)] = http.CanonicalHeaderKey(name)
	}
	return names
}()

// usualHeader parses a header, with the blank line at its end, as the service's usually are: with a length, and nothing that
// bears on how the answer is read. For any other it gives nil, and net/http is to parse it. This one takes a tenth of the time, since all values
// are parts of one string.
func usualHeader(header []byte) *http.Response {
	const proto = "HTTP/1.1 "
	line, rest, _ := bytes.Cut(header, []byte("\r\n"))
	if len(line) < len(proto)+len("200") || string(line[:len(proto)]) != proto {
		return nil
	}
	status, err := strconv.Atoi(string(line[len(proto):][:3]))
	if err != nil || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified {
		return nil
	}
	if after := line[len(proto)+3:]; len(after) > 0 && after[0] != ' ' {
		return nil
	}
	response := &http.Response{StatusCode: status, ContentLength: -1}
	text, values := string(rest), make([]string, 0, 12)
	response.Header = make(http.Header, 8)
	for at := 0; len(rest) > len("\r\n"); {
		end := bytes.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return nil
		}
		colon := bytes.IndexByte(rest[:end], ':')
		if colon < 0 {
			return nil
		}
		name, known := headerNames[string(rest[:colon])]
		from, to := colon+1, end-1
		for from < to && rest[from] == ' ' {
			from++
		}
		for to > from && rest[to-1] == ' ' {
			to--
		}
		if !known || !plain(rest[from:to]) || response.Header[name] != nil {
			return nil
		}
		value := text[at+from : at+to]
		if name == "Content-Length" {
			length, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				return nil
			}
			response.ContentLength = int64(length)
		}
		values = append(values, value)
		response.Header[name] = values[len(values)-1 : len(values) : len(values)]
		at, rest = at+end+1, rest[end+1:]
	}
	if response.ContentLength < 0 || string(rest) != "\r\n" {
		return nil
	}
	return response
}

// plain reports whether the bytes are printable ASCII.
func plain(value []byte) bool {
	for _, b := range value {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}
