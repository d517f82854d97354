package tunnel

import (
	"sync/atomic"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/transport"
)

// child is an installed Child SA. What changes is atomic; the rest is set
// before it is published.
type child struct {
	id      esp.ChildID
	session string
	spi     uint32 // inbound
	in      *esp.Inbound
	out     *esp.Outbound
	policy  *esp.Policy
	remote  []addrRange // the peer's inner addresses
	silent  bool        // it only receives

	// Of a rekey; guarded by Tunnel.mu.
	successor *child   // sends in its place; nil: none yet
	lingering []*child // that it succeeded, which are removed but still receive; oldest first

	path     atomic.Pointer[outerPath]
	limits   atomic.Pointer[limits] // nil: none
	sending  atomic.Bool
	switchAt int64 // Unix nanoseconds from which it sends even if nothing arrived

	bytesIn, packetsIn, bytesOut, packetsOut atomic.Uint64
	// Of one that lingers what Finish told that it had received. Guarded by
	// Tunnel.mu.
	finished               bool
	toldBytes, toldPackets uint64
	lastIn                 atomic.Int64 // Unix nanoseconds, of the batch
	rebindSeen             atomic.Int64 // when OnRebind was last called
}

// outerPath is immutable.
type outerPath struct {
	transport.Path
	maxInner int // the longest inner packet that the path takes in one piece
}

func newPath(p esp.Path, out *esp.Outbound, mtu, outerMTU int) *outerPath {
	const udpHeaderLen = 8
	header := ipv4HeaderLen
	if !p.Remote.Addr().Is4() {
		header = ipv6HeaderLen
	}
	if p.Encap {
		header += udpHeaderLen
	}
	return &outerPath{Path: transport.Path(p), maxInner: min(mtu, out.MaxInner(outerMTU-header))}
}

// mtuFor is the MTU to announce for packets like p: that of the path, but no
// less than IPv6 runs over, below which the outer packets are fragmented.
func (o *outerPath) mtuFor(p *packet) int {
	if p.v6 {
		return max(o.maxInner, minIPv6MTU)
	}
	return o.maxInner
}

// ready tells whether the Child SA may send at now.
func (c *child) ready(now int64) bool { return c.sending.Load() || now >= c.switchAt }

func (c *child) usage() esp.Usage {
	u := esp.Usage{
		ID:      c.id,
		BytesIn: c.bytesIn.Load(), PacketsIn: c.packetsIn.Load(),
		BytesOut: c.bytesOut.Load(), PacketsOut: c.packetsOut.Load(),
		OutboundRemaining: c.out.Remaining(),
	}
	if at := c.lastIn.Load(); at != 0 {
		u.LastIn = time.Unix(0, at)
	}
	return u
}
