package xfrm

import (
	"slices"
	"time"

	"bridgehead/ikev2/esp"
)

// maxSequence32 is how many packets an SA without extended sequence numbers
// protects; softSequence32 is when its end is announced.
const (
	maxSequence32  = 1<<32 - 1
	softSequence32 = 3 << 30
)

// phase is what a Child SA's outbound state does.
type phase uint8

const (
	waiting phase = iota // for the peer to use the inbound one; not in the kernel
	sending              // in the kernel
	retired              // another sends; no longer, or never, in the kernel
)

// child is an installed Child SA. Plane.mu guards it.
type child struct {
	esp.Child // its keys are copies
	in, out   algorithms
	selectors []selector // outbound
	flow      *flow
	phase     phase
	grace     *time.Timer // while waiting
	expected  *esp.Path   // over which it receives, too; nil: none

	ending *time.Timer // while it lingers; else nil
	summed uint64      // octets received that Plane.goneIn has, then
	left   counters    // of the inbound state, then
	told   *tally      // received until then, by Finish; nil: nobody was told

	goneIn, goneOut tally  // of states that it no longer has
	packets         uint64 // inbound, when last looked
	lastIn          time.Time
	reported        bool // as lost
}

// tally adds up what states have carried. sent is the last sequence number.
type tally struct{ bytes, packets, sent uint64 }

func (t *tally) add(c counters) {
	t.bytes += c.bytes
	t.packets += c.packets
	if c.replay != nil {
		t.sent = c.replay.sent
	}
}

// flow is a Child SA with the ones it was rekeyed from and to. They share two
// request IDs, so a policy does not change when another of them sends.
type flow struct {
	reqid   uint32   // inbound; the next is the outbound one
	members []*child // oldest first
	sender  *child   // nil if none sends
	last    *child   // with which the flow ends

	lingering []*child // removed, but still receiving
}

// policy is an installed policy. Several Child SAs may claim it: those of a
// flow, and those of different flows when an address is leased again before its
// last holder is gone. The newest has it.
type policy struct {
	owners    []*child // newest last
	installed template
	guard     *template // what it is without owners; nil: it is not there
}

// newChild checks c and copies its keys.
func newChild(c esp.Child) (*child, error) {
	selectors, err := compile(c.Local, c.Remote)
	if err != nil {
		return nil, &ChildError{c.ID, err}
	}
	c.In.EncrKey, c.In.IntegKey = slices.Clone(c.In.EncrKey), slices.Clone(c.In.IntegKey)
	c.Out.EncrKey, c.Out.IntegKey = slices.Clone(c.Out.EncrKey), slices.Clone(c.Out.IntegKey)
	n := &child{Child: c, selectors: selectors}
	if n.in, err = algorithmsOf(&n.In); err == nil {
		n.out, err = algorithmsOf(&n.Out)
	}
	if err != nil {
		n.wipe()
		return nil, err
	}
	return n, nil
}

// wipe forgets the keys.
func (c *child) wipe() {
	c.In.EncrKey.Wipe()
	c.In.IntegKey.Wipe()
	c.Out.EncrKey.Wipe()
	c.Out.IntegKey.Wipe()
}

func (c *child) inboundID(p esp.Path) stateID  { return stateID{p.Local.Addr(), c.In.SPI} }
func (c *child) outboundID(p esp.Path) stateID { return stateID{p.Remote.Addr(), c.Out.SPI} }

// inbound is c's inbound state over a path.
func (c *child) inbound(p esp.Path) *state {
	return &state{
		id: c.inboundID(p), source: p.Remote.Addr(), reqid: c.flow.reqid,
		encap: p.Encap, sourcePort: p.Remote.Port(), destinationPort: p.Local.Port(),
		algorithms: c.in, esn: c.In.Suite.ESN, inbound: true, softLimit: unlimited,
	}
}

// outbound is c's outbound state over a path.
func (c *child) outbound(p esp.Path) *state {
	s := &state{
		id: c.outboundID(p), source: p.Local.Addr(), reqid: c.flow.outboundReqID(),
		encap: p.Encap, sourcePort: p.Local.Port(), destinationPort: p.Remote.Port(),
		algorithms: c.out, esn: c.Out.Suite.ESN, softLimit: unlimited,
	}
	if !s.esn {
		s.softLimit = softSequence32
	}
	return s
}

// keys are the policies of c: towards the peer, and from it to the host itself
// and through it.
func (c *child) keys(each func(policyKey)) {
	for _, s := range c.selectors {
		each(policyKey{directionIn, s.reversed()})
		each(policyKey{directionForward, s.reversed()})
		each(policyKey{directionOut, s})
	}
}

// remaining is how many packets a state may still protect that has sent n.
func (c *child) remaining(n uint64) uint64 {
	if c.Out.Suite.ESN {
		return ^uint64(0) - n
	}
	return maxSequence32 - min(n, maxSequence32)
}

// outboundReqID is another than the inbound one lest the kernel, which chooses
// an outbound state by request ID and addresses, takes an inbound one where both
// ends have one address.
func (f *flow) outboundReqID() uint32 { return f.reqid + 1 }

// successor is the newest member that waits to send.
func (f *flow) successor() *child {
	for _, c := range slices.Backward(f.members) {
		if c.phase == waiting {
			return c
		}
	}
	return nil
}

// template is that of the flow's policies in a direction, with sender sending.
func (f *flow) template(direction uint8, p esp.Path) template {
	if direction == directionOut {
		return template{reqid: f.outboundReqID(), source: p.Local.Addr(), destination: p.Remote.Addr()}
	}
	unspecified := anyAddress(p.Local.Addr())
	return template{reqid: f.reqid, source: unspecified, destination: unspecified}
}

// path is where the flow's packets leave.
func (f *flow) path() esp.Path {
	if f.sender != nil {
		return f.sender.Path
	}
	return f.members[len(f.members)-1].Path
}
