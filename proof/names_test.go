package proof

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// names is a name server of this process alone: of names in the zone matrix.test, which resolve to this machine or, for the time of a
// fault, do not.
type names struct {
	mu      sync.Mutex
	unknown map[string]bool
	last    atomic.Int64
}

var resolver = &names{unknown: map[string]bool{}}

// serve makes Go look up names here from now on. Other cases use addresses, so that nothing else changes.
func (n *names) serve() error {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		question := make([]byte, 512)
		for {
			size, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(n.answer(question[:size]), from)
		}
	}()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	return nil
}

// unique gives a name that nobody has looked up.
func (n *names) unique() string { return fmt.Sprintf("case-%d.matrix.test", n.last.Add(1)) }

func (n *names) forget(name string, forgotten bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unknown[name] = forgotten
}

// answer answers a DNS message with one question.
func (n *names) answer(question []byte) []byte {
	const header, address, noSuchName = 12, 1, 3
	name, end := "", header
	for end < len(question) && question[end] != 0 {
		label := question[end+1 : end+1+int(question[end])]
		name += string(label) + "."
		end += 1 + len(label)
	}
	end += 1 + 4 // type and class
	answer := append([]byte{}, question[:end]...)
	clear(answer[6:header])
	answer[5] = 1 // one question
	answer[2] |= 0x80
	answer[3] = 0x80
	n.mu.Lock()
	unknown, known := n.unknown[name[:max(len(name)-1, 0)]]
	n.mu.Unlock()
	switch kind := binary.BigEndian.Uint16(question[end-4:]); {
	case unknown || !known:
		answer[3] |= noSuchName
	case kind == address:
		answer[7] = 1                                                                           // one answer:
		answer = append(answer, 0xc0, header, 0, address, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1) // the name above
	}
	return answer
}
