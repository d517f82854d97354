package planetest

import (
	"encoding/binary"
	"net/netip"
)

const protocolUDP = 17

// udp builds a UDP packet of n octets of payload, all checksums valid.
func udp(from, to netip.Addr, port uint16, n int, fill byte) []byte {
	payload := make([]byte, 8+n)
	binary.BigEndian.PutUint16(payload, port)
	binary.BigEndian.PutUint16(payload[2:], port)
	binary.BigEndian.PutUint16(payload[4:], uint16(len(payload)))
	for i := range n {
		payload[8+i] = fill
	}
	pseudo := sum(sum(uint32(len(payload))+protocolUDP, from.AsSlice()), to.AsSlice())
	binary.BigEndian.PutUint16(payload[6:], fold(sum(pseudo, payload)))
	if from.Is4() {
		b := make([]byte, 20, 20+len(payload))
		b[0], b[8], b[9] = 0x45, 64, protocolUDP
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
		copy(b[12:], from.AsSlice())
		copy(b[16:], to.AsSlice())
		binary.BigEndian.PutUint16(b[10:], fold(sum(0, b)))
		return append(b, payload...)
	}
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7] = 0x60, protocolUDP, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], from.AsSlice())
	copy(b[24:], to.AsSlice())
	return append(b, payload...)
}

// sum adds the 16-bit words of b (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}

// toInside and toPeer build packets between a peer's n-th inner address and the
// host behind the subject.
func toInside(n int, v6 bool, size int, fill byte) []byte {
	return udp(innerAddr(n, v6), inside(v6), 5000, size, fill)
}

func toPeer(n int, v6 bool, size int, fill byte) []byte {
	return udp(inside(v6), innerAddr(n, v6), 5000, size, fill)
}

func inside(v6 bool) netip.Addr {
	if v6 {
		return inside6
	}
	return inside4
}
