package message

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// AddrAttribute is an attribute whose value is a bare address of 4 or 16
// octets: INTERNAL_IP4_ADDRESS, INTERNAL_IP4_DNS, INTERNAL_IP6_DNS and such.
func AddrAttribute(t CPAttributeType, a netip.Addr) CPAttribute {
	return CPAttribute{Type: t, Value: a.AsSlice()}
}

// PrefixAttribute is an attribute whose value is an address with the length
// of its prefix: for IPv6 16 octets and one (INTERNAL_IP6_ADDRESS,
// INTERNAL_IP6_SUBNET), for IPv4 address and netmask (INTERNAL_IP4_SUBNET).
func PrefixAttribute(t CPAttributeType, p netip.Prefix) CPAttribute {
	v := p.Addr().AsSlice()
	if p.Addr().Is4() {
		return CPAttribute{Type: t, Value: binary.BigEndian.AppendUint32(v, ^uint32(0)<<(32-p.Bits()))}
	}
	return CPAttribute{Type: t, Value: append(v, byte(p.Bits()))}
}

// Addr is the address in a value of 4 or 16 octets, or at the start of one of
// 17 with a prefix length; false for any other length.
func (a CPAttribute) Addr() (netip.Addr, bool) {
	if len(a.Value) == 17 {
		return netip.AddrFrom16([16]byte(a.Value)), true
	}
	return netip.AddrFromSlice(a.Value)
}

// Prefix is the prefix in a value of 17 octets (IPv6) or 8 (IPv4 address and
// netmask), host bits kept; false for any other length, for a length beyond
// 128 and for a netmask with gaps.
func (a CPAttribute) Prefix() (netip.Prefix, bool) {
	switch len(a.Value) {
	case 17:
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte(a.Value)), int(a.Value[16]))
		return p, p.IsValid()
	case 8:
		mask := binary.BigEndian.Uint32(a.Value[4:])
		ones := bits.LeadingZeros32(^mask)
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(a.Value)), ones), mask == ^uint32(0)<<(32-ones)
	}
	return netip.Prefix{}, false
}

// DomainAttribute is an INTERNAL_DNS_DOMAIN (RFC 8598 §4.1). The name is in
// presentation format, as A-labels, and is not NUL-terminated on the wire.
func DomainAttribute(name string) CPAttribute {
	return CPAttribute{Type: InternalDNSDomain, Value: []byte(name)}
}

// Domain is the name in an INTERNAL_DNS_DOMAIN. It is false for another
// attribute and for octets that are no visible ASCII; empty, as clients ask
// for it, is true.
func (a CPAttribute) Domain() (string, bool) {
	for _, c := range a.Value {
		if c <= ' ' || c > '~' {
			return "", false
		}
	}
	return string(a.Value), a.Type == InternalDNSDomain
}
