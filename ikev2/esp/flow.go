package esp

import "encoding/binary"

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40

	protocolICMP   = 1
	protocolTCP    = 6
	protocolUDP    = 17
	protocolDCCP   = 33
	protocolICMPv6 = 58
	protocolSCTP   = 132

	ipv6HopByHop    = 0
	ipv6Routing     = 43
	ipv6Fragment    = 44
	ipv6Destination = 60

	ipv4FragmentOffset = 0x1fff

	tcpFlagsOffset = 13
	tcpSYN         = 0x02
	tcpRST         = 0x04
	tcpACK         = 0x10

	// maxExtensionHeaders bounds the walk along IPv6 extension headers; real
	// packets have one or two.
	maxExtensionHeaders = 8

	// portUnknown is the port of a packet that shows none, such as a fragment
	// other than the first. Only a selector of all ports covers it (RFC 4301
	// §4.4.1.1).
	portUnknown = -1
)

// flow is what selectors and filters see of a packet.
type flow struct {
	source, destination         address
	sourcePort, destinationPort int
	protocol                    uint8
	flags                       uint8  // of TCP
	showsFlags                  bool   // else they are in another fragment, or nowhere
	offset                      uint16 // of a fragment, in units of 8 octets
}

// parseFlow reads an IP packet's addresses and, unless onlyAddresses, its upper
// layer protocol and ports.
func parseFlow(p []byte, onlyAddresses bool) (flow, error) {
	f := flow{sourcePort: portUnknown, destinationPort: portUnknown}
	var payload []byte
	switch {
	case len(p) >= ipv4HeaderLen && p[0]>>4 == 4:
		f.source, f.destination = addressFrom4(p[12:]), addressFrom4(p[16:])
		if onlyAddresses {
			return f, nil
		}
		f.protocol = p[9]
		payload = ipv4Payload(p)
		f.offset = binary.BigEndian.Uint16(p[6:]) & ipv4FragmentOffset
	case len(p) >= ipv6HeaderLen && p[0]>>4 == 6:
		f.source, f.destination = addressFrom16(p[8:]), addressFrom16(p[24:])
		if onlyAddresses {
			return f, nil
		}
		f.protocol, f.offset, payload = ipv6Payload(p)
	default:
		return flow{}, ErrInnerPacket
	}
	f.readPorts(payload)
	return f, nil
}

// ipv4Payload is the upper layer header; nil in a fragment other than the first.
func ipv4Payload(p []byte) []byte {
	header := int(p[0]&0xf) * 4
	if header < ipv4HeaderLen || header > len(p) || binary.BigEndian.Uint16(p[6:])&ipv4FragmentOffset != 0 {
		return nil
	}
	return p[header:]
}

// ipv6Payload walks the extension headers to the upper layer (RFC 8200 §4). A
// chain that is too long or cut off ends with the header it ended at, which no
// selector of a transport protocol covers.
func ipv6Payload(p []byte) (protocol uint8, offset uint16, payload []byte) {
	const fragmentUnits = 3 // bits below the offset
	protocol, payload = p[6], p[ipv6HeaderLen:]
	for range maxExtensionHeaders {
		length := 8
		switch protocol {
		case ipv6HopByHop, ipv6Routing, ipv6Destination:
			if len(payload) < length {
				return protocol, 0, nil
			}
			length += int(payload[1]) * 8
		case ipv6Fragment:
			if len(payload) < length {
				return protocol, 0, nil
			}
			if offset = binary.BigEndian.Uint16(payload[2:]) >> fragmentUnits; offset != 0 {
				return payload[0], offset, nil
			}
		default:
			return protocol, 0, payload
		}
		if len(payload) < length {
			return protocol, 0, nil
		}
		protocol, payload = payload[0], payload[length:]
	}
	return protocol, 0, nil
}

func (f *flow) readPorts(payload []byte) {
	switch f.protocol {
	case protocolTCP, protocolUDP, protocolDCCP, protocolSCTP:
		if len(payload) >= 4 {
			f.sourcePort = int(binary.BigEndian.Uint16(payload))
			f.destinationPort = int(binary.BigEndian.Uint16(payload[2:]))
		}
		if f.protocol == protocolTCP && len(payload) > tcpFlagsOffset {
			f.flags, f.showsFlags = payload[tcpFlagsOffset], true
		}
	case protocolICMP, protocolICMPv6:
		// Type and code stand for the port at both ends (RFC 7296 §3.13.1).
		if len(payload) >= 2 {
			f.sourcePort = int(binary.BigEndian.Uint16(payload))
			f.destinationPort = f.sourcePort
		}
	}
}

// readable tells whether the packet shows what its protocol needs to be known
// by: ports, of TCP the flags, too, or that it is a fragment which has none. Of
// IPv6 options can push them into the second fragment (RFC 7112 §1).
func (f *flow) readable() bool {
	if f.offset != 0 {
		return true
	}
	switch f.protocol {
	case protocolTCP:
		return f.showsFlags
	case protocolUDP, protocolDCCP, protocolSCTP:
		return f.sourcePort != portUnknown
	case ipv6HopByHop, ipv6Routing, ipv6Fragment, ipv6Destination: // their chain is cut off, or too long
		return false
	}
	return true
}
