package esp

import (
	"errors"

	"bridgehead/auth"
)

// ErrFilter is why Filter drops a packet.
var ErrFilter = errors.New("esp: a rule of the user's packet filter denies the packet, or none permits it")

// Filter is a user's packet filter, compiled (RFC 6733 §4.3.1). It is
// immutable.
//
// A fragment other than the first shows no ports and no flags, so that only
// rules without them match it. One that could overwrite the ports of the first
// is dropped, as the RFC demands, and so is a packet that does not show what
// follows its IP header, with the ports and flags that belong there.
type Filter struct{ in, out filterRules }

// filterRules are the rules of one direction.
type filterRules struct {
	rules  []filterRule
	passes bool // what none matches
}

type filterRule struct {
	deny        bool
	protocol    uint8 // 0: any
	flags       uint8 // of TCP, of which one is set; 0: whatever
	unset       uint8 // of TCP, of which none is set
	source      filterEnd
	destination filterEnd
}

type filterEnd struct {
	never      bool // matches no address
	any        bool // matches all addresses
	not        bool // matches those of the family beyond start and end
	start, end address
	ports      []auth.PortRange
}

// NewFilter compiles rules, which are held to be what auth.ParseFilter gives.
// "Assigned" that no address was put in for matches nothing.
func NewFilter(rules []auth.FilterRule) *Filter {
	f := &Filter{in: filterRules{passes: true}, out: filterRules{passes: true}}
	for _, r := range rules {
		d := &f.in
		if r.Out {
			d = &f.out
		}
		c := filterRule{deny: r.Deny, protocol: r.Protocol, source: compileEnd(r.From), destination: compileEnd(r.To)}
		switch {
		case r.Established:
			c.flags = tcpACK | tcpRST
		case r.Setup:
			c.flags, c.unset = tcpSYN, tcpACK
		}
		d.rules = append(d.rules, c)
		d.passes = r.Deny
	}
	return f
}

func compileEnd(e auth.FilterEnd) filterEnd {
	c := filterEnd{not: e.Not, ports: e.Ports}
	switch {
	case e.Assigned:
		c.never = true
	case !e.Prefix.IsValid():
		c.any = true
	default:
		c.start = addressOf(e.Prefix.Masked().Addr())
		c.end = c.start.last(e.Prefix.Bits())
	}
	return c
}

// In decides on a packet that came out of the tunnel. The error is ErrFilter
// or ErrInnerPacket.
func (f *Filter) In(inner []byte) error { return f.in.check(inner) }

// Out decides on a packet that is to enter the tunnel.
func (f *Filter) Out(inner []byte) error { return f.out.check(inner) }

func (d *filterRules) check(inner []byte) error {
	if len(d.rules) == 0 {
		return nil
	}
	f, err := parseFlow(inner, false)
	if err != nil {
		return err
	}
	if f.offset == 1 || !f.readable() {
		return ErrFilter
	}
	for i := range d.rules {
		if r := &d.rules[i]; r.match(&f) {
			if r.deny {
				return ErrFilter
			}
			return nil
		}
	}
	if d.passes {
		return nil
	}
	return ErrFilter
}

func (r *filterRule) match(f *flow) bool {
	return (r.protocol == 0 || r.protocol == f.protocol) &&
		(r.flags == 0 || f.flags&r.flags != 0 && f.flags&r.unset == 0) &&
		r.source.match(f.source, f.sourcePort) && r.destination.match(f.destination, f.destinationPort)
}

func (e *filterEnd) match(a address, port int) bool {
	switch {
	case e.never:
		return false
	case !e.any && a.v6 != e.start.v6:
		return false
	case !e.any && (!a.less(e.start) && !e.end.less(a)) == e.not:
		return false
	case len(e.ports) == 0:
		return true
	}
	for _, p := range e.ports {
		if port >= int(p.First) && port <= int(p.Last) {
			return true
		}
	}
	return false
}
