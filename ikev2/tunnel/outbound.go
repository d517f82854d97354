package tunnel

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.zx2c4.com/wireguard/tun"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

const (
	// headroom lies before each packet read: ESP header and IV, at most 24
	// octets, and the 10 that the device wants when a packet is written back.
	headroom = 64
	// tailroom lies behind: padding, trailer and ICV, at most 49 octets.
	tailroom = 64
)

// outbound takes packets from one queue of the device to the peers. Its
// goroutine owns it.
type outbound struct {
	t      *Tunnel
	device tun.Device
	sender *transport.Sender
	limit  rateLimit
	bufs   [][]byte
	sizes  []int
	answer [][]byte // one buffer, for an ICMP error
}

func newOutbound(t *Tunnel, device tun.Device) *outbound {
	// A device does not give packets beyond its MTU, of which it has one of
	// its own if it was opened elsewhere.
	mtu := t.config.MTU
	if n, err := device.MTU(); err == nil {
		mtu = max(mtu, n)
	}
	o := &outbound{t: t, device: device, sender: t.config.Transport.NewSender()}
	n := device.BatchSize()
	o.bufs, o.sizes = make([][]byte, n), make([]int, n)
	size := headroom + mtu + tailroom
	store := make([]byte, n*size)
	for i := range o.bufs {
		o.bufs[i] = store[i*size : (i+1)*size : (i+1)*size]
	}
	o.answer = [][]byte{make([]byte, headroom, headroom+maxICMP6)}
	return o
}

// run returns why the device gave no more.
func (o *outbound) run() error {
	reading := make([][]byte, len(o.bufs)) // without the tailroom
	for i, b := range o.bufs {
		reading[i] = b[: len(b)-tailroom : len(b)-tailroom]
	}
	for {
		n, err := o.device.Read(reading, o.sizes, headroom)
		if err != nil && n == 0 {
			if deviceFailed(err) {
				return err
			}
			o.t.drops.count(OutMalformed)
			continue
		}
		o.send(n)
	}
}

// deviceFailed tells the failure of the device from a packet that its driver
// cannot segment or that exceeds the MTU it once had.
func deviceFailed(err error) bool {
	var call *fs.PathError
	return errors.As(err, &call) || errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF)
}

// send takes n packets just read.
func (o *outbound) send(n int) {
	now := time.Now().UnixNano()
	for i := range n {
		o.sendOne(o.bufs[i], o.sizes[i], now)
	}
	o.flush()
}

func (o *outbound) flush() {
	if o.sender.Flush() != nil {
		o.t.drops.count(OutNetwork) // the transport counts datagrams and causes
	}
}

func (o *outbound) sendOne(buf []byte, size int, now int64) {
	p, ok := parsePacket(buf[headroom : headroom+size])
	if !ok {
		o.t.drops.count(OutMalformed)
		return
	}
	c, reason := o.t.routes.find(&p, now)
	if c == nil {
		o.t.drops.count(reason)
		return
	}
	if l := c.limits.Load(); l != nil {
		if reason, ok := l.admitOut(p.data, now); !ok {
			o.t.drops.count(reason)
			return
		}
	}
	path := c.path.Load()
	mtu := path.mtuFor(&p)
	if len(p.data) > mtu && p.dontFrag {
		o.t.drops.count(OutTooBig)
		o.answerTooBig(&p, mtu, now)
		return
	}
	p.clampMSS(mtu)
	ecn := p.ecn() // RFC 6040 §4.1; sealing is in place
	sealed, err := c.out.Seal(buf, headroom, len(p.data), p.nextHeader())
	if err != nil {
		if errors.Is(err, esp.ErrSequenceExhausted) {
			o.t.drops.count(OutExhausted)
		} else {
			o.t.drops.count(OutMalformed)
		}
		return
	}
	c.packetsOut.Add(1)
	c.bytesOut.Add(uint64(len(p.data)))
	o.sender.Add(&path.Path, ecn, sealed)
}

// answerTooBig tells the sender of p what fits.
func (o *outbound) answerTooBig(p *packet, mtu int, now int64) {
	if !o.limit.allow(now, tooBigPerSecond) {
		return
	}
	b, ok := appendTooBig(o.answer[0][:headroom], p, mtu)
	if !ok {
		return
	}
	o.answer[0] = b
	if _, err := o.device.Write(o.answer, headroom); err != nil {
		o.t.drops.count(InDevice)
	}
}
