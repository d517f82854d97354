package dhcp

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// The fixed part of a message (RFC 2131 §2, figure 1) and its fields' offsets.
const (
	headerLen = 240 // the magic cookie included

	offOp, offHType, offHLen = 0, 1, 2
	offXID                   = 4
	offFlags                 = 10
	offCIAddr                = 12
	offGIAddr                = 24
	offCHAddr                = 28
	offCookie                = 236

	chaddrLen   = 16
	magicCookie = 0x63825363

	bootRequest, bootReply = 1, 2

	// minLen is that of a BOOTP message (RFC 1542 §2.1); clients drop shorter
	// ones.
	minLen = 300
)

// option is the code of a DHCP option (RFC 2132, unless another is named).
type option uint8

const (
	optPad           option = 0
	optSubnetMask    option = 1
	optDNS           option = 6
	optDomainName    option = 15
	optMessageType   option = 53
	optServerID      option = 54
	optParameterList option = 55
	optMaxSize       option = 57
	optVendorClass   option = 60
	optSearchList    option = 119 // RFC 3397
	optRoutes        option = 121 // RFC 3442
	optRoutesMS      option = 249 // [MS-DHCPE] 2.2.8
	optEnd           option = 255
)

// maxOption is the longest value of one option.
const maxOption = 255

// messageType is the value of optMessageType.
type messageType uint8

const (
	typeAck    messageType = 5
	typeInform messageType = 8
)

var errMalformed = errors.New("dhcp: not a DHCP request, or cut off")

// request is what counts of a client's message. Its slices lie in the packet.
type request struct {
	kind        messageType // 0: a BOOTP message
	header      []byte      // the fixed part
	client      netip.Addr  // ciaddr; not proven
	relayed     bool        // through a relay agent
	parameters  []byte      // codes of the options asked for; nil if it does not say
	vendorClass []byte
	maxSize     int // of an IP packet that it takes; 0 if it does not say
}

// parseRequest reads a message that a client sends. Of an option that comes
// twice the first counts; unknown ones are passed over.
func parseRequest(b []byte) (request, error) {
	if len(b) < headerLen || b[offOp] != bootRequest || b[offHLen] > chaddrLen ||
		binary.BigEndian.Uint32(b[offCookie:]) != magicCookie {
		return request{}, errMalformed
	}
	r := request{
		header:  b[:headerLen],
		client:  netip.AddrFrom4([4]byte(b[offCIAddr:])),
		relayed: binary.BigEndian.Uint32(b[offGIAddr:]) != 0,
	}
	for rest := b[headerLen:]; len(rest) > 0 && option(rest[0]) != optEnd; {
		if option(rest[0]) == optPad {
			rest = rest[1:]
			continue
		}
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return request{}, errMalformed
		}
		if !r.take(option(rest[0]), rest[2:2+int(rest[1])]) {
			return request{}, errMalformed
		}
		rest = rest[2+int(rest[1]):]
	}
	return r, nil
}

// take notes an option; ok is false if its length is wrong.
func (r *request) take(code option, value []byte) (ok bool) {
	switch code {
	case optMessageType:
		if len(value) != 1 {
			return false
		}
		if r.kind == 0 {
			r.kind = messageType(value[0])
		}
	case optMaxSize:
		if len(value) != 2 {
			return false
		}
		if r.maxSize == 0 {
			r.maxSize = int(binary.BigEndian.Uint16(value))
		}
	case optParameterList:
		if r.parameters == nil {
			r.parameters = value
		}
	case optVendorClass:
		if r.vendorClass == nil {
			r.vendorClass = value
		}
	}
	return true
}

// appendAck appends the fixed part of the answer to r, which assigns nothing:
// yiaddr and siaddr stay zero (RFC 2131 §4.3.5, table 3).
func (r *request) appendAck(dst []byte) []byte {
	off := len(dst)
	dst = append(dst, make([]byte, headerLen)...)
	m := dst[off:]
	m[offOp], m[offHType], m[offHLen] = bootReply, r.header[offHType], r.header[offHLen]
	copy(m[offXID:], r.header[offXID:offXID+4])
	copy(m[offFlags:], r.header[offFlags:offFlags+2])
	copy(m[offCIAddr:], r.header[offCIAddr:offCIAddr+4])
	copy(m[offCHAddr:], r.header[offCHAddr:offCHAddr+chaddrLen])
	binary.BigEndian.PutUint32(m[offCookie:], magicCookie)
	return dst
}

// appendOption appends an option. value is at most maxOption octets.
func appendOption(dst []byte, code option, value ...byte) []byte {
	return append(append(dst, byte(code), byte(len(value))), value...)
}

// routeLen is the length of a route within options 121 and 249.
func routeLen(p netip.Prefix) int { return 1 + (p.Bits()+7)/8 + 4 }

// appendRoute appends the prefix's length, as many octets of it as count, and
// the router: none, for there is nothing between the two ends of a tunnel
// (RFC 3442, "local subnet routes"). Windows looks only at the destination.
func appendRoute(dst []byte, p netip.Prefix) []byte {
	a := p.Masked().Addr().As4()
	dst = append(dst, byte(p.Bits()))
	dst = append(dst, a[:(p.Bits()+7)/8]...)
	return append(dst, 0, 0, 0, 0)
}

// appendName appends a domain name as DNS writes it, without compression, which
// RFC 3397 §2 allows but does not ask for. A name that DNS cannot write is left
// out.
func appendName(dst []byte, name string) []byte {
	const maxLabel, maxName = 63, 255
	off, label := len(dst), len(dst)
	dst = append(dst, 0)
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '.' {
			dst = append(dst, name[i])
			continue
		}
		n := len(dst) - label - 1
		if n == 0 && i == len(name) && len(name) > 0 { // a dot at the end
			break
		}
		if n == 0 || n > maxLabel {
			return dst[:off]
		}
		dst[label] = byte(n)
		label = len(dst)
		dst = append(dst, 0)
	}
	if len(dst)-off > maxName {
		return dst[:off]
	}
	return dst
}
