package esp

import "encoding/binary"

// Inbound opens the packets of one receiving SA. Its methods may be called from
// several goroutines at once.
type Inbound struct {
	spi       uint32
	esn       bool
	geometry  geometry
	transform transform
	window    window
}

// NewInbound prepares sa for receiving. The error is a *SuiteError.
func NewInbound(sa SA) (*Inbound, error) {
	t, g, err := newTransform(sa, false)
	if err != nil {
		return nil, err
	}
	return &Inbound{spi: sa.SPI, esn: sa.Suite.ESN, geometry: g, transform: t}, nil
}

// Open checks and decrypts packet, from the ESP header to the end of the ICV,
// and gives the inner IP packet, which lies within packet, and its next header,
// 4 or 41. Traffic flow confidentiality padding is cut off (RFC 4303 §2.7).
//
// The replay window is consulted before the ICV is computed and moved only
// after it has matched. The errors are those listed with ErrShort; whatever the
// error, packet's content is no longer defined.
func (in *Inbound) Open(packet []byte) (inner []byte, nextHeader uint8, err error) {
	g := in.geometry
	header, icv := g.header(), int(g.icv)
	sealed := len(packet) - header - icv
	switch {
	case sealed < trailerLen:
		return nil, 0, ErrShort
	case sealed%int(g.align) != 0:
		return nil, 0, ErrAlignment
	case binary.BigEndian.Uint32(packet) != in.spi:
		return nil, 0, ErrSPI
	}
	seq := in.sequence(packet)
	if err := in.window.check(seq); err != nil {
		return nil, 0, err
	}
	if err := in.transform.open(packet, seq); err != nil {
		return nil, 0, err
	}
	if err := in.window.commit(seq); err != nil {
		return nil, 0, err
	}
	return unwrap(packet[header : header+sealed])
}

func (in *Inbound) sequence(packet []byte) uint64 {
	low := binary.BigEndian.Uint32(packet[4:])
	if in.esn {
		return in.window.infer(low)
	}
	return uint64(low)
}

// unwrap takes the trailer off an authentic payload: padding must count 1, 2, 3
// and so on (RFC 4303 §2.4), and an IP packet must be there.
func unwrap(payload []byte) ([]byte, uint8, error) {
	end := len(payload) - trailerLen
	pad, nextHeader := int(payload[end]), payload[end+1]
	if pad > end {
		return nil, 0, ErrPadding
	}
	for i, b := range payload[end-pad : end] {
		if int(b) != i+1 {
			return nil, 0, ErrPadding
		}
	}
	payload = payload[:end-pad]
	switch nextHeader {
	case nextHeaderIPv4, nextHeaderIPv6:
		n := packetLen(payload, nextHeader)
		if n == 0 || n > len(payload) {
			return nil, 0, ErrInnerPacket
		}
		return payload[:n:n], nextHeader, nil
	case nextHeaderNone:
		return nil, 0, ErrDummy
	}
	return nil, 0, ErrNextHeader
}

// packetLen is the length that an IP packet of the announced version declares,
// or 0 if its fixed header is not there.
func packetLen(p []byte, nextHeader uint8) int {
	switch {
	case nextHeader == nextHeaderIPv4 && len(p) >= ipv4HeaderLen && p[0]>>4 == 4:
		if n := int(binary.BigEndian.Uint16(p[2:])); n >= ipv4HeaderLen {
			return n
		}
	case nextHeader == nextHeaderIPv6 && len(p) >= ipv6HeaderLen && p[0]>>4 == 6:
		return ipv6HeaderLen + int(binary.BigEndian.Uint16(p[4:]))
	}
	return 0
}
