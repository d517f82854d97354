package suite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"bridgehead/ikev2/message"
)

// SignatureError reports an AUTH payload that does not prove possession of the
// key. It answers to AUTHENTICATION_FAILED.
type SignatureError struct {
	Method message.AuthMethod
	Key    string // the key's type
	Err    error
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("ikev2: AUTH of method %q with a key of type %s refused: %v", e.Method, e.Key, e.Err)
}

func (e *SignatureError) Unwrap() error { return e.Err }

var (
	errMethod    = errors.New("no signature method")
	errMismatch  = errors.New("the signature algorithm does not fit the key")
	errSignature = errors.New("the signature is wrong")
	errShort     = errors.New("the data ends inside the AlgorithmIdentifier")
)

// VerifySignature checks the signature of an AUTH payload over SignedOctets
// with the key of the peer's certificate: methods 1, 9, 10, 11, and 14 with
// RSA PKCS #1 v1.5 or PSS, ECDSA and Ed25519. With method 14 SHA-1 is refused,
// which the peer was not told of. RSA keys below 1024 bits are refused. The
// error is a *SignatureError.
func VerifySignature(pub crypto.PublicKey, a *message.Auth, octets []byte) error {
	if err := verifySignature(pub, a, octets); err != nil {
		return &SignatureError{a.Method, keyType(pub), err}
	}
	return nil
}

func verifySignature(pub crypto.PublicKey, a *message.Auth, octets []byte) error {
	scheme, signature, err := schemeOf(a)
	if err != nil {
		return err
	}
	if !scheme.fits(pub) {
		return errMismatch
	}
	digest := scheme.digest(octets)
	valid := false
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if scheme.kind == rsaPSS {
			valid = rsa.VerifyPSS(key, scheme.hash, digest, signature, &rsa.PSSOptions{SaltLength: scheme.salt}) == nil
		} else {
			valid = rsa.VerifyPKCS1v15(key, scheme.hash, digest, signature) == nil
		}
	case *ecdsa.PublicKey:
		if scheme.kind == ecdsaRaw {
			valid = verifyRaw(key, digest, signature, scheme.rawLen())
		} else {
			valid = ecdsa.VerifyASN1(key, digest, signature)
		}
	case ed25519.PublicKey:
		valid = len(key) == ed25519.PublicKeySize && ed25519.Verify(key, digest, signature)
	}
	if !valid {
		return errSignature
	}
	return nil
}

// schemeOf gives the payload's algorithm and its signature.
func schemeOf(a *message.Auth) (Scheme, []byte, error) {
	switch a.Method {
	case message.AuthRSASHA1:
		return Scheme{method: a.Method, kind: rsaPKCS1, hash: crypto.SHA1}, a.Data, nil
	case message.AuthECDSA256:
		return Scheme{method: a.Method, kind: ecdsaRaw, hash: crypto.SHA256}, a.Data, nil
	case message.AuthECDSA384:
		return Scheme{method: a.Method, kind: ecdsaRaw, hash: crypto.SHA384}, a.Data, nil
	case message.AuthECDSA521:
		return Scheme{method: a.Method, kind: ecdsaRaw, hash: crypto.SHA512}, a.Data, nil
	case message.AuthSignature:
		if len(a.Data) == 0 || len(a.Data) < 1+int(a.Data[0]) {
			return Scheme{}, nil, errShort
		}
		end := 1 + int(a.Data[0])
		scheme, err := parseAlgorithmIdentifier(a.Data[1:end])
		return scheme, a.Data[end:], err
	}
	return Scheme{}, nil, errMethod
}

func verifyRaw(key *ecdsa.PublicKey, digest, signature []byte, size int) bool {
	if len(signature) != size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size/2]), new(big.Int).SetBytes(signature[size/2:])
	return ecdsa.Verify(key, digest, r, s)
}
