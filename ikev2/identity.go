package ikev2

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"bridgehead/ikev2/message"
)

// identity is one of the gateway's certificates made ready: its payloads are
// built once.
type identity struct {
	Certificate
	certs   []message.Payload // leaf first, without the root
	rsa     bool
	subject message.ID // IDr when the client asks for no name we have
}

func newIdentity(c Certificate) (*identity, error) {
	leaf := c.Chain[0]
	if pub, ok := leaf.PublicKey.(interface {
		Equal(crypto.PublicKey) bool
	}); ok && !pub.Equal(c.Key.Public()) {
		return nil, fmt.Errorf("ikev2: the key does not belong to the certificate %q; give the key that was made with it", leaf.Subject)
	}
	id := &identity{Certificate: c}
	_, id.rsa = leaf.PublicKey.(*rsa.PublicKey)
	for i, cert := range c.Chain {
		// The client has the root or it has no trust in it (RFC 7296 §3.6).
		if i > 0 && bytes.Equal(cert.RawIssuer, cert.RawSubject) {
			continue
		}
		id.certs = append(id.certs, &message.Cert{Encoding: message.CertX509Signature, Data: cert.Raw})
	}
	id.subject = message.ID{Responder: true, Kind: message.IDDERASN1DN, Data: leaf.RawSubject}
	if c.Identity != nil {
		id.subject = message.ID{Responder: true, Kind: c.Identity.Kind, Data: c.Identity.Data}
	}
	return id, nil
}

// has tells whether the certificate carries the name a client asks for, type
// and value. An address may also stand as a DNS name, since Windows wants it
// there.
func (id *identity) has(asked *message.ID) bool {
	leaf := id.Chain[0]
	switch asked.Kind {
	case message.IDFQDN:
		return slices.ContainsFunc(leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, string(asked.Data)) })
	case message.IDRFC822Addr:
		return slices.Contains(leaf.EmailAddresses, string(asked.Data))
	case message.IDIPv4Addr, message.IDIPv6Addr:
		a, ok := asked.Addr()
		return ok && (slices.Contains(leaf.DNSNames, a.String()) ||
			slices.ContainsFunc(leaf.IPAddresses, func(ip net.IP) bool {
				b, ok := netip.AddrFromSlice(ip)
				return ok && b.Unmap() == a
			}))
	case message.IDDERASN1DN:
		return bytes.Equal(asked.Data, leaf.RawSubject)
	}
	return false
}

// names are those the certificate carries, for evidence.
func (id *identity) names() string {
	leaf := id.Chain[0]
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	names = append(names, leaf.EmailAddresses...)
	return strings.Join(append(names, leaf.Subject.String()), ", ")
}

// chooseIdentity picks the certificate for a client and the IDr that goes
// with it. A certificate with the name asked goes first; among those, one of
// a kind of key the client can verify. A name asked is echoed in type and
// value, as Android insists.
func (s *settings) chooseIdentity(asked *message.ID, rsaOnly bool) (*identity, *message.ID) {
	rank := func(id *identity) int {
		r := 0
		if asked == nil || !id.has(asked) {
			r += 2
		}
		if id.rsa != rsaOnly {
			r++
		}
		return r
	}
	best := slices.MinFunc(s.certificates, func(a, b *identity) int { return rank(a) - rank(b) })
	if asked != nil && best.has(asked) {
		return best, &message.ID{Responder: true, Kind: asked.Kind, Data: asked.Data}
	}
	return best, &best.subject
}
