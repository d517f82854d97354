package tunnel

import (
	"encoding/binary"
	"time"

	"golang.zx2c4.com/wireguard/tun"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

const (
	// writeBatch is the number of packets written to the device at once.
	writeBatch = 64
	// maxPacket is the longest IP packet, also when coalesced.
	maxPacket = 1<<16 - 1
)

// writer opens batches of packets and writes them to one queue of the device.
// One goroutine uses it at a time.
type writer struct {
	t      *Tunnel
	device tun.Device
	store  []byte   // writeBatch buffers; pages that no packet reached are not resident
	bufs   [][]byte // into store
}

func newWriter(t *Tunnel, device tun.Device) *writer {
	return &writer{
		t: t, device: device,
		store: make([]byte, writeBatch*(headroom+maxPacket)),
		bufs:  make([][]byte, 0, writeBatch),
	}
}

func (w *writer) handle(batch []transport.ESPDatagram) {
	now := time.Now().UnixNano()
	for i := range batch {
		p, ok := w.t.open(&batch[i], now)
		if !ok || w.t.config.Broadcast != nil && p.isBroadcast() && w.t.answerBroadcast(&p, now) {
			continue
		}
		w.add(p.data)
	}
	w.flush()
}

// open checks and decrypts d in place and gives the inner packet, ready to be
// written.
func (t *Tunnel) open(d *transport.ESPDatagram, now int64) (packet, bool) {
	c := t.spis.get(binary.BigEndian.Uint32(d.Data))
	if c == nil {
		t.drops.count(InUnknownSPI)
		return packet{}, false
	}
	inner, _, err := c.in.Open(d.Data)
	if err == nil {
		t.authentic(c, d, now)
		err = c.policy.In(inner)
	}
	if err != nil {
		if reason, ok := inboundReason(err); ok {
			t.drops.count(reason)
		}
		return packet{}, false
	}
	p, ok := parsePacket(inner)
	if !ok {
		t.drops.count(InMalformed)
		return packet{}, false
	}
	if l := c.limits.Load(); l != nil {
		if reason, ok := l.admitIn(p.data, now); !ok {
			t.drops.count(reason)
			return packet{}, false
		}
	}
	if !p.decapsulateECN(d.ECN) {
		t.drops.count(InCongestion)
		return packet{}, false
	}
	p.clampMSS(c.path.Load().mtuFor(&p))
	c.packetsIn.Add(1)
	c.bytesIn.Add(uint64(len(p.data)))
	return p, true
}

// authentic notes that the peer sent d.
func (t *Tunnel) authentic(c *child, d *transport.ESPDatagram, now int64) {
	c.lastIn.Store(now)
	if !c.sending.Load() {
		c.sending.Store(true) // the peer has the new SA (RFC 7296 §2.8)
	}
	path := c.path.Load()
	if t.config.OnRebind == nil || !d.Encap || path.Encap && d.Remote == path.Remote && d.Local == path.Local {
		return
	}
	last := c.rebindSeen.Load()
	if now-last >= int64(time.Second) && c.rebindSeen.CompareAndSwap(last, now) {
		t.config.OnRebind(c.id, esp.Path{Local: d.Local, Remote: d.Remote, Encap: true})
	}
}

func (w *writer) add(inner []byte) {
	if len(w.bufs) == writeBatch {
		w.flush()
	}
	at := len(w.bufs) * (headroom + maxPacket)
	buf := w.store[at : at+headroom+len(inner) : at+headroom+maxPacket]
	copy(buf[headroom:], inner)
	w.bufs = append(w.bufs, buf)
}

func (w *writer) flush() {
	if len(w.bufs) == 0 {
		return
	}
	if _, err := w.device.Write(w.bufs, headroom); err != nil {
		w.t.drops.count(InDevice)
	}
	w.bufs = w.bufs[:0]
}
