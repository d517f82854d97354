// Package inetsum computes the Internet checksum (RFC 1071) of the packets that
// the gateway itself makes.
package inetsum

// Add adds the octets of b, two at a time, to sum. Of several parts all but the
// last have an even number of octets.
func Add(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// Of is the checksum of b and of what sum holds already. A packet in which its
// checksum is right has 0.
func Of(sum uint32, b []byte) uint16 {
	sum = Add(sum, b)
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
