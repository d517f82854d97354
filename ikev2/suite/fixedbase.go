package suite

import (
	"crypto/subtle"

	"filippo.io/bigmod"
)

// fixedBase raises the generator to secret exponents by a table of its powers
// that is made once: one multiplication for four bits of exponent, where
// bigmod's Exp needs five. It is as constant in time as bigmod is.
type fixedBase struct {
	modulus *bigmod.Modulus
	limbs   int
	// powers holds generator^(d·16^w) for every window w and digit d, each of
	// limbs words, the digits of a window side by side.
	powers []uint
}

const digits = 16 // of a window of four bits

// newFixedBase makes the table for exponents of so many octets.
func newFixedBase(generator uint, modulus *bigmod.Modulus, exponent int) *fixedBase {
	base := bigmod.NewNat().SetUint(generator).ExpandFor(modulus)
	f := &fixedBase{modulus: modulus, limbs: len(base.Bits())}
	f.powers = make([]uint, 0, 2*exponent*digits*f.limbs)
	for range 2 * exponent {
		power := bigmod.NewNat().SetUint(1).ExpandFor(modulus)
		for range digits {
			f.powers = append(f.powers, power.Bits()...)
			power.Mul(base, modulus)
		}
		base = power // base^16
	}
	return f
}

// pow is the generator to the power of x, big-endian and of the length that
// the table is made for.
func (f *fixedBase) pow(x []byte) *bigmod.Nat {
	result := bigmod.NewNat().SetUint(1).ExpandFor(f.modulus)
	power := bigmod.NewNat().ExpandFor(f.modulus)
	window := f.powers
	for i := len(x) - 1; i >= 0; i-- {
		for _, digit := range [2]byte{x[i] & 0xf, x[i] >> 4} {
			f.choose(power.Bits(), window, digit)
			result.Mul(power, f.modulus)
			window = window[digits*f.limbs:]
		}
	}
	return result
}

// choose copies the digit's entry of a window to dst. It reads all entries,
// so that neither time nor cache tells which.
func (f *fixedBase) choose(dst, window []uint, digit byte) {
	clear(dst)
	for d := range byte(digits) {
		mask := -uint(subtle.ConstantTimeByteEq(d, digit))
		for i, word := range window[:len(dst)] {
			dst[i] |= word & mask
		}
		window = window[len(dst):]
	}
}
