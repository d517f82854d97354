package esp

import (
	"encoding/binary"
	"math"
	"sync/atomic"
)

// Outbound seals the packets of one sending SA. Its methods may be called from
// several goroutines at once; each packet gets a sequence number of its own.
type Outbound struct {
	spi       uint32
	last      uint64 // the last sequence number allowed
	geometry  geometry
	transform transform
	used      atomic.Uint64 // the highest sequence number given out
}

// sequenceReserve keeps the 64-bit counter from wrapping: refused packets count
// it up too, and none of them may arrive at 0 again.
const sequenceReserve = 1 << 32

// NewOutbound prepares sa for sending. The error is a *SuiteError.
func NewOutbound(sa SA) (*Outbound, error) {
	t, g, err := newTransform(sa, true)
	if err != nil {
		return nil, err
	}
	o := &Outbound{spi: sa.SPI, last: math.MaxUint32, geometry: g, transform: t}
	if sa.Suite.ESN {
		o.last = math.MaxUint64 - sequenceReserve
	}
	return o, nil
}

// HeaderLen is the room that Seal needs before the inner packet.
func (o *Outbound) HeaderLen() int { return o.geometry.header() }

// TrailerLen is the room that Seal needs behind an inner packet of n octets.
func (o *Outbound) TrailerLen(n int) int {
	return o.geometry.padding(n) + trailerLen + int(o.geometry.icv)
}

// Overhead is the most that Seal adds to an inner packet of any length.
func (o *Outbound) Overhead() int {
	g := o.geometry
	return g.header() + int(g.align) - 1 + trailerLen + int(g.icv)
}

// MaxInner is the longest inner packet that fits an ESP packet of at most size
// octets; 0 if none does.
func (o *Outbound) MaxInner(size int) int {
	g := o.geometry
	sealed := size - g.header() - int(g.icv)
	return max(0, sealed-sealed%int(g.align)-trailerLen)
}

// Remaining is how many more packets may be sealed. The SA must be rekeyed
// before none is left (RFC 4303 §3.3.3).
func (o *Outbound) Remaining() uint64 { return o.last - min(o.used.Load(), o.last) }

// Seal turns the inner packet buf[off:off+n] into the ESP packet around it and
// gives that part of buf. nextHeader is 4 for an IPv4 packet, 41 for IPv6. buf
// must have HeaderLen octets before off and TrailerLen(n) after off+n, else the
// error is ErrBuffer; once the sequence numbers are used up it is
// ErrSequenceExhausted.
func (o *Outbound) Seal(buf []byte, off, n int, nextHeader uint8) ([]byte, error) {
	start := off - o.HeaderLen()
	if n < 0 || start < 0 || off > len(buf)-n || o.TrailerLen(n) > len(buf)-n-off {
		return nil, ErrBuffer
	}
	seq := o.used.Add(1)
	if seq > o.last {
		return nil, ErrSequenceExhausted
	}
	packet := buf[start : off+n+o.TrailerLen(n)]
	binary.BigEndian.PutUint32(packet, o.spi)
	binary.BigEndian.PutUint32(packet[4:], uint32(seq))
	pad := o.geometry.padding(n)
	trailer := buf[off+n:]
	for i := range pad {
		trailer[i] = byte(i + 1) // RFC 4303 §2.4
	}
	trailer[pad], trailer[pad+1] = byte(pad), nextHeader
	o.transform.seal(packet, seq)
	return packet, nil
}
