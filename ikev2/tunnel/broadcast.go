package tunnel

import (
	"encoding/binary"
	"sync"
)

// isBroadcast tells packets to 255.255.255.255, which no router passes on
// (RFC 1812 §5.3.5.1).
func (p *packet) isBroadcast() bool {
	return !p.v6 && binary.BigEndian.Uint32(p.data[16:]) == 0xffffffff
}

// answerer sends the packets that Config.Broadcast answers with. They are few:
// one of them is sent at a time.
type answerer struct {
	mu  sync.Mutex
	out *outbound // nil before the first
	buf []byte
}

// answerBroadcast shows p to Config.Broadcast and sends what that answers. It
// returns whether p is dealt with.
func (t *Tunnel) answerBroadcast(p *packet, now int64) bool {
	reply, taken := t.config.Broadcast(p.data)
	if reply == nil {
		return taken
	}
	a := &t.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.out == nil {
		// Its device is only for ICMP errors about too big packets.
		a.out = &outbound{t: t, device: t.queues[0], sender: t.config.Transport.NewSender(), answer: [][]byte{make([]byte, headroom, headroom+maxICMP6)}}
	}
	a.buf = append(append(a.buf[:0], make([]byte, headroom)...), reply...)
	a.buf = append(a.buf, make([]byte, tailroom)...)
	a.out.sendOne(a.buf, len(reply), now)
	a.out.flush()
	return taken
}
