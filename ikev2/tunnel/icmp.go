package tunnel

import (
	"encoding/binary"
	"net/netip"

	"bridgehead/ikev2/inetsum"
)

const (
	icmpHeaderLen   = 8
	icmpUnreachable = 3 // RFC 792
	icmpFragNeeded  = 4 // RFC 1191 §4
	icmp6TooBig     = 2 // RFC 4443 §3.2
	hopLimit        = 64

	// What an error quotes of its cause is limited in total: RFC 1812 §4.3.2.3,
	// RFC 4443 §2.4 (c).
	maxICMP4 = 576
	maxICMP6 = minIPv6MTU

	// tooBigPerSecond bounds the errors of one queue (RFC 4443 §2.4 (f)).
	tooBigPerSecond = 100
)

// appendTooBig appends the ICMP error that tells p's sender to send packets of
// at most mtu octets. It comes from p's destination, because a gateway's device
// need not have an address of its own, and the route back leads here. ok is
// false for packets that must not be answered (RFC 1122 §3.2.2, RFC 4443 §2.4),
// and for multicast over IPv6 too: its group can be no source.
func appendTooBig(dst []byte, p *packet, mtu int) (b []byte, ok bool) {
	if p.fragment || !isUnicast(p.source()) || !isUnicast(p.destination().addr()) || p.isICMPError() {
		return dst, false
	}
	if p.v6 {
		return appendTooBig6(dst, p, mtu), true
	}
	return appendTooBig4(dst, p, mtu), true
}

func isUnicast(a netip.Addr) bool { return a.IsGlobalUnicast() || a.IsLinkLocalUnicast() }

func (p *packet) isICMPError() bool {
	if len(p.data) <= p.payload {
		return false
	}
	kind := p.data[p.payload]
	if p.v6 {
		return p.protocol == protocolICMPv6 && kind < 128
	}
	const echoReply, echo = 0, 8 // of the kinds below timestamp, all others are errors
	return p.protocol == protocolICMP && kind != echoReply && kind != echo && kind < 13
}

func appendTooBig4(dst []byte, p *packet, mtu int) []byte {
	off := len(dst)
	quote := p.data[:min(len(p.data), maxICMP4-ipv4HeaderLen-icmpHeaderLen)]
	total := ipv4HeaderLen + icmpHeaderLen + len(quote)
	dst = append(dst, 0x45, 0, byte(total>>8), byte(total), 0, 0, 0, 0, hopLimit, protocolICMP, 0, 0)
	dst = append(dst, p.data[16:20]...)
	dst = append(dst, p.data[12:16]...)
	dst = append(dst, icmpUnreachable, icmpFragNeeded, 0, 0, 0, 0, byte(mtu>>8), byte(mtu))
	dst = append(dst, quote...)
	ip, icmp := dst[off:off+ipv4HeaderLen], dst[off+ipv4HeaderLen:]
	binary.BigEndian.PutUint16(ip[10:], inetsum.Of(0, ip))
	binary.BigEndian.PutUint16(icmp[2:], inetsum.Of(0, icmp))
	return dst
}

func appendTooBig6(dst []byte, p *packet, mtu int) []byte {
	quote := p.data[:min(len(p.data), maxICMP6-ipv6HeaderLen-icmpHeaderLen)]
	length := icmpHeaderLen + len(quote)
	off := len(dst)
	dst = append(dst, 0x60, 0, 0, 0, byte(length>>8), byte(length), protocolICMPv6, hopLimit)
	dst = append(dst, p.data[24:40]...)
	dst = append(dst, p.data[8:24]...)
	dst = append(dst, icmp6TooBig, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(mtu))
	dst = append(dst, quote...)
	addresses, icmp := dst[off+8:off+ipv6HeaderLen], dst[off+ipv6HeaderLen:]
	pseudo := inetsum.Add(uint32(length)+protocolICMPv6, addresses) // RFC 8200 §8.1
	binary.BigEndian.PutUint16(icmp[2:], inetsum.Of(pseudo, icmp))
	return dst
}

// rateLimit lets a number of events a second pass. One goroutine uses it.
type rateLimit struct {
	second int64
	passed int
}

// allow takes the time in Unix nanoseconds.
func (r *rateLimit) allow(now int64, perSecond int) bool {
	if s := now / 1e9; s != r.second {
		r.second, r.passed = s, 0
	}
	r.passed++
	return r.passed <= perSecond
}
