package suite

import (
	"encoding/hex"
	"io"
	"sync"

	"filippo.io/bigmod"
)

// modp is Diffie-Hellman over the integers modulo a safe prime.
//
// The private exponents are short: at least twice the security strength that
// RFC 3526 §8 estimates first for the prime, and no shorter than RFC 7919
// §5.2 has them for primes of the same size.
type modp struct {
	group    Group
	prime    string // in hexadecimal
	exponent int    // octets of the private exponent

	modulus func() *bigmod.Modulus // made at the first use, as is its table
	powers  func() *fixedBase
}

const generator = 2

var modpGroups = func() map[Group]*modp {
	groups := map[Group]*modp{}
	for _, m := range []modp{
		{group: MODP1024, prime: prime1024, exponent: 256 / 8},
		{group: MODP1536, prime: prime1536, exponent: 256 / 8},
		{group: MODP2048, prime: prime2048, exponent: 256 / 8},
		{group: MODP3072, prime: prime3072, exponent: 288 / 8},
		{group: MODP4096, prime: prime4096, exponent: 336 / 8},
		{group: MODP6144, prime: prime6144, exponent: 384 / 8},
		{group: MODP8192, prime: prime8192, exponent: 416 / 8},
	} {
		m.modulus = sync.OnceValue(func() *bigmod.Modulus { return newModulus(m.prime) })
		m.powers = sync.OnceValue(func() *fixedBase { return newFixedBase(generator, m.modulus(), m.exponent) })
		groups[m.group] = &m
	}
	return groups
}()

func newModulus(prime string) *bigmod.Modulus {
	p, err := hex.DecodeString(prime)
	if err != nil {
		panic("suite: prime constant: " + err.Error())
	}
	modulus, err := bigmod.NewModulus(p)
	if err != nil {
		panic("suite: prime constant: " + err.Error())
	}
	return modulus
}

func (m *modp) publicLen() int { return len(m.prime) / 2 }

func (m *modp) generate(rand io.Reader) (KeyPair, error) {
	x := make(Secret, m.exponent)
	if _, err := io.ReadFull(rand, x); err != nil {
		return nil, err
	}
	x[0] |= 0x80 // a full-length exponent, never 0 or 1
	return &modpKey{m, x, m.powers().pow(x).Bytes(m.modulus())}, nil
}

type modpKey struct {
	modp     *modp
	exponent Secret
	public   []byte
}

func (k *modpKey) Public() []byte { return k.public }

// Shared requires 1 < y < p-1 (RFC 6989 §2.1), all that a safe prime needs.
func (k *modpKey) Shared(peer []byte) (Secret, error) {
	if err := checkLen(k.modp.group, peer, k.modp.publicLen()); err != nil {
		return nil, err
	}
	modulus := k.modp.modulus()
	y, err := bigmod.NewNat().SetBytes(peer, modulus)
	if err != nil {
		return nil, &PublicValueError{k.modp.group, "not below the prime"}
	}
	if y.IsZero()|y.IsOne()|y.IsMinusOne(modulus) != 0 {
		return nil, &PublicValueError{k.modp.group, "0, 1 or the prime less 1"}
	}
	return bigmod.NewNat().Exp(y, k.exponent, modulus).Bytes(modulus), nil
}
