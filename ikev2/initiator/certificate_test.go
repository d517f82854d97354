package initiator

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"testing"
	"time"

	"bridgehead/ikev2/message"
)

func TestVerifyCertificate(t *testing.T) {
	rootKey, key := newKey(), newKey()
	authority := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	root := sign(authority, authority, rootKey, rootKey)
	server := func(change func(*x509.Certificate)) *x509.Certificate {
		template := &x509.Certificate{Subject: pkix.Name{CommonName: testName}, DNSNames: []string{testName}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}
		change(template)
		return sign(template, root, key, rootKey)
	}
	unchanged := func(*x509.Certificate) {}
	clientAuth := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	for _, test := range []struct {
		name    string
		cert    func(*x509.Certificate)
		dialled string
		idr     *message.ID
		now     time.Time
		require bool
		want    CertificateRule // empty: accepted
	}{
		{"dNSName", unchanged, testName, identityOf(testName), epoch, false, ""},
		{"dNSName in other case", unchanged, "VPN.example.ORG", identityOf("vpn.EXAMPLE.org"), epoch, false, ""},
		{"iPAddress", unchanged, "192.0.2.1", identityOf("192.0.2.1"), epoch, false, ""},
		{"name dialled, address claimed, both there", unchanged, testName, identityOf("192.0.2.1"), epoch, false, ""},
		{"distinguished name claimed", unchanged, testName, &message.ID{Kind: message.IDDERASN1DN}, epoch, false, ""},
		{"another distinguished name", unchanged, testName, &message.ID{Kind: message.IDDERASN1DN, Data: []byte{0x30, 0}}, epoch, false, RuleIdentity},
		{"key id claimed", unchanged, testName, &message.ID{Kind: message.IDKeyID, Data: []byte(testName)}, epoch, false, RuleIdentity},
		{"mail address claimed", unchanged, testName, identityOf("root@example.org"), epoch, false, RuleIdentity},
		{"another address claimed", unchanged, testName, identityOf("192.0.2.2"), epoch, false, RuleIdentity},
		{"common name only", func(c *x509.Certificate) { c.DNSNames = nil }, testName, identityOf(testName), epoch, false, RuleName},
		{"address dialled, not in it", unchanged, "192.0.2.2", identityOf(testName), epoch, false, RuleName},
		{"expired", unchanged, testName, identityOf(testName), epoch.Add(2 * time.Hour), false, RuleValidity},
		{"not yet valid", unchanged, testName, identityOf(testName), epoch.Add(-2 * time.Hour), false, RuleValidity},
		{"for clients, nothing required", clientAuth, testName, identityOf(testName), epoch, false, ""},
		{"for clients, servers required", clientAuth, testName, identityOf(testName), epoch, true, RuleUsage},
	} {
		leaf := server(test.cert)
		if test.idr.Kind == message.IDDERASN1DN && test.idr.Data == nil {
			test.idr.Data = leaf.RawSubject
		}
		cfg := testConfig()
		cfg.Roots = x509.NewCertPool()
		cfg.Roots.AddCert(root)
		cfg.Server, cfg.ServerName, cfg.RequireServerAuth = test.dialled, "", test.require
		sa, err := NewSA(cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sa.verifyCertificate(test.now, []message.Payload{&message.Cert{Encoding: message.CertX509Signature, Data: leaf.Raw}}, test.idr)
		var e *CertificateError
		if errors.As(err, &e) != (test.want != "") || test.want != "" && e.Rule != test.want {
			t.Errorf("%s: %v, want the rule %q", test.name, err, test.want)
		}
	}
}

func TestUnreadableCertificates(t *testing.T) {
	cert := func(encoding message.CertEncoding, data []byte) message.Payload {
		return &message.Cert{Encoding: encoding, Data: data}
	}
	good := cert(message.CertX509Signature, chain().leaf.Raw)
	for _, test := range []struct {
		name string
		ps   []message.Payload
		want CertificateRule
	}{
		{"none", nil, RulePresent},
		{"a hash and URL", []message.Payload{cert(12, []byte("http://x"))}, RulePresent},
		{"the first unreadable", []message.Payload{cert(message.CertX509Signature, []byte{1}), good}, RuleParse},
		{"an unreadable one behind the gateway's", []message.Payload{good, cert(message.CertX509Signature, []byte{1})}, ""},
	} {
		_, _, err := parseCertificates(test.ps)
		var e *CertificateError
		if errors.As(err, &e) != (test.want != "") || test.want != "" && e.Rule != test.want {
			t.Errorf("%s: %v, want the rule %q", test.name, err, test.want)
		}
	}
}
