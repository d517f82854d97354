//go:build vectors

package vectors

import (
	"math/big"
	"strings"
	"testing"

	"bridgehead/ikev2/suite"
)

// checkMODP compares the suite's exponentiation with math/big over a prime
// that is computed here.
func checkMODP(t *testing.T, g suite.Group, private, public, peer, shared []byte) {
	t.Helper()
	power := func(base, exponent []byte) []byte { return modpPower(t, base, exponent, len(public)) }
	sameOctets(t, "public value", power([]byte{2}, private), public)
	sameOctets(t, "shared secret", power(peer, private), shared)
	if g.PublicLen() == 0 {
		return
	}
	own, err := g.Generate(strings.NewReader(strings.Repeat("bridgehead", 80)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := own.Shared(public)
	if err != nil {
		t.Fatal(err)
	}
	sameOctets(t, g.String()+": secret shared with the vector's owner", got, power(own.Public(), private))
}

// modpPower is base^exponent modulo the prime of so many octets.
func modpPower(t *testing.T, base, exponent []byte, octets int) []byte {
	t.Helper()
	n := new(big.Int).Exp(new(big.Int).SetBytes(base), new(big.Int).SetBytes(exponent), modpPrime(t, octets*8))
	return n.FillBytes(make([]byte, octets))
}

// modpPrime is 2^n - 2^(n-64) - 1 + 2^64·([2^(n-130)·π] + c), with the c of
// RFC 2409 §6 and RFC 3526.
func modpPrime(t *testing.T, n int) *big.Int {
	t.Helper()
	c, ok := map[int]int64{768: 149686, 1024: 129093, 1536: 741804, 2048: 124476, 3072: 1690314, 4096: 240904, 6144: 929484, 8192: 4743158}[n]
	if !ok {
		t.Fatalf("no MODP prime of %d bits", n)
	}
	one := big.NewInt(1)
	shift := func(bits int) *big.Int { return new(big.Int).Lsh(one, uint(bits)) }
	p := new(big.Int).Add(scaledPi(n-130), big.NewInt(c))
	p.Lsh(p, 64)
	p.Add(p, shift(n))
	p.Sub(p, shift(n-64))
	return p.Sub(p, one)
}

// scaledPi is [2^n·π], by Machin's formula π = 16·arctan(1/5) - 4·arctan(1/239).
func scaledPi(n int) *big.Int {
	const guard = 64
	unit := new(big.Int).Lsh(big.NewInt(1), uint(n+guard))
	arctan := func(x int64) *big.Int {
		sum, power, square := new(big.Int), new(big.Int).Div(unit, big.NewInt(x)), big.NewInt(x*x)
		for k := int64(1); power.Sign() != 0; k += 2 {
			term := new(big.Int).Div(power, big.NewInt(k))
			if k%4 == 1 {
				sum.Add(sum, term)
			} else {
				sum.Sub(sum, term)
			}
			power.Div(power, square)
		}
		return sum
	}
	pi := new(big.Int).Mul(arctan(5), big.NewInt(16))
	pi.Sub(pi, new(big.Int).Mul(arctan(239), big.NewInt(4)))
	return pi.Rsh(pi, guard)
}
