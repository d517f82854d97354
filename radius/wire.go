package radius

import (
	"io"

	codec "layeh.com/radius"

	"bridgehead/auth"
)

// ErrUnsigned tells that a packet has no Message-Authenticator where one is
// needed.
var ErrUnsigned = errUnsigned

// Whole gives the packet that a datagram begins with, and its attributes:
// octets beyond the length field are padding (RFC 2865 §3).
func Whole(b []byte) (packet []byte, attrs codec.Attributes, err error) { return whole(b) }

// VerifyMessageAuthenticator checks the Message-Authenticator of a packet,
// made with the given authenticator in its header (RFC 3579 §3.2, RFC 5176
// §3.4). unsigned lets a packet without EAP do without one.
func VerifyMessageAuthenticator(packet []byte, attrs codec.Attributes, authenticator []byte, secret auth.Secret, unsigned bool) error {
	return verifyMAC(packet, attrs, authenticator, secret, unsigned)
}

// SignFirst fills in the Message-Authenticator that is the first attribute of
// packet, with the given authenticator in its header.
func SignFirst(packet, authenticator []byte, secret auth.Secret) {
	const at = headerLen + 2
	copy(packet[at:headerLen+macLen], messageAuthenticator(packet, authenticator, at, secret))
}

// ReadFrame reads one packet of a stream into buf (RFC 6613 §2.6). After an
// error nobody knows where the next one would begin.
func ReadFrame(r io.Reader, buf []byte) (int, error) { return readFrame(r, buf) }

// FillGrant puts what attributes give into g. The error names the attribute
// that has no sense.
func FillGrant(g *auth.Grant, attrs codec.Attributes) error { return fill(g, attrs) }

// VendorTypes lists the vendor's types inside a Vendor-Specific.
func VendorTypes(b codec.Attribute) (vendor uint32, types []codec.Type, err error) {
	list, err := vendorAttributes(b)
	for _, v := range list {
		vendor, types = v.vendor, append(types, codec.Type(v.kind))
	}
	return vendor, types, err
}
