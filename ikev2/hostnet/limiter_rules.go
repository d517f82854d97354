package hostnet

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"bridgehead/auth"
)

// Offsets into headers.
const (
	fragmentOffset4 = 6  // RFC 791 §3.1, with three flags
	fragmentOffset6 = 2  // RFC 8200 §4.5, with three other bits behind
	tcpFlagsOffset  = 13 // RFC 9293 §3.1
)

// addFilter makes the rules of one way: entry goes through filter, which drops
// what hides its ports from the rules, as esp.Filter does.
func (b *builder) addFilter(c chains, rules []auth.FilterRule, out bool) {
	rules = slices.DeleteFunc(slices.Clone(rules), func(r auth.FilterRule) bool { return r.Out != out })
	if len(rules) == 0 {
		return
	}
	drop := &expr.Verdict{Kind: expr.VerdictDrop}
	goTo := func(chain *nftables.Chain) *expr.Verdict {
		return &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain.Name}
	}
	b.rule(c.entry, &expr.Verdict{Kind: expr.VerdictJump, Chain: c.filter.Name})
	for _, ipv4 := range []bool{true, false} {
		b.rule(c.filter, append(matchFragment(ipv4, expr.CmpOpEq, 1), drop)...)
		b.rule(c.filter, append(matchFragment(ipv4, expr.CmpOpNeq, 0), goTo(c.fragments))...)
	}
	b.readable(c.filter, goTo(c.rules))
	b.rule(c.filter, drop)
	for i := range rules {
		r := &rules[i]
		exprs := b.match(r)
		if exprs == nil {
			continue
		}
		verdict := &expr.Verdict{Kind: expr.VerdictReturn}
		if r.Deny {
			verdict = drop
		}
		exprs = append(exprs, verdict)
		b.rule(c.rules, exprs...)
		// Linux 6.18 for one compares what stands in the ports' place of any
		// fragment.
		if len(r.From.Ports)+len(r.To.Ports) == 0 && !r.Established && !r.Setup {
			b.rule(c.fragments, exprs...)
		}
	}
	if !rules[len(rules)-1].Deny {
		b.rule(c.rules, drop)
		b.rule(c.fragments, drop)
	}
}

// readable takes the packets on that show what rules may ask for: the protocol,
// the flags of TCP, and ports where there are any. One that lacks what an
// expression loads ends the rule.
func (b *builder) readable(chain *nftables.Chain, verdict *expr.Verdict) {
	protocol := &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}
	header := func(offset, length uint32) expr.Any {
		return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: length}
	}
	withPorts := &nftables.Set{Name: "__set%d", Anonymous: true, Constant: true, KeyType: nftables.TypeInetProto}
	b.addSet(withPorts, []nftables.SetElement{
		{Key: []byte{unix.IPPROTO_TCP}}, {Key: []byte{unix.IPPROTO_UDP}}, {Key: []byte{unix.IPPROTO_DCCP}}, {Key: []byte{unix.IPPROTO_SCTP}},
	})
	tcp := func(op expr.CmpOp) expr.Any {
		return &expr.Cmp{Op: op, Register: register, Data: []byte{unix.IPPROTO_TCP}}
	}
	b.rule(chain, protocol, &expr.Lookup{SourceRegister: register, SetName: withPorts.Name, SetID: withPorts.ID, Invert: true}, verdict)
	b.rule(chain, protocol, tcp(expr.CmpOpEq), header(tcpFlagsOffset, 1), verdict)
	b.rule(chain, protocol, tcp(expr.CmpOpNeq), header(0, 4), verdict)
}

// matchFragment compares a packet's fragment offset, in units of 8 octets. One
// of IPv6 that is no fragment has none to compare.
func matchFragment(ipv4 bool, op expr.CmpOp, offset uint16) []expr.Any {
	var load expr.Any = &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: fragmentOffset4, Len: 2}
	mask := uint16(0x1fff)
	if !ipv4 {
		load = &expr.Exthdr{DestRegister: register, Type: unix.IPPROTO_FRAGMENT, Offset: fragmentOffset6, Len: 2, Op: expr.ExthdrOpIpv6}
		mask, offset = 0xfff8, offset<<3
	}
	return append(matchFamily(ipv4), load,
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 2, Mask: binary.BigEndian.AppendUint16(nil, mask), Xor: []byte{0, 0}},
		&expr.Cmp{Op: op, Register: register, Data: binary.BigEndian.AppendUint16(nil, offset)})
}

// match is what a rule asks of a packet, nil if no packet matches.
func (b *builder) match(r *auth.FilterRule) []expr.Any {
	if r.From.Assigned || r.To.Assigned { // by an address that the session has not
		return nil
	}
	exprs := make([]expr.Any, 0, 16)
	for which, e := range []auth.FilterEnd{r.From, r.To} {
		if !e.Prefix.IsValid() {
			continue
		}
		address := matchAddress(e.Prefix, end(which))
		if e.Not {
			address[len(address)-1].(*expr.Cmp).Op = expr.CmpOpNeq
		}
		exprs = append(exprs, address...)
	}
	if r.Protocol != 0 {
		exprs = append(exprs, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{r.Protocol}})
	}
	for which, e := range []auth.FilterEnd{r.From, r.To} {
		exprs = append(exprs, b.matchPorts(e.Ports, uint32(which))...)
	}
	const syn, rst, ack = 0x02, 0x04, 0x10
	switch {
	case r.Established:
		exprs = append(exprs, matchFlags(ack|rst, expr.CmpOpNeq, 0)...)
	case r.Setup:
		exprs = append(exprs, matchFlags(syn|ack, expr.CmpOpEq, syn)...)
	}
	return exprs
}

// matchFlags compares some of the flags of TCP.
func matchFlags(mask byte, op expr.CmpOp, want byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: tcpFlagsOffset, Len: 1},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 1, Mask: []byte{mask}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: register, Data: []byte{want}},
	}
}

// matchPorts looks one of the two ports up in ranges.
func (b *builder) matchPorts(ports []auth.PortRange, which uint32) []expr.Any {
	if len(ports) == 0 {
		return nil
	}
	load := &expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2 * which, Len: 2}
	octets := func(port uint16) []byte { return binary.BigEndian.AppendUint16(nil, port) }
	if len(ports) == 1 {
		return []expr.Any{load, &expr.Range{Op: expr.CmpOpEq, Register: register, FromData: octets(ports[0].First), ToData: octets(ports[0].Last)}}
	}
	var elements []nftables.SetElement
	for _, p := range merged(ports) {
		elements = append(elements, nftables.SetElement{Key: octets(p.First)})
		if p.Last < 1<<16-1 { // else it has no end
			elements = append(elements, nftables.SetElement{Key: octets(p.Last + 1), IntervalEnd: true})
		}
	}
	set := &nftables.Set{Name: "__set%d", Anonymous: true, Constant: true, Interval: true, KeyType: nftables.TypeInetService}
	b.addSet(set, elements)
	return []expr.Any{load, &expr.Lookup{SourceRegister: register, SetName: set.Name, SetID: set.ID}}
}

// merged are the ranges in order, none touching another.
func merged(ports []auth.PortRange) []auth.PortRange {
	ports = slices.SortedFunc(slices.Values(ports), func(a, b auth.PortRange) int { return cmp.Compare(a.First, b.First) })
	apart := ports[:1]
	for _, p := range ports[1:] {
		if last := &apart[len(apart)-1]; int(p.First) <= int(last.Last)+1 {
			last.Last = max(last.Last, p.Last)
		} else {
			apart = append(apart, p)
		}
	}
	return apart
}
