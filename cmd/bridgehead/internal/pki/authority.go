package pki

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"io"
	"math/big"
	"net"
	"net/netip"
	"time"
)

const (
	// Clients make the authority's keys trusted for years, so they are longer
	// than the server's, whose signature each login waits for.
	authorityBits = 3072
	serverBits    = 2048

	authorityLife = 10 * 365 * day
	// serverLife stays below the 825 days that Apple's clients accept.
	serverLife = 800 * day
	// renewBefore is how long before its end a certificate is replaced.
	renewBefore = 60 * day
	// clockSkew lets clients in whose clock is behind.
	clockSkew = time.Hour

	day = 24 * time.Hour

	// maxCommonName is ub-common-name of RFC 5280 appendix A.1.
	maxCommonName = 64
	serialOctets  = 16
)

// ikeIntermediate is the extended key usage that macOS before 10.7.4 asked
// for; nobody objects to it.
var ikeIntermediate = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 8, 2, 2}

// certified is a certificate with its key.
type certified struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newAuthority makes a root that signs servers only, not further authorities.
func newAuthority(name string, now time.Time, random io.Reader) (*certified, error) {
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	// The number keeps the roots of several gateways apart in a client's list.
	cn := "bridgehead CA " + hex.EncodeToString(serial.Bytes()[:4])
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: cn, Organization: []string{name}},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(authorityLife),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SignatureAlgorithm:    x509.SHA256WithRSA,
	}
	key, err := rsa.GenerateKey(random, authorityBits)
	if err != nil {
		return nil, err
	}
	return sign(template, key, &certified{cert: template, key: key}, random)
}

// newServer makes a certificate for what clients may type. It satisfies the
// strictest of them: RSA, each name as dNSName, each address both as iPAddress
// and as text in a dNSName, which Windows and Apple's clients look for.
func newServer(ca *certified, names []string, now time.Time, random io.Reader) (*certified, error) {
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(random, serverBits)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:       serial,
		SubjectKeyId:       keyID(&key.PublicKey),
		NotBefore:          now.Add(-clockSkew),
		NotAfter:           earlier(now.Add(serverLife), ca.cert.NotAfter),
		KeyUsage:           x509.KeyUsageDigitalSignature,
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{ikeIntermediate},
		SignatureAlgorithm: x509.SHA256WithRSA,

		BasicConstraintsValid: true,
		DNSNames:              names,
	}
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(ip.AsSlice()))
		}
	}
	if len(names[0]) <= maxCommonName {
		template.Subject.CommonName = names[0]
	}
	return sign(template, key, ca, random)
}

func sign(template *x509.Certificate, key *rsa.PrivateKey, by *certified, random io.Reader) (*certified, error) {
	der, err := x509.CreateCertificate(random, template, by.cert, key.Public(), by.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &certified{cert: cert, key: key}, err
}

// newSerial is a positive random number whose first octet is not zero.
func newSerial(random io.Reader) (*big.Int, error) {
	b := make([]byte, serialOctets)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, err
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b), nil
}

// keyID is the subject key identifier of RFC 7093 §2, method 1.
func keyID(key *rsa.PublicKey) []byte {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(key))
	return sum[:20]
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
