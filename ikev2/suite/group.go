package suite

import (
	"fmt"
	"io"

	"bridgehead/ikev2/message"
)

// Group is a key exchange method (transform type 4).
type Group uint16

// KeyPair is an ephemeral key of one key exchange.
type KeyPair interface {
	// Public is the key exchange data of the KE payload.
	Public() []byte
	// Shared computes the shared secret with the peer's key exchange data,
	// which it validates: the error is a *PublicValueError.
	Shared(peer []byte) (Secret, error)
}

// PublicValueError reports key exchange data of the peer that is no valid
// public value of the group (RFC 6989).
type PublicValueError struct {
	Group  Group
	Reason string
}

func (e *PublicValueError) Error() string {
	return fmt.Sprintf("ikev2: key exchange data for group %s refused: %s", e.Group, e.Reason)
}

// exchange is one way of key exchange.
type exchange interface {
	generate(rand io.Reader) (KeyPair, error)
	publicLen() int
}

func (g Group) exchange() (exchange, bool) {
	if m, ok := modpGroups[g]; ok {
		return m, true
	}
	if c, ok := curves[g]; ok {
		return c, true
	}
	return nil, false
}

// Generate makes an ephemeral key from rand. The error is rand's, or an
// *UnsupportedError.
func (g Group) Generate(rand io.Reader) (KeyPair, error) {
	e, ok := g.exchange()
	if !ok {
		return nil, &UnsupportedError{message.Transform{Type: message.TransformKE, ID: uint16(g)}}
	}
	k, err := e.generate(rand)
	if err != nil {
		return nil, fmt.Errorf("suite: key for group %s: %w", g, err)
	}
	return k, nil
}

// PublicLen is the length of the group's key exchange data in octets; 0 for a
// group that is not implemented.
func (g Group) PublicLen() int {
	e, ok := g.exchange()
	if !ok {
		return 0
	}
	return e.publicLen()
}

// weak reports whether the group is below modp2048, that is, below 112 bits
// of security (RFC 8247 §2.4).
func (g Group) weak() bool { return g == MODP1024 || g == MODP1536 }

// dear reports whether the exchange costs the gateway more than to have the
// client repeat its first message with another group.
func (g Group) dear() bool { return MODP3072 <= g && g <= MODP8192 }

// String is the group in strongSwan's notation.
func (g Group) String() string {
	return name(message.Transform{Type: message.TransformKE, ID: uint16(g)})
}

// checkLen refuses key exchange data that has not exactly the group's length
// (RFC 7296 §3.4, RFC 5903 §7, RFC 8031 §3.1).
func checkLen(g Group, peer []byte, want int) error {
	if len(peer) != want {
		return &PublicValueError{g, fmt.Sprintf("%d octets, expected %d", len(peer), want)}
	}
	return nil
}
