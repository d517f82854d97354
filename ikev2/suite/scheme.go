package suite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"io"
	"slices"

	"bridgehead/ikev2/message"
)

// signatureKind is a family of signature algorithms.
type signatureKind uint8

const (
	rsaPKCS1 signatureKind = iota + 1 // RFC 8017 §8.2
	rsaPSS                            // RFC 8017 §8.1
	ecdsaRaw                          // r and s side by side (RFC 4754 §7)
	ecdsaDER                          // an ECDSA-Sig-Value (RFC 7427 appendix A.3)
	eddsa                             // RFC 8420
)

// Scheme is an authentication method with its signature algorithm. The zero
// Scheme is none. It is comparable.
type Scheme struct {
	method message.AuthMethod
	kind   signatureKind
	hash   crypto.Hash // 0 with eddsa
	salt   int         // octets, for rsaPSS
}

// SchemeError reports that a key and a peer have no signature algorithm in
// common.
type SchemeError struct {
	Key       string          // the key's type
	Announced []HashAlgorithm // by the peer; nil if it sent no notification
}

func (e *SchemeError) Error() string {
	if e.Announced == nil {
		return fmt.Sprintf("suite: the peer does not speak RFC 7427, so it takes no signature of a key of type %s: use an RSA or a NIST curve certificate", e.Key)
	}
	return fmt.Sprintf("suite: no signature algorithm for a key of type %s with the hash algorithms %v of the peer: use another certificate", e.Key, e.Announced)
}

var hashOf = map[HashAlgorithm]crypto.Hash{
	HashSHA2256: crypto.SHA256, HashSHA2384: crypto.SHA384, HashSHA2512: crypto.SHA512,
}

// ChooseScheme decides how a key signs for a peer, by the hash algorithms
// that it announced in SIGNATURE_HASH_ALGORITHMS, nil if it sent none.
//
// Such a peer gets the methods of old: 1, RSA with SHA-1, and 9 to 11, ECDSA
// with its curve's hash. Windows and Apple know nothing else. Any other gets
// RFC 7427. RSA signs with PKCS #1 v1.5 there, which all clients verify,
// since Android fails with PSS: see WithPSS. A peer that announces no SHA-2
// hash is served by the old methods too.
//
// The error is a *SchemeError.
func ChooseScheme(pub crypto.PublicKey, announced []HashAlgorithm) (Scheme, error) {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if h, ok := firstCommon(announced, HashSHA2256, HashSHA2384, HashSHA2512); ok {
			return Scheme{method: message.AuthSignature, kind: rsaPKCS1, hash: hashOf[h]}, nil
		}
		return Scheme{method: message.AuthRSASHA1, kind: rsaPKCS1, hash: crypto.SHA1}, nil
	case *ecdsa.PublicKey:
		for _, c := range ecdsaCurves {
			if key.Curve != c.curve {
				continue
			}
			// The curve's own hash, or the next longer one.
			if h, ok := firstCommon(announced, c.hashes...); ok {
				return Scheme{method: message.AuthSignature, kind: ecdsaDER, hash: hashOf[h]}, nil
			}
			return Scheme{method: c.method, kind: ecdsaRaw, hash: hashOf[c.hashes[0]]}, nil
		}
	case ed25519.PublicKey:
		if slices.Contains(announced, HashIdentity) {
			return Scheme{method: message.AuthSignature, kind: eddsa}, nil
		}
	}
	return Scheme{}, &SchemeError{keyType(pub), announced}
}

// ecdsaCurve is a curve with its method of RFC 4754, whose hash is the first
// of those to use with RFC 7427.
type ecdsaCurve struct {
	curve  elliptic.Curve
	method message.AuthMethod
	hashes []HashAlgorithm
}

var ecdsaCurves = []ecdsaCurve{
	{elliptic.P256(), message.AuthECDSA256, []HashAlgorithm{HashSHA2256, HashSHA2384, HashSHA2512}},
	{elliptic.P384(), message.AuthECDSA384, []HashAlgorithm{HashSHA2384, HashSHA2512, HashSHA2256}},
	{elliptic.P521(), message.AuthECDSA521, []HashAlgorithm{HashSHA2512, HashSHA2384, HashSHA2256}},
}

// firstCommon gives the first of ours that the peer announced.
func firstCommon(announced []HashAlgorithm, ours ...HashAlgorithm) (HashAlgorithm, bool) {
	for _, h := range ours {
		if slices.Contains(announced, h) {
			return h, true
		}
	}
	return 0, false
}

func keyType(pub crypto.PublicKey) string {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("%T", pub)
}

// WithPSS is s with RSASSA-PSS in place of PKCS #1 v1.5, for peers known to
// verify it; the salt is as long as the hash. A Scheme that is not RSA by RFC
// 7427 stays as it is.
func (s Scheme) WithPSS() Scheme {
	if s.method == message.AuthSignature && s.kind == rsaPKCS1 {
		s.kind, s.salt = rsaPSS, s.hash.Size()
	}
	return s
}

// Method is the method of the AUTH payload.
func (s Scheme) Method() message.AuthMethod { return s.method }

// String names the method and the algorithm, as in "14 RSA PKCS#1 v1.5 sha256".
func (s Scheme) String() string {
	kind := map[signatureKind]string{
		rsaPKCS1: "RSA PKCS#1 v1.5", rsaPSS: "RSA-PSS", ecdsaRaw: "ECDSA", ecdsaDER: "ECDSA", eddsa: "Ed25519",
	}[s.kind]
	if kind == "" {
		return "none"
	}
	text := fmt.Sprintf("%d %s", uint8(s.method), kind)
	if s.hash != 0 {
		text += " " + map[crypto.Hash]string{crypto.SHA1: "sha1", crypto.SHA256: "sha256", crypto.SHA384: "sha384", crypto.SHA512: "sha512"}[s.hash]
	}
	return text
}

// options are what a crypto.Signer needs to know.
func (s Scheme) options() crypto.SignerOpts {
	if s.kind == rsaPSS {
		return &rsa.PSSOptions{SaltLength: s.salt, Hash: s.hash}
	}
	return s.hash
}

// digest is what the algorithm signs: the octets' hash, or the octets.
func (s Scheme) digest(octets []byte) []byte {
	if s.hash == 0 {
		return octets
	}
	h := s.hash.New()
	h.Write(octets)
	return h.Sum(nil)
}

// Sign makes the AUTH payload over SignedOctets. The key must be of the type
// that the Scheme was chosen for. Go's own keys draw what they need from the
// system, whatever rand is.
func (s Scheme) Sign(rand io.Reader, key crypto.Signer, octets []byte) (*message.Auth, error) {
	if !s.fits(key.Public()) {
		return nil, fmt.Errorf("suite: AUTH method %s with a key of type %s", s, keyType(key.Public()))
	}
	signature, err := key.Sign(rand, s.digest(octets), s.options())
	if err != nil {
		return nil, fmt.Errorf("suite: AUTH signature: %w", err)
	}
	if s.kind == ecdsaRaw {
		if signature, err = rawFromDER(signature, s.rawLen()/2); err != nil {
			return nil, fmt.Errorf("suite: AUTH signature: %w", err)
		}
	}
	if s.method != message.AuthSignature {
		return &message.Auth{Method: s.method, Data: signature}, nil
	}
	id := s.algorithmIdentifier()
	data := make([]byte, 0, 1+len(id)+len(signature))
	data = append(append(append(data, byte(len(id))), id...), signature...)
	return &message.Auth{Method: s.method, Data: data}, nil
}

// fits reports whether s is for keys like pub.
func (s Scheme) fits(pub crypto.PublicKey) bool {
	switch key := pub.(type) {
	case *rsa.PublicKey:
		return s.kind == rsaPKCS1 || s.kind == rsaPSS
	case *ecdsa.PublicKey:
		return slices.ContainsFunc(ecdsaCurves, func(c ecdsaCurve) bool {
			return c.curve == key.Curve && (s.kind == ecdsaDER || s.kind == ecdsaRaw && s.method == c.method)
		})
	case ed25519.PublicKey:
		return s.kind == eddsa
	}
	return false
}

// rawLen is the length of an ecdsaRaw signature in octets (RFC 4754 §7).
func (s Scheme) rawLen() int {
	switch s.method {
	case message.AuthECDSA256:
		return 2 * 32
	case message.AuthECDSA384:
		return 2 * 48
	case message.AuthECDSA521:
		return 2 * 66
	}
	return 0
}
