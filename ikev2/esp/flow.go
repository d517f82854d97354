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

	// maxExtensionHeaders bounds the walk along IPv6 extension headers; real
	// packets have one or two.
	maxExtensionHeaders = 8

	// portUnknown is the port of a packet that shows none, such as a fragment
	// other than the first. Only a selector of all ports covers it (RFC 4301
	// §4.4.1.1).
	portUnknown = -1
)

// flow is what selectors see of a packet.
type flow struct {
	source, destination         address
	sourcePort, destinationPort int
	protocol                    uint8
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
	case len(p) >= ipv6HeaderLen && p[0]>>4 == 6:
		f.source, f.destination = addressFrom16(p[8:]), addressFrom16(p[24:])
		if onlyAddresses {
			return f, nil
		}
		f.protocol, payload = ipv6Payload(p)
	default:
		return flow{}, ErrInnerPacket
	}
	f.readPorts(payload)
	return f, nil
}

// ipv4Payload is the upper layer header; nil in a fragment other than the first.
func ipv4Payload(p []byte) []byte {
	const fragmentOffset = 0x1fff
	header := int(p[0]&0xf) * 4
	if header < ipv4HeaderLen || header > len(p) || binary.BigEndian.Uint16(p[6:])&fragmentOffset != 0 {
		return nil
	}
	return p[header:]
}

// ipv6Payload walks the extension headers to the upper layer (RFC 8200 §4). A
// chain that is too long or cut off ends with the header it ended at, which no
// selector of a transport protocol covers.
func ipv6Payload(p []byte) (protocol uint8, payload []byte) {
	const fragmentOffset = 0xfff8
	protocol, payload = p[6], p[ipv6HeaderLen:]
	for range maxExtensionHeaders {
		length := 8
		switch protocol {
		case ipv6HopByHop, ipv6Routing, ipv6Destination:
			if len(payload) < length {
				return protocol, nil
			}
			length += int(payload[1]) * 8
		case ipv6Fragment:
			if len(payload) < length {
				return protocol, nil
			}
			if binary.BigEndian.Uint16(payload[2:])&fragmentOffset != 0 {
				return payload[0], nil
			}
		default:
			return protocol, payload
		}
		if len(payload) < length {
			return protocol, nil
		}
		protocol, payload = payload[0], payload[length:]
	}
	return protocol, nil
}

func (f *flow) readPorts(payload []byte) {
	switch f.protocol {
	case protocolTCP, protocolUDP, protocolDCCP, protocolSCTP:
		if len(payload) >= 4 {
			f.sourcePort = int(binary.BigEndian.Uint16(payload))
			f.destinationPort = int(binary.BigEndian.Uint16(payload[2:]))
		}
	case protocolICMP, protocolICMPv6:
		// Type and code stand for the port at both ends (RFC 7296 §3.13.1).
		if len(payload) >= 2 {
			f.sourcePort = int(binary.BigEndian.Uint16(payload))
			f.destinationPort = f.sourcePort
		}
	}
}
