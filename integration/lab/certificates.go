package lab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is a throw-away certificate with its key.
type Certificate struct {
	*x509.Certificate
	Key crypto.Signer
	t   testing.TB
}

// KeyKind is the kind of a certificate's key.
type KeyKind int

// Kinds of keys.
const (
	RSA2048 KeyKind = iota
	ECDSA256
)

func (k KeyKind) generate(t testing.TB) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	if k == ECDSA256 {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// NewCA makes a root authority.
func NewCA(t testing.TB, name string, k KeyKind) *Certificate {
	t.Helper()
	return issue(t, authority(name), k, nil)
}

// NewIntermediate makes an authority below c.
func (c *Certificate) NewIntermediate(name string, k KeyKind) *Certificate {
	c.t.Helper()
	return issue(c.t, authority(name), k, c)
}

// NewServer makes a server's certificate for names, dNSNames or addresses,
// valid from an hour ago until the time given from now.
func (c *Certificate) NewServer(k KeyKind, valid time.Duration, names ...string) *Certificate {
	c.t.Helper()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotAfter:    time.Now().Add(valid),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if a, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, net.IP(a.AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return issue(c.t, template, k, c)
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// issue signs template with by's key, or with its own if by is nil.
func issue(t testing.TB, template *x509.Certificate, k KeyKind, by *Certificate) *Certificate {
	t.Helper()
	key := k.generate(t)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore = serial, time.Now().Add(-time.Hour)
	if template.NotAfter.Before(template.NotBefore) { // an expired one
		template.NotBefore = template.NotAfter.Add(-time.Hour)
	}
	if by == nil {
		by = &Certificate{Certificate: template, Key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, key.Public(), by.Key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Certificate{Certificate: parsed, Key: key, t: t}
}

// Pool is a pool of c alone, for a client that trusts it.
func (c *Certificate) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.Certificate)
	return pool
}

// Write writes the certificate as PEM.
func (c *Certificate) Write(path string) {
	c.t.Helper()
	c.write(path, 0o644, "CERTIFICATE", c.Raw)
}

// WriteKey writes the key as PKCS #8 in PEM, for its owner's eyes only.
func (c *Certificate) WriteKey(path string) {
	c.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(path, 0o600, "PRIVATE KEY", der)
}

func (c *Certificate) write(path string, mode os.FileMode, kind string, der []byte) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
		c.t.Fatal(err)
	}
}
