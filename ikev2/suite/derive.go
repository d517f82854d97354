package suite

import "bridgehead/ikev2/message"

// IKEKeys are the keys of one IKE SA (RFC 7296 §2.14). Those of the initiator
// protect what the original initiator sends. Ei and Er end in the salt where
// the cipher is an AEAD; Ai and Ar are empty then.
type IKEKeys struct{ D, Ai, Ar, Ei, Er, Pi, Pr Secret }

// Wipe overwrites all keys with zeros.
func (k IKEKeys) Wipe() {
	for _, s := range []Secret{k.D, k.Ai, k.Ar, k.Ei, k.Er, k.Pi, k.Pr} {
		s.Wipe()
	}
}

// Derive computes the keys of an IKE SA's first exchange (RFC 7296 §2.14).
func (s IKE) Derive(shared Secret, ni, nr []byte, spii, spir message.SPI) IKEKeys {
	nonces := append(append(make([]byte, 0, len(ni)+len(nr)), ni...), nr...)
	return s.expand(s.PRF.Sum(nonces, shared), ni, nr, spii, spir)
}

// DeriveRekey computes the keys of the IKE SA that replaces one whose PRF and
// SK_d are given (RFC 7296 §2.18). Nonces and SPIs are those of the rekey.
func (s IKE) DeriveRekey(oldPRF PRF, oldD, shared Secret, ni, nr []byte, spii, spir message.SPI) IKEKeys {
	return s.expand(oldPRF.Sum(oldD, shared, ni, nr), ni, nr, spii, spir)
}

func (s IKE) expand(skeyseed, ni, nr []byte, spii, spir message.SPI) IKEKeys {
	defer clear(skeyseed)
	seed := make([]byte, 0, len(ni)+len(nr)+len(spii)+len(spir))
	seed = append(append(append(append(seed, ni...), nr...), spii[:]...), spir[:]...)
	d, a, e := s.PRF.Len(), s.IntegKeyLen(), s.KeyLen()
	material := s.PRF.Plus(skeyseed, seed, 3*d+2*a+2*e)
	if material == nil { // s is not implemented: Check says so
		return IKEKeys{}
	}
	return IKEKeys{
		D: material.take(d), Ai: material.take(a), Ar: material.take(a),
		Ei: material.take(e), Er: material.take(e), Pi: material.take(d), Pr: material.take(d),
	}
}

// take cuts the first n octets off s; no append to them reaches the rest.
func (s *Secret) take(n int) Secret {
	taken := (*s)[:n:n]
	*s = (*s)[n:]
	return taken
}

// ChildKeys are the keys of one Child SA (RFC 7296 §2.17). Those of the
// initiator protect what the initiator of the exchange that made it sends.
// The encryption keys end in the salt where the cipher is an AEAD; the
// integrity keys are empty then.
type ChildKeys struct{ InitiatorEncr, InitiatorInteg, ResponderEncr, ResponderInteg Secret }

// Wipe overwrites all keys with zeros.
func (k ChildKeys) Wipe() {
	for _, s := range []Secret{k.InitiatorEncr, k.InitiatorInteg, k.ResponderEncr, k.ResponderInteg} {
		s.Wipe()
	}
}

// Derive computes the keys of a Child SA from the IKE SA's PRF and SK_d, and
// from the shared secret of the exchange, nil without key exchange. The
// nonces of a first Child SA are those of IKE_SA_INIT.
func (s ESP) Derive(prf PRF, d Secret, shared Secret, ni, nr []byte) ChildKeys {
	seed := make([]byte, 0, len(shared)+len(ni)+len(nr))
	seed = append(append(append(seed, shared...), ni...), nr...)
	defer clear(seed)
	e, a := s.KeyLen()+s.SaltLen(), s.IntegKeyLen()
	material := prf.Plus(d, seed, 2*e+2*a)
	if material == nil { // prf is not implemented
		return ChildKeys{}
	}
	return ChildKeys{
		InitiatorEncr: material.take(e), InitiatorInteg: material.take(a),
		ResponderEncr: material.take(e), ResponderInteg: material.take(a),
	}
}
