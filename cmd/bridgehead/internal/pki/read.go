package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// maxFileSize bounds what is read into memory; the largest bundles of all
// public roots are smaller.
const maxFileSize = 1 << 20

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular(): // a pipe may never end, a folder has no content
		return nil, &FileError{Path: path, Problem: "is not a file", Remedy: "name the file itself"}
	case err == nil && info.Size() > maxFileSize:
		return nil, &FileError{Path: path, Problem: fmt.Sprintf("%d octets are too many for a certificate or key", info.Size())}
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, &FileError{Path: path, Problem: "cannot be read", Err: errors.Unwrap(err)}
	}
	return content, nil
}

// readCertificates reads all certificates of a PEM file, or the one of a DER
// file. At least one is there unless there is an error.
func readCertificates(path string) ([]*x509.Certificate, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(content)
	if err != nil {
		return nil, &FileError{Path: path, Problem: "holds a certificate that cannot be read", Err: err, Remedy: describeOther(content, path)}
	}
	if len(certs) == 0 {
		return nil, &FileError{Path: path, Problem: "holds no certificate", Remedy: describeOther(content, path)}
	}
	return certs, nil
}

func parseCertificates(content []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	blocks := pemBlocks(content)
	for _, b := range blocks {
		if b.Type != "CERTIFICATE" && b.Type != "X509 CERTIFICATE" && b.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(trimTrust(b))
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(blocks) == 0 && isDER(content) {
		return x509.ParseCertificates(content)
	}
	return certs, nil
}

// trimTrust cuts off what OpenSSL appends to a certificate that it calls
// trusted.
func trimTrust(b *pem.Block) []byte {
	if b.Type != "TRUSTED CERTIFICATE" {
		return b.Bytes
	}
	return firstElement(b.Bytes)
}

// readKey reads the private key of a PEM or DER file: PKCS #8, PKCS #1 or SEC 1.
func readKey(path string) (crypto.Signer, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	blocks := pemBlocks(content)
	if len(blocks) == 0 && isDER(content) {
		if key, err := parseKey(content); err == nil {
			return key, nil
		}
	}
	for _, b := range blocks {
		if b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, &FileError{
				Path: path, Problem: "the private key is protected by a pass phrase",
				Remedy: fmt.Sprintf("write it without one: openssl pkey -in %s -out %s.plain, and keep that file at mode 0600", path, path),
			}
		}
		if !strings.HasSuffix(b.Type, "PRIVATE KEY") {
			continue
		}
		key, err := parseKey(b.Bytes)
		if err != nil {
			return nil, &FileError{Path: path, Problem: "holds a private key that cannot be read", Err: err, Remedy: "it must be RSA, ECDSA or Ed25519"}
		}
		return key, nil
	}
	return nil, &FileError{Path: path, Problem: "holds no private key", Remedy: describeOther(content, path)}
}

func parseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return key, nil
		case *ecdsa.PrivateKey:
			return key, nil
		case ed25519.PrivateKey:
			return key, nil
		}
		return nil, errors.New("the key is of a kind that signs nothing")
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, err
}

func pemBlocks(content []byte) []*pem.Block {
	var blocks []*pem.Block
	for {
		b, rest := pem.Decode(content)
		if b == nil {
			return blocks
		}
		blocks, content = append(blocks, b), rest
	}
}

// describeOther says how to convert what people have in the place of a
// certificate or key; "" if it is not known.
func describeOther(content []byte, path string) string {
	switch {
	case bytes.Contains(content, []byte("BEGIN PKCS7")):
		return fmt.Sprintf("it is a PKCS #7 bundle: openssl pkcs7 -print_certs -in %s -out %s.pem", path, path)
	case bytes.Contains(content, []byte("BEGIN CERTIFICATE REQUEST")):
		return "it is a request for a certificate: use the file that the authority sent back"
	case bytes.Contains(content, []byte("BEGIN OPENSSH PRIVATE KEY")):
		return fmt.Sprintf("it is an OpenSSH key: ssh-keygen -p -m pem -f %s", path)
	case bytes.Contains(content, []byte("PRIVATE KEY-----")):
		return "it is a private key: are certificate and key exchanged?"
	case bytes.Contains(content, []byte("BEGIN CERTIFICATE")):
		return "it is a certificate: are certificate and key exchanged?"
	case isPKCS12(content):
		return fmt.Sprintf("it is a PKCS #12 file: openssl pkcs12 -in %s -nodes -out %s.pem has both certificate and key", path, path)
	}
	return "expected PEM, with lines of -----BEGIN …-----, or DER"
}
