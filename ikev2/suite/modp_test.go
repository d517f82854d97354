package suite

import (
	"bytes"
	"errors"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// piFloor is the integer part of 2^bits·π, by Machin's formula.
func piFloor(bits uint) *big.Int {
	const guard = 64
	arctan := func(x int64) *big.Int { // 2^(bits+guard)·arctan(1/x)
		square := big.NewInt(x * x)
		power := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), bits+guard), big.NewInt(x))
		sum := new(big.Int)
		for n := int64(1); power.Sign() > 0; n += 2 {
			term := new(big.Int).Div(power, big.NewInt(n))
			if n%4 == 1 {
				sum.Add(sum, term)
			} else {
				sum.Sub(sum, term)
			}
			power.Div(power, square)
		}
		return sum
	}
	pi := new(big.Int).Mul(big.NewInt(4), arctan(5))
	pi.Sub(pi, arctan(239)).Mul(pi, big.NewInt(4))
	return pi.Rsh(pi, guard)
}

func TestPrimesFollowTheirFormula(t *testing.T) {
	for _, c := range []struct {
		group Group
		bits  uint
		k     int64
	}{
		{MODP1024, 1024, 129093}, // RFC 7296 appendix B.2
		{MODP1536, 1536, 741804}, // RFC 3526 §2 and on
		{MODP2048, 2048, 124476},
		{MODP3072, 3072, 1690314},
		{MODP4096, 4096, 240904},
		{MODP6144, 6144, 929484},
		{MODP8192, 8192, 4743158},
	} {
		// 2^n - 2^(n-64) - 1 + 2^64·([2^(n-130)·π] + k)
		want := new(big.Int).Lsh(new(big.Int).Add(piFloor(c.bits-130), big.NewInt(c.k)), 64)
		want.Add(want, new(big.Int).Lsh(big.NewInt(1), c.bits))
		want.Sub(want, new(big.Int).Lsh(big.NewInt(1), c.bits-64))
		want.Sub(want, big.NewInt(1))
		got, ok := new(big.Int).SetString(modpGroups[c.group].prime, 16)
		if !ok || got.Cmp(want) != 0 {
			t.Errorf("%s: the prime is not that of the RFC", c.group)
		}
	}
}

func TestModularExponentiationAgreesWithMathBig(t *testing.T) {
	for g, m := range modpGroups {
		p, _ := new(big.Int).SetString(m.prime, 16)
		agree := func(t rapid.TB, random, peer []byte) {
			t.Helper()
			key, err := g.Generate(bytes.NewReader(random))
			if err != nil {
				t.Fatal(err)
			}
			x := new(big.Int).SetBytes(random)
			x.SetBit(x, 8*m.exponent-1, 1)
			public := new(big.Int).Exp(big.NewInt(2), x, p).FillBytes(make([]byte, m.publicLen()))
			if !bytes.Equal(key.Public(), public) {
				t.Fatalf("%s: public value %x, want %x", g, key.Public(), public)
			}
			y := new(big.Int).SetBytes(peer)
			want := y.Exp(y, x, p).FillBytes(make([]byte, m.publicLen()))
			if shared, err := key.Shared(peer); err != nil || !bytes.Equal(shared, want) {
				t.Fatalf("%s: shared secret %x, %v, want %x", g, []byte(shared), err, want)
			}
		}
		agree(t, bytes.Repeat([]byte{0xa5, 0x3c, 0x00}, m.exponent)[:m.exponent], bytes.Repeat([]byte{0x5a, 0x01}, m.publicLen()/2))
		if g != MODP1024 && g != MODP2048 {
			continue // the same code, only slower
		}
		rapid.Check(t, func(t *rapid.T) {
			random := rapid.SliceOfN(rapid.Byte(), m.exponent, m.exponent).Draw(t, "exponent")
			peer := rapid.SliceOfN(rapid.Byte(), m.publicLen(), m.publicLen()).Draw(t, "peer")
			peer[0] = peer[0]&0x7f | 1 // above 1 and below the prime less 1
			agree(t, random, peer)
		})
	}
}

func TestRangeOfPublicValues(t *testing.T) {
	for g, m := range modpGroups {
		p, _ := new(big.Int).SetString(m.prime, 16)
		key, err := g.Generate(bytes.NewReader(make([]byte, m.exponent)))
		if err != nil {
			t.Fatal(err)
		}
		for offset, valid := range map[int64]bool{-2: true, -1: false, 0: false, 1: false, 2: false} {
			public := new(big.Int).Add(p, big.NewInt(offset)).FillBytes(make([]byte, m.publicLen()))
			var refused *PublicValueError
			if _, err := key.Shared(public); (err == nil) != valid || err != nil && !errors.As(err, &refused) {
				t.Errorf("%s: prime%+d: got %v, want valid to be %v", g, offset, err, valid)
			}
		}
		two := big.NewInt(2).FillBytes(make([]byte, m.publicLen()))
		if _, err := key.Shared(two); err != nil {
			t.Errorf("%s: 2 is refused: %v", g, err)
		}
	}
}
