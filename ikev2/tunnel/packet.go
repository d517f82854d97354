package tunnel

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipv4HeaderLen = 20
	ipv6HeaderLen = 40
	tcpHeaderLen  = 20

	nextHeaderIPv4 = 4  // IPv4 in a tunnel, RFC 4303 §2.6
	nextHeaderIPv6 = 41 // IPv6 in a tunnel

	protocolICMP   = 1
	protocolTCP    = 6
	protocolICMPv6 = 58

	flagDontFragment = 0x4000
	fragmentOffset   = 0x1fff
)

// packet is what the tunnel needs to know of an inner packet.
type packet struct {
	data     []byte // of exactly the length that the header declares
	v6       bool
	protocol uint8 // of the fixed header; extension headers are not walked
	payload  int   // where the header ends
	fragment bool  // not the first fragment
	dontFrag bool  // routers must not fragment it: IPv6, or IPv4 with DF
}

// parsePacket reads an IP header. ok is false unless b is a whole IP packet;
// octets behind its end are cut off.
func parsePacket(b []byte) (p packet, ok bool) {
	if len(b) < ipv4HeaderLen {
		return packet{}, false
	}
	switch b[0] >> 4 {
	case 4:
		header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if header < ipv4HeaderLen || total < header || total > len(b) {
			return packet{}, false
		}
		flags := binary.BigEndian.Uint16(b[6:])
		return packet{
			data: b[:total], protocol: b[9], payload: header,
			fragment: flags&fragmentOffset != 0, dontFrag: flags&flagDontFragment != 0,
		}, true
	case 6:
		if len(b) < ipv6HeaderLen {
			return packet{}, false
		}
		total := ipv6HeaderLen + int(binary.BigEndian.Uint16(b[4:]))
		if total > len(b) {
			return packet{}, false
		}
		return packet{data: b[:total], v6: true, protocol: b[6], payload: ipv6HeaderLen, dontFrag: true}, true
	}
	return packet{}, false
}

func (p *packet) nextHeader() uint8 {
	if p.v6 {
		return nextHeaderIPv6
	}
	return nextHeaderIPv4
}

func (p *packet) source() netip.Addr {
	if p.v6 {
		return netip.AddrFrom16([16]byte(p.data[8:24]))
	}
	return netip.AddrFrom4([4]byte(p.data[12:16]))
}

// destination is the key under which routes are found.
func (p *packet) destination() addrKey {
	if p.v6 {
		return keyFrom16(p.data[24:])
	}
	return keyFrom4(p.data[16:])
}

// addrKey is an IP address as a number, IPv4 in its IPv4-mapped form (RFC 4291
// §2.5.5.2), which no IPv6 packet may carry.
type addrKey struct{ high, low uint64 }

const mappedPrefix = 0xffff << 32

func keyFrom4(b []byte) addrKey {
	return addrKey{low: mappedPrefix | uint64(binary.BigEndian.Uint32(b))}
}

func keyFrom16(b []byte) addrKey {
	return addrKey{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func keyOf(a netip.Addr) addrKey {
	b := a.As16()
	return keyFrom16(b[:])
}

// addr is the address again.
func (a addrKey) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], a.high)
	binary.BigEndian.PutUint64(b[8:], a.low)
	return netip.AddrFrom16(b).Unmap()
}

func (a addrKey) less(b addrKey) bool {
	return a.high < b.high || a.high == b.high && a.low < b.low
}

// ecn is the packet's ECN field (RFC 3168 §5).
func (p *packet) ecn() uint8 {
	if p.v6 {
		return p.data[1] >> 4 & 3
	}
	return p.data[1] & 3
}

// Values of the ECN field.
const (
	notECT = 0
	ect1   = 1
	ect0   = 2
	ce     = 3
)

// decapsulateECN brings the outer header's mark into the packet (RFC 6040
// §4.2). ok is false for a packet that must be dropped: congestion was met and
// its sender would not understand the mark.
func (p *packet) decapsulateECN(outer uint8) (ok bool) {
	inner := p.ecn()
	switch {
	case outer == ce && inner == notECT:
		return false
	case outer == ce && inner != ce, outer == ect1 && inner == ect0:
		p.setECN(outer)
	}
	return true
}

func (p *packet) setECN(v uint8) {
	if p.v6 {
		p.data[1] = p.data[1]&^0x30 | v<<4
		return
	}
	was := binary.BigEndian.Uint16(p.data)
	p.data[1] = p.data[1]&^3 | v
	replaceSum(p.data[10:12], was, binary.BigEndian.Uint16(p.data))
}

// replaceSum corrects the checksum sum for one 16-bit word that changed (RFC
// 1624 §3).
func replaceSum(sum []byte, was, is uint16) {
	n := uint32(^binary.BigEndian.Uint16(sum)) + uint32(^was) + uint32(is)
	n = n&0xffff + n>>16
	n = n&0xffff + n>>16
	binary.BigEndian.PutUint16(sum, ^uint16(n))
}

// clampMSS lowers the MSS that a TCP SYN announces to what fits in mtu, headers
// without options (RFC 9293 §3.7.1). It returns whether it changed the packet.
func (p *packet) clampMSS(mtu int) bool {
	const (
		flagSYN            = 2
		optionEnd          = 0
		optionNop          = 1
		optionMSS, mssSize = 2, 4
	)
	if p.protocol != protocolTCP || p.fragment || len(p.data) < p.payload+tcpHeaderLen {
		return false
	}
	tcp := p.data[p.payload:]
	header := int(tcp[12]>>4) * 4
	if tcp[13]&flagSYN == 0 || header < tcpHeaderLen || header > len(tcp) {
		return false
	}
	limit := uint16(max(mtu-p.payloadOverhead(), 0))
	for i := tcpHeaderLen; i < header; {
		switch tcp[i] {
		case optionEnd:
			return false
		case optionNop:
			i++
			continue
		}
		if i+1 >= header || tcp[i+1] < 2 || i+int(tcp[i+1]) > header {
			return false
		}
		if tcp[i] == optionMSS && tcp[i+1] == mssSize {
			return lowerMSS(tcp, i+2, limit)
		}
		i += int(tcp[i+1])
	}
	return false
}

// payloadOverhead is what the least IP and TCP headers take of the MTU.
func (p *packet) payloadOverhead() int {
	if p.v6 {
		return ipv6HeaderLen + tcpHeaderLen
	}
	return ipv4HeaderLen + tcpHeaderLen
}

// lowerMSS writes limit at offset at of the TCP header unless less stands there.
func lowerMSS(tcp []byte, at int, limit uint16) bool {
	mss := binary.BigEndian.Uint16(tcp[at:])
	if mss <= limit {
		return false
	}
	binary.BigEndian.PutUint16(tcp[at:], limit)
	was, is := mss, limit
	if at%2 != 0 {
		// The sum is over words aligned to the header; a word that straddles
		// two counts as its octets swapped (RFC 1071 §2 B).
		was, is = was<<8|was>>8, is<<8|is>>8
	}
	replaceSum(tcp[16:18], was, is)
	return true
}
