package dhcp

import (
	"encoding/binary"
	"net/netip"

	"bridgehead/ikev2/inetsum"
)

// Ports of DHCP (RFC 2131 §4.1).
const (
	serverPort = 67
	clientPort = 68
)

const (
	ipv4HeaderLen = 20
	udpHeaderLen  = 8
	protocolUDP   = 17
	hopLimit      = 64

	moreFragments, fragmentOffset = 0x2000, 0x1fff
)

// Broadcast is where clients send to that do not know a server.
var Broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// datagram is a message to a DHCP server with what its headers tell.
type datagram struct {
	source  netip.Addr
	message []byte
}

// isForServer tells whether an IP packet is a broadcast to DHCP servers, going
// by its headers alone: whatever is wrong behind them is for parseDatagram.
// It is called for every packet of the userspace data plane, so what sorts out
// nearly all of them comes first.
func isForServer(b []byte) bool {
	if len(b) < ipv4HeaderLen+udpHeaderLen || binary.BigEndian.Uint32(b[16:]) != 0xffffffff || b[0]>>4 != 4 || b[9] != protocolUDP {
		return false
	}
	header := int(b[0]&15) * 4
	return len(b) >= header+udpHeaderLen && binary.BigEndian.Uint16(b[6:])&fragmentOffset == 0 &&
		binary.BigEndian.Uint16(b[header+2:]) == serverPort
}

// parseDatagram reads the headers of a packet for which isForServer holds. The
// UDP checksum is not looked at: ESP has vouched for every octet.
func parseDatagram(b []byte) (datagram, error) {
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4HeaderLen || total > len(b) || total < header+udpHeaderLen || binary.BigEndian.Uint16(b[6:])&moreFragments != 0 {
		return datagram{}, errMalformed
	}
	length := int(binary.BigEndian.Uint16(b[header+4:]))
	if length < udpHeaderLen || header+length > total {
		return datagram{}, errMalformed
	}
	return datagram{netip.AddrFrom4([4]byte(b[12:16])), b[header+udpHeaderLen : header+length]}, nil
}

// appendHeaders appends the headers of a message to a client; finish completes
// them.
func appendHeaders(dst []byte, source, destination netip.Addr) []byte {
	dst = append(dst, 0x45, 0, 0, 0, 0, 0, 0, 0, hopLimit, protocolUDP, 0, 0)
	dst = append(dst, source.AsSlice()...)
	dst = append(dst, destination.AsSlice()...)
	return append(dst, 0, serverPort, 0, clientPort, 0, 0, 0, 0)
}

// finish fills in lengths and checksums of a packet that appendHeaders began.
func finish(b []byte) {
	ip, udp := b[:ipv4HeaderLen], b[ipv4HeaderLen:]
	binary.BigEndian.PutUint16(ip[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(ip[10:], inetsum.Of(0, ip))
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	sum := inetsum.Of(uint32(protocolUDP+len(udp))+inetsum.Add(0, ip[12:]), udp) // RFC 768
	if sum == 0 {
		sum = 0xffff // zero means "none"
	}
	binary.BigEndian.PutUint16(udp[6:], sum)
}
