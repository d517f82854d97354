package initiator

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"bridgehead/ikev2/message"
)

// maxCertificates bounds the chain a gateway may have us parse and search.
const maxCertificates = 16

// Certificate is what is worth knowing of the gateway's certificate.
type Certificate struct {
	Subject   string
	Issuer    string
	Names     []string // SANs: dNSNames, then addresses and the rest
	Key       string   // such as "RSA 2048"
	NotBefore time.Time
	NotAfter  time.Time
	Sent      int // how many certificates the gateway sent
}

// verifyCertificate verifies the chain in the CERT payloads, whose first is
// the gateway's own (RFC 7296 §3.6), and its names. The error is a
// *CertificateError.
func (sa *SA) verifyCertificate(now time.Time, ps []message.Payload, idr *message.ID) (*x509.Certificate, error) {
	leaf, intermediates, err := parseCertificates(ps)
	if err != nil {
		return nil, err
	}
	sa.result.Certificate = describeCertificate(leaf)
	for range message.All[*message.Cert](ps) {
		sa.result.Certificate.Sent++
	}
	usage := x509.ExtKeyUsageAny
	if sa.cfg.RequireServerAuth || sa.cfg.Profile.Demands.ServerAuth {
		usage = x509.ExtKeyUsageServerAuth
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: sa.cfg.Roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, certificateError(ruleOf(err), leaf, "", err)
	}
	name := sa.cfg.certificateName()
	if err := leaf.VerifyHostname(name); err != nil {
		return nil, certificateError(RuleName, leaf, name, err)
	}
	if err := sa.cfg.Profile.Demands.onCertificate(ps, leaf, name); err != nil {
		return nil, err
	}
	if !confirms(leaf, idr, name) {
		return nil, certificateError(RuleIdentity, leaf, idr.String(), fmt.Errorf("IDr is %s", idr))
	}
	return leaf, nil
}

func parseCertificates(ps []message.Payload) (leaf *x509.Certificate, intermediates *x509.CertPool, err error) {
	intermediates = x509.NewCertPool()
	count := 0
	for p := range message.All[*message.Cert](ps) {
		if p.Encoding != message.CertX509Signature {
			continue
		}
		if count++; count > maxCertificates {
			break
		}
		c, err := x509.ParseCertificate(p.Data)
		switch {
		case err != nil && leaf == nil:
			return nil, nil, &CertificateError{at: at{StepCertificate}, Rule: RuleParse, Err: err}
		case err != nil: // an intermediate we may not need
		case leaf == nil:
			leaf = c
		default:
			intermediates.AddCert(c)
		}
	}
	if leaf == nil {
		return nil, nil, &CertificateError{at: at{StepCertificate}, Rule: RulePresent, Err: errors.New("no CERT payload with an X.509 certificate came")}
	}
	return leaf, intermediates, nil
}

// ruleOf names the rule behind a finding of crypto/x509.
func ruleOf(err error) CertificateRule {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		switch invalid.Reason {
		case x509.Expired:
			return RuleValidity
		case x509.IncompatibleUsage:
			return RuleUsage
		}
	}
	return RuleAuthority
}

func certificateError(rule CertificateRule, c *x509.Certificate, expected string, err error) *CertificateError {
	d := describeCertificate(c)
	return &CertificateError{at: at{StepCertificate}, Rule: rule, Subject: d.Subject, Issuer: d.Issuer, Names: d.Names, Expected: expected, Err: err}
}

// confirms reports whether the certificate carries the identity that the
// gateway claims. The name dialled was found in it before.
func confirms(c *x509.Certificate, id *message.ID, dialled string) bool {
	switch id.Kind {
	case message.IDFQDN:
		return strings.EqualFold(string(id.Data), dialled) || c.VerifyHostname(string(id.Data)) == nil
	case message.IDIPv4Addr, message.IDIPv6Addr:
		a, ok := id.Addr()
		return ok && slices.ContainsFunc(c.IPAddresses, func(ip net.IP) bool { return ip.Equal(a.AsSlice()) })
	case message.IDRFC822Addr:
		return slices.Contains(c.EmailAddresses, string(id.Data))
	case message.IDDERASN1DN:
		return bytes.Equal(id.Data, c.RawSubject)
	}
	return false
}

func describeCertificate(c *x509.Certificate) Certificate {
	d := Certificate{Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: slices.Clone(c.DNSNames), NotBefore: c.NotBefore, NotAfter: c.NotAfter}
	for _, ip := range c.IPAddresses {
		d.Names = append(d.Names, ip.String())
	}
	d.Names = append(d.Names, c.EmailAddresses...)
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		d.Key = fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		d.Key = "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		d.Key = "Ed25519"
	default:
		d.Key = c.PublicKeyAlgorithm.String()
	}
	return d
}
