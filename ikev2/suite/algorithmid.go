package suite

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"math"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"bridgehead/ikev2/message"
)

var (
	oidSHA256    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidMGF1      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidPSS       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidRSASHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidRSASHA384 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}
	oidRSASHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	oidECSHA256  = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECSHA384  = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidECSHA512  = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
	oidEd25519   = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// identified are the algorithms of RFC 7427 appendix A and RFC 8420 appendix A
// whose object identifier says all. RSA's have NULL parameters.
var identified = []struct {
	oid  asn1.ObjectIdentifier
	kind signatureKind
	hash crypto.Hash
}{
	{oidRSASHA256, rsaPKCS1, crypto.SHA256},
	{oidRSASHA384, rsaPKCS1, crypto.SHA384},
	{oidRSASHA512, rsaPKCS1, crypto.SHA512},
	{oidECSHA256, ecdsaDER, crypto.SHA256},
	{oidECSHA384, ecdsaDER, crypto.SHA384},
	{oidECSHA512, ecdsaDER, crypto.SHA512},
	{oidEd25519, eddsa, 0},
}

var hashOIDs = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{oidSHA256, crypto.SHA256}, {oidSHA384, crypto.SHA384}, {oidSHA512, crypto.SHA512},
}

// algorithmIdentifier is the DER encoding of s's AlgorithmIdentifier.
func (s Scheme) algorithmIdentifier() []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if s.kind == rsaPSS {
			b.AddASN1ObjectIdentifier(oidPSS)
			s.addPSSParameters(b)
			return
		}
		for _, a := range identified {
			if a.kind == s.kind && a.hash == s.hash {
				b.AddASN1ObjectIdentifier(a.oid)
			}
		}
		if s.kind == rsaPKCS1 {
			b.AddASN1NULL()
		}
	})
	return b.BytesOrPanic()
}

// Tags of RSASSA-PSS-params (RFC 4055 §3.1).
var (
	tagPSSHash    = cbasn1.Tag(0).ContextSpecific().Constructed()
	tagPSSMGF     = cbasn1.Tag(1).ContextSpecific().Constructed()
	tagPSSSalt    = cbasn1.Tag(2).ContextSpecific().Constructed()
	tagPSSTrailer = cbasn1.Tag(3).ContextSpecific().Constructed()
)

func (s Scheme) addPSSParameters(b *cryptobyte.Builder) {
	hash := func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, h := range hashOIDs {
				if h.hash == s.hash {
					b.AddASN1ObjectIdentifier(h.oid)
				}
			}
			b.AddASN1NULL()
		})
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tagPSSHash, hash)
		b.AddASN1(tagPSSMGF, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidMGF1)
				hash(b)
			})
		})
		b.AddASN1(tagPSSSalt, func(b *cryptobyte.Builder) { b.AddASN1Uint64(uint64(s.salt)) })
	})
}

var (
	errIdentifier = errors.New("the AlgorithmIdentifier is not valid DER")
	errAlgorithm  = errors.New("the signature algorithm is not accepted: expected RSA with SHA-2, RSA-PSS with one SHA-2 hash throughout, ECDSA with SHA-2, or Ed25519")
)

// parseAlgorithmIdentifier reads the whole of der. It knows what
// algorithmIdentifier writes, RSA without its NULL too (RFC 4055 §5), and PSS
// with any salt but an empty one.
func parseAlgorithmIdentifier(der []byte) (Scheme, error) {
	input := cryptobyte.String(der)
	var sequence cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !input.ReadASN1(&sequence, cbasn1.SEQUENCE) || !input.Empty() || !sequence.ReadASN1ObjectIdentifier(&oid) {
		return Scheme{}, errIdentifier
	}
	if oid.Equal(oidPSS) {
		return parsePSSParameters(sequence)
	}
	for _, a := range identified {
		if !oid.Equal(a.oid) {
			continue
		}
		if a.kind == rsaPKCS1 && !sequence.Empty() && !readNULL(&sequence) || !sequence.Empty() {
			return Scheme{}, errIdentifier
		}
		return Scheme{method: message.AuthSignature, kind: a.kind, hash: a.hash}, nil
	}
	return Scheme{}, errAlgorithm
}

func readNULL(s *cryptobyte.String) bool {
	var null cryptobyte.String
	return s.ReadASN1(&null, cbasn1.NULL) && null.Empty()
}

// parsePSSParameters reads RSASSA-PSS-params (RFC 4055 §3.1). Their defaults
// mean SHA-1, so hash and mask generation must be there. The mask generation
// must use the same hash, as RFC 4055 recommends and crypto/rsa requires.
func parsePSSParameters(s cryptobyte.String) (Scheme, error) {
	var params, hashField, mgfField, mgf, saltField, trailerField cryptobyte.String
	var hasHash, hasMGF, hasSalt, hasTrailer bool
	if !s.ReadASN1(&params, cbasn1.SEQUENCE) || !s.Empty() ||
		!params.ReadOptionalASN1(&hashField, &hasHash, tagPSSHash) ||
		!params.ReadOptionalASN1(&mgfField, &hasMGF, tagPSSMGF) ||
		!params.ReadOptionalASN1(&saltField, &hasSalt, tagPSSSalt) ||
		!params.ReadOptionalASN1(&trailerField, &hasTrailer, tagPSSTrailer) || !params.Empty() {
		return Scheme{}, errIdentifier
	}
	if !hasHash || !hasMGF {
		return Scheme{}, errAlgorithm
	}
	var mgfOID asn1.ObjectIdentifier
	if !mgfField.ReadASN1(&mgf, cbasn1.SEQUENCE) || !mgfField.Empty() || !mgf.ReadASN1ObjectIdentifier(&mgfOID) {
		return Scheme{}, errIdentifier
	}
	hash, err := parseHash(hashField)
	if err != nil {
		return Scheme{}, err
	}
	maskHash, err := parseHash(mgf)
	if err != nil {
		return Scheme{}, err
	}
	salt, trailer := 20, 1 // the defaults of RFC 4055 §3.1
	if hasSalt && !readSmall(saltField, &salt) || hasTrailer && !readSmall(trailerField, &trailer) {
		return Scheme{}, errIdentifier
	}
	// crypto/rsa takes a salt of 0 octets for one of any length.
	if !mgfOID.Equal(oidMGF1) || maskHash != hash || salt == 0 || trailer != 1 {
		return Scheme{}, errAlgorithm
	}
	return Scheme{method: message.AuthSignature, kind: rsaPSS, hash: hash, salt: salt}, nil
}

// parseHash reads the AlgorithmIdentifier of a hash, with NULL or without
// (RFC 4055 §2.1).
func parseHash(s cryptobyte.String) (crypto.Hash, error) {
	var sequence cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !s.ReadASN1(&sequence, cbasn1.SEQUENCE) || !s.Empty() || !sequence.ReadASN1ObjectIdentifier(&oid) ||
		!sequence.Empty() && !readNULL(&sequence) || !sequence.Empty() {
		return 0, errIdentifier
	}
	for _, h := range hashOIDs {
		if oid.Equal(h.oid) {
			return h.hash, nil
		}
	}
	return 0, errAlgorithm
}

// readSmall reads the whole of s as a non-negative INTEGER.
func readSmall(s cryptobyte.String, n *int) bool {
	var u uint64
	if !s.ReadASN1Integer(&u) || !s.Empty() || u > math.MaxInt16 {
		return false
	}
	*n = int(u)
	return true
}

// rawFromDER turns an ECDSA-Sig-Value into r and s of size octets each.
func rawFromDER(der []byte, size int) ([]byte, error) {
	input := cryptobyte.String(der)
	var sequence cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	if !input.ReadASN1(&sequence, cbasn1.SEQUENCE) || !input.Empty() ||
		!sequence.ReadASN1Integer(r) || !sequence.ReadASN1Integer(s) || !sequence.Empty() ||
		r.Sign() < 0 || s.Sign() < 0 || r.BitLen() > 8*size || s.BitLen() > 8*size {
		return nil, errors.New("the signer gave no ECDSA signature of its curve")
	}
	raw := make([]byte, 2*size)
	r.FillBytes(raw[:size])
	s.FillBytes(raw[size:])
	return raw, nil
}
