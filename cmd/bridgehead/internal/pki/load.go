package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Files names where a server's certificate lies.
type Files struct {
	Certificate string   // leaf, or leaf and chain in any order
	Key         string   // may be the same file
	Chain       []string // files or folders with intermediates; may be empty
}

// Identity is a certificate that can sign for itself.
type Identity struct {
	// Chain begins with the leaf; each certificate is issued by the next. A
	// root is left out: clients have it or do not trust it.
	Chain []*x509.Certificate
	// Root is the self-signed certificate above Chain, or the only one in it;
	// nil where it is not at hand.
	Root *x509.Certificate
	Key  crypto.Signer
	// Reordered tells that the certificate file has its certificates in another
	// order, which most other software sends as it is.
	Reordered bool
}

// Kind describes the key, such as "RSA 2048 bits".
func (id *Identity) Kind() string { return kindOf(id.Key.Public()) }

// Subjects names the chain's certificates as people know them.
func (id *Identity) Subjects() []string {
	names := make([]string, len(id.Chain))
	for i, c := range id.Chain {
		names[i] = subject(c)
	}
	return names
}

// Load reads an identity. name is what clients type; now is the time for which
// the certificates are judged. The error is a *FileError or a *MismatchError;
// warnings say what works for some clients only.
func Load(f Files, name string, now time.Time) (*Identity, []Warning, error) {
	certs, err := readCertificates(f.Certificate)
	if err != nil {
		return nil, nil, err
	}
	key, err := readKey(f.Key)
	if err != nil {
		return nil, nil, err
	}
	leaf := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return belongs(key, c) })
	if leaf < 0 {
		return nil, nil, mismatch(f.Certificate, f.Key, certs[0], key)
	}
	pool, err := readChain(f.Chain)
	if err != nil {
		return nil, nil, err
	}
	pool = append(slices.Clone(certs), pool...)
	chain, root := order(certs[leaf], pool, now)
	id := &Identity{Chain: chain, Root: root, Key: key, Reordered: !inOrder(certs, chain)}
	return id, examine(chain, root, name, now), nil
}

// inOrder tells whether those certificates of a file that belong to a chain
// stand in its order.
func inOrder(file, chain []*x509.Certificate) bool {
	last := -1
	for _, c := range file {
		i := slices.IndexFunc(chain, c.Equal)
		if i >= 0 && i < last {
			return false
		}
		last = max(last, i)
	}
	return true
}

// readChain reads the certificates of files and of all files in folders. In a
// folder, files that hold no certificate are passed over.
func readChain(paths []string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, &FileError{Path: path, Problem: "cannot be read", Err: err, Remedy: "name a file or folder with the intermediate certificates, or nothing"}
		}
		if !info.IsDir() {
			certs, err := readCertificates(path)
			if err != nil {
				return nil, err
			}
			all = append(all, certs...)
			continue
		}
		files, err := os.ReadDir(path)
		if err != nil {
			return nil, &FileError{Path: path, Problem: "cannot be listed", Err: err}
		}
		for _, file := range files {
			if file.IsDir() {
				continue
			}
			if certs, err := readCertificates(filepath.Join(path, file.Name())); err == nil {
				all = append(all, certs...)
			}
		}
	}
	return all, nil
}

// order builds the chain from leaf upwards out of pool. root is the self-signed
// certificate that ends it, if pool has it.
func order(leaf *x509.Certificate, pool []*x509.Certificate, now time.Time) (chain []*x509.Certificate, root *x509.Certificate) {
	chain = []*x509.Certificate{leaf}
	for {
		last := chain[len(chain)-1]
		if isSelfSigned(last) {
			if len(chain) == 1 {
				return chain, last // a self-signed server: nothing else to send
			}
			return chain[:len(chain)-1], last
		}
		issuer := issuerOf(last, pool, chain, now)
		if issuer == nil {
			return chain, nil
		}
		chain = append(chain, issuer)
	}
}

// issuerOf finds the certificate that issued cert, of several the first that is
// valid now.
func issuerOf(cert *x509.Certificate, pool, used []*x509.Certificate, now time.Time) *x509.Certificate {
	var found *x509.Certificate
	for _, c := range pool {
		if slices.ContainsFunc(used, c.Equal) || !issued(c, cert) {
			continue
		}
		if !now.Before(c.NotBefore) && now.Before(c.NotAfter) {
			return c
		}
		if found == nil {
			found = c
		}
	}
	return found
}

// issued tells whether issuer signed cert. Signatures with SHA-1 are not looked
// at any more, so that names must do; examine has warned of them.
func issued(issuer, cert *x509.Certificate) bool {
	err := cert.CheckSignatureFrom(issuer)
	return err == nil || outdated(err) && bytes.Equal(cert.RawIssuer, issuer.RawSubject) && issuer.IsCA
}

func outdated(err error) bool {
	var weak x509.InsecureAlgorithmError
	return errors.As(err, &weak)
}

func isSelfSigned(c *x509.Certificate) bool {
	if !bytes.Equal(c.RawIssuer, c.RawSubject) {
		return false
	}
	err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	return err == nil || outdated(err)
}

// belongs tells whether key is the private part of cert's key.
func belongs(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

func mismatch(certPath, keyPath string, cert *x509.Certificate, key crypto.Signer) error {
	return &MismatchError{
		CertificatePath: certPath, KeyPath: keyPath,
		Certificate: subject(cert) + ", " + kindOf(cert.PublicKey), Key: kindOf(key.Public()),
	}
}

// kindOf describes a public key.
func kindOf(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("%T", key)
}

// subject is how people know a certificate.
func subject(c *x509.Certificate) string {
	if s := c.Subject.String(); s != "" {
		return s
	}
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return "serial number " + c.SerialNumber.String()
}
