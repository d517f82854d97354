package pki

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// isDER tells whether content begins as an ASN.1 SEQUENCE that fits into it.
func isDER(content []byte) bool { return firstElement(content) != nil }

// firstElement is the SEQUENCE that content begins with, header included.
func firstElement(content []byte) []byte {
	s := cryptobyte.String(content)
	var element cryptobyte.String
	if !s.ReadASN1Element(&element, asn1.SEQUENCE) {
		return nil
	}
	return element
}

// isPKCS12 tells whether content is a PFX: a SEQUENCE that begins with the
// version, 3 (RFC 7292 §4).
func isPKCS12(content []byte) bool {
	s := cryptobyte.String(content)
	var pfx cryptobyte.String
	var version int
	return s.ReadASN1(&pfx, asn1.SEQUENCE) && pfx.ReadASN1Integer(&version) && version == 3
}
