package message

import (
	"encoding/binary"
	"net/netip"
)

// TS is a Traffic Selector payload, TSi or TSr (RFC 7296 §3.13).
type TS struct {
	Responder bool // TSr rather than TSi
	Selectors []Selector
}

// Selector is one traffic selector: a range of addresses and ports of one
// family. Ports and Protocol are 0..65535 and 0 for "any".
type Selector struct {
	Protocol  uint8
	StartPort uint16
	EndPort   uint16
	Start     netip.Addr
	End       netip.Addr
	Raw       *RawSelector // set instead, for a selector type not modelled
}

// Opaque reports whether the ports stand for packets whose ports cannot be
// seen, such as fragments: 65535 to 0, the one reversed range that is allowed
// (RFC 7296 §3.13.1).
func (s Selector) Opaque() bool { return s.StartPort == 65535 && s.EndPort == 0 }

// RawSelector is a traffic selector of an unknown type, kept whole.
type RawSelector struct {
	Kind     uint8
	Protocol uint8
	Body     []byte
}

// Traffic selector types (RFC 7296 §3.13.1).
const (
	selectorIPv4 = 7
	selectorIPv6 = 8
)

const (
	selectorHeaderLen = 4 // type, protocol, length
	selectorIPv4Len   = 16
	selectorIPv6Len   = 40
)

// Type is TypeTSi or TypeTSr.
func (p *TS) Type() PayloadType {
	if p.Responder {
		return TypeTSr
	}
	return TypeTSi
}

// AppendBody appends the selectors' number and the selectors.
func (p *TS) AppendBody(dst []byte) []byte {
	dst = append(dst, byte(len(p.Selectors)), 0, 0, 0)
	for _, s := range p.Selectors {
		dst = s.append(dst)
	}
	return dst
}

func (s Selector) append(dst []byte) []byte {
	if r := s.Raw; r != nil {
		dst = append(dst, r.Kind, r.Protocol)
		dst = binary.BigEndian.AppendUint16(dst, uint16(selectorHeaderLen+len(r.Body)))
		return append(dst, r.Body...)
	}
	ipv4 := s.Start.Is4() && s.End.Is4()
	kind, length := byte(selectorIPv6), byte(selectorIPv6Len)
	if ipv4 {
		kind, length = selectorIPv4, selectorIPv4Len
	}
	dst = append(dst, kind, s.Protocol, 0, length)
	dst = binary.BigEndian.AppendUint16(dst, s.StartPort)
	dst = binary.BigEndian.AppendUint16(dst, s.EndPort)
	if ipv4 {
		start, end := s.Start.As4(), s.End.As4()
		return append(append(dst, start[:]...), end[:]...)
	}
	start, end := s.Start.As16(), s.End.As16()
	return append(append(dst, start[:]...), end[:]...)
}

func parseTS(b body) (Payload, error) {
	if err := b.atLeast(4); err != nil {
		return nil, err
	}
	count := int(b.octets[0])
	p := &TS{Responder: b.payload == TypeTSr}
	if count*selectorHeaderLen > len(b.octets)-4 {
		return nil, b.fault(0, "%d selectors in %d octets", count, len(b.octets)-4)
	}
	p.Selectors = make([]Selector, count)
	b = b.from(4)
	for i := range p.Selectors {
		if err := b.atLeast(selectorHeaderLen); err != nil {
			return nil, err
		}
		length := int(binary.BigEndian.Uint16(b.octets[2:]))
		if length < selectorHeaderLen || length > len(b.octets) {
			return nil, b.fault(2, "selector length field %d, %d octets are left", length, len(b.octets))
		}
		var err error
		if p.Selectors[i], err = parseSelector(b.upTo(length)); err != nil {
			return nil, err
		}
		b = b.from(length)
	}
	if len(b.octets) > 0 {
		return nil, b.fault(0, "%d octets after the last selector", len(b.octets))
	}
	return p, nil
}

func parseSelector(b body) (Selector, error) {
	o, want := b.octets, 0
	switch o[0] {
	case selectorIPv4:
		want = selectorIPv4Len
	case selectorIPv6:
		want = selectorIPv6Len
	default:
		return Selector{Raw: &RawSelector{Kind: o[0], Protocol: o[1], Body: o[selectorHeaderLen:]}}, nil
	}
	if len(o) != want {
		return Selector{}, b.fault(2, "selector of type %d has %d octets, expected %d", o[0], len(o), want)
	}
	s := Selector{
		Protocol:  o[1],
		StartPort: binary.BigEndian.Uint16(o[4:]),
		EndPort:   binary.BigEndian.Uint16(o[6:]),
	}
	addrs := o[8:]
	half := len(addrs) / 2
	s.Start, _ = netip.AddrFromSlice(addrs[:half])
	s.End, _ = netip.AddrFromSlice(addrs[half:])
	if s.End.Less(s.Start) {
		return Selector{}, b.fault(8, "address range %s to %s is reversed", s.Start, s.End)
	}
	if s.EndPort < s.StartPort && !s.Opaque() {
		return Selector{}, b.fault(4, "port range %d to %d is reversed", s.StartPort, s.EndPort)
	}
	return s, nil
}

// SelectorOf is the selector of all ports and protocols of a prefix.
func SelectorOf(p netip.Prefix) Selector {
	p = p.Masked()
	end := p.Addr().AsSlice()
	for i := p.Bits(); i < len(end)*8; i++ {
		end[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(end)
	return Selector{EndPort: 0xffff, Start: p.Addr(), End: last}
}
