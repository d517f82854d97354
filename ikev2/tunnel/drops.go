package tunnel

import (
	"sync/atomic"

	"bridgehead/ikev2/esp"
)

// Reason is why a packet was dropped.
type Reason uint8

// Reasons to drop a packet.
const (
	InUnknownSPI Reason = iota // no Child SA receives on this SPI
	InReplayed                 // received before, or older than the window
	InIntegrity                // forged or damaged
	InMalformed                // authentic, but not ESP in tunnel mode as it should be
	InSelector                 // inner packet outside the traffic selectors
	InFilter                   // the user's packet filter denies it
	InRate                     // beyond the user's rate
	InCongestion               // outer congestion mark on a flow that cannot take it
	InDevice                   // the TUN device refused a batch or part of it
	OutMalformed               // not an IP packet
	OutNoRoute                 // no Child SA leads to the destination
	OutSelector                // a Child SA leads there, but its selectors exclude the packet
	OutFilter                  // the user's packet filter denies it
	OutRate                    // beyond the user's rate
	OutTooBig                  // answered with ICMP, or too often to be answered
	OutExhausted               // the SA's sequence numbers are used up
	OutNetwork                 // the transport refused a batch or part of it
	reasons
)

var reasonNames = [reasons]string{
	InUnknownSPI: "in_unknown_spi", InReplayed: "in_replayed", InIntegrity: "in_integrity",
	InMalformed: "in_malformed", InSelector: "in_selector", InFilter: "in_filter", InRate: "in_rate",
	InCongestion: "in_congestion",
	InDevice:     "in_device", OutMalformed: "out_malformed", OutNoRoute: "out_no_route",
	OutSelector: "out_selector", OutFilter: "out_filter", OutRate: "out_rate", OutTooBig: "out_too_big", OutExhausted: "out_exhausted",
	OutNetwork: "out_network",
}

// String is the reason as a metric's label has it.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Drops are the packets dropped so far, indexed by Reason.
type Drops [reasons]uint64

type dropCounters [reasons]atomic.Uint64

func (c *dropCounters) count(r Reason) { c[r].Add(1) }

// Drops reads the counters.
func (t *Tunnel) Drops() Drops {
	var d Drops
	for i := range t.drops {
		d[i] = t.drops[i].Load()
	}
	return d
}

// inboundReason maps what esp refuses to a reason; ok is false for a dummy
// packet, whose purpose is to be dropped (RFC 4303 §2.6).
func inboundReason(err error) (r Reason, ok bool) {
	switch err {
	case esp.ErrDummy:
		return 0, false
	case esp.ErrReplayed, esp.ErrTooOld:
		return InReplayed, true
	case esp.ErrIntegrity:
		return InIntegrity, true
	case esp.ErrSelector:
		return InSelector, true
	}
	return InMalformed, true
}
