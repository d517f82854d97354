package exchange

import (
	"crypto/sha1"
	"encoding/binary"
	"net/netip"

	"bridgehead/ikev2/message"
)

// NATHash is the data of a NAT_DETECTION_SOURCE_IP or _DESTINATION_IP
// notification for the address a: SHA-1 over both SPIs as in the header,
// the address and the port (RFC 7296 §2.23).
func NATHash(spii, spir message.SPI, a netip.AddrPort) [sha1.Size]byte {
	b := make([]byte, 0, 34)
	b = append(b, spii[:]...)
	b = append(b, spir[:]...)
	b = append(b, a.Addr().Unmap().AsSlice()...)
	return sha1.Sum(binary.BigEndian.AppendUint16(b, a.Port()))
}
