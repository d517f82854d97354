package suite

import (
	"crypto/ecdh"
	"errors"
	"io"
)

// curve is key exchange over an elliptic curve: the NIST curves as RFC 5903
// encodes them, Curve25519 as RFC 8031 does.
type curve struct {
	group      Group
	ecdh       ecdh.Curve
	scalar     int  // length of the private key in octets
	topMask    byte // of the private key's first octet: what the order leaves
	montgomery bool
}

var curves = map[Group]*curve{
	ECP256: {group: ECP256, ecdh: ecdh.P256(), scalar: 32, topMask: 0xff},
	ECP384: {group: ECP384, ecdh: ecdh.P384(), scalar: 48, topMask: 0xff},
	ECP521: {group: ECP521, ecdh: ecdh.P521(), scalar: 66, topMask: 0x01},
	X25519: {group: X25519, ecdh: ecdh.X25519(), scalar: 32, topMask: 0xff, montgomery: true},
}

// publicLen counts x and y for a NIST curve, x for Curve25519.
func (c *curve) publicLen() int {
	if c.montgomery {
		return c.scalar
	}
	return 2 * c.scalar
}

// maxScalarTries bounds the search for a scalar below the order. A single try
// fails with less than 2^-32 on these curves; only a broken rand needs more.
const maxScalarTries = 8

var errScalar = errors.New("random octets give no private key")

// generate draws the scalar itself: crypto/ecdh.GenerateKey ignores its rand.
func (c *curve) generate(rand io.Reader) (KeyPair, error) {
	scalar := make([]byte, c.scalar)
	defer clear(scalar)
	for range maxScalarTries {
		if _, err := io.ReadFull(rand, scalar); err != nil {
			return nil, err
		}
		scalar[0] &= c.topMask
		if key, err := c.ecdh.NewPrivateKey(scalar); err == nil {
			return &curveKey{c, key}, nil
		}
	}
	return nil, errScalar
}

type curveKey struct {
	curve *curve
	key   *ecdh.PrivateKey
}

// uncompressedPoint begins a point's encoding in SEC 1; IKEv2 leaves it out.
const uncompressedPoint = 4

func (k *curveKey) Public() []byte {
	encoded := k.key.PublicKey().Bytes()
	if k.curve.montgomery {
		return encoded
	}
	return encoded[1:]
}

// Shared is the x coordinate (RFC 5903 §7). crypto/ecdh refuses points off
// the curve and, for Curve25519, the shared secret of zeros that a point of
// small order gives (RFC 8031 §3.2).
func (k *curveKey) Shared(peer []byte) (Secret, error) {
	c := k.curve
	if err := checkLen(c.group, peer, c.publicLen()); err != nil {
		return nil, err
	}
	if !c.montgomery {
		peer = append([]byte{uncompressedPoint}, peer...)
	}
	public, err := c.ecdh.NewPublicKey(peer)
	if err != nil {
		return nil, &PublicValueError{c.group, "not a point of the curve"}
	}
	shared, err := k.key.ECDH(public)
	if err != nil {
		return nil, &PublicValueError{c.group, "the shared secret is zero"}
	}
	return shared, nil
}
