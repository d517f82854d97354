package pki

import (
	"crypto/x509"
	"fmt"
)

// What holds a private key prints, logs and encodes as the subject of its
// certificate: encoding/json would write an RSA key, package fmt an Ed25519
// one.

func describe(leaf *x509.Certificate) string { return fmt.Sprintf("[identity %s]", subject(leaf)) }

// Format writes the leaf's subject.
func (i Identity) Format(f fmt.State, _ rune) { fmt.Fprint(f, describe(i.Chain[0])) }

// MarshalText gives the leaf's subject.
func (i Identity) MarshalText() ([]byte, error) { return []byte(describe(i.Chain[0])), nil }

// Format writes the server certificate's subject.
func (i Issued) Format(f fmt.State, _ rune) { fmt.Fprint(f, describe(i.Server)) }

// MarshalText gives the server certificate's subject.
func (i Issued) MarshalText() ([]byte, error) { return []byte(describe(i.Server)), nil }
