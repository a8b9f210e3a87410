package local

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// An element of a list takes two bytes in a request, and hundreds when it is decoded. So lists are counted before that.
const (
	// maxElements is more than any request may have: 100 parts of a BatchGetRow with 1024 columns each.
	maxElements = 128 << 10
	// maxMessages is how many of them may be messages, such as the rows of a batch, which take more.
	maxMessages = 4096
	// maxNesting is how deep the messages of requests are nested, and more.
	maxNesting = 8
)

var errTooManyElements = invalid("The request has more than %d elements in its lists, or %d that are messages: send less at once.", maxElements, maxMessages)

// listCount counts the elements of all lists of a request.
type listCount struct{ elements, messages int }

// within reports whether a message has no more elements than it may. One that is malformed is left to the decoder.
func (n *listCount) within(body []byte, message protoreflect.MessageDescriptor, depth int) bool {
	fields := message.Fields()
	for len(body) > 0 {
		number, kind, size := protowire.ConsumeTag(body)
		if size < 0 {
			return true
		}
		body = body[size:]
		if size = protowire.ConsumeFieldValue(number, kind, body); size < 0 {
			return true
		}
		value := body[:size]
		body = body[size:]
		field := fields.ByNumber(number)
		if field == nil || kind != protowire.BytesType {
			continue
		}
		if field.IsList() {
			n.elements++
		}
		if inner := field.Message(); inner != nil {
			if field.IsList() {
				n.messages++
			}
			content, _ := protowire.ConsumeBytes(value)
			if depth == maxNesting || !n.within(content, inner, depth+1) {
				return false
			}
		}
		if n.elements > maxElements || n.messages > maxMessages {
			return false
		}
	}
	return true
}
