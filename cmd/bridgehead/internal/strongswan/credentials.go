package strongswan

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// leftCert names the gateway's certificates.
func leftCert(t *translator, e *entry) {
	for _, w := range t.listed(e) {
		if strings.HasPrefix(w, "%") {
			smartcard(t, e)
			return
		}
		t.certs = append(t.certs, credential{path: resolve(t.folders.certs, w), from: e})
	}
}

func smartcard(t *translator, e *entry) {
	t.add(e.Place, "%s: keys and certificates on smartcards aren't supported; expected a file", e.Name)
}

// authorityFile is an authority's certificate, perhaps an intermediate one.
func authorityFile(t *translator, e *entry) {
	if strings.HasPrefix(e.value, "%") {
		smartcard(t, e)
		return
	}
	path := resolve(t.folders.cacerts, e.value)
	t.chain = append(t.chain, path)
	e.taken("server.chain = %s", quote(path))
}

// leftID is who the gateway says it is. By default that is the certificate's
// subject, unless the client asks for a name that the certificate has.
func leftID(t *translator, e *entry) {
	id := e.value
	switch {
	case strings.Contains(id, "="), id == "%any", id == "%fromcert":
		e.unneeded("the gateway is known by its certificate's subject, and by each name in it that a client asks for")
		return
	case strings.HasPrefix(id, "@#"), strings.HasPrefix(id, "@@"), strings.Contains(id[1:], "@"), strings.HasPrefix(id, "%"):
		e.unsupported("the gateway is known by its certificate's names; clients must ask for one of them")
		return
	}
	if id = strings.TrimPrefix(id, "@"); !typeable(id) {
		t.add(e.valueAt, "%s: expected a DNS name or an address that clients type, such as vpn.example.org", e.Name)
		return
	}
	t.name, t.nameFrom = id, e.Place
	if t.options.Name != "" && t.options.Name != t.name {
		e.unneeded("another name was given for the import")
		return
	}
	e.taken("server.name = %s", quote(t.name))
}

// credentials pairs certificates with keys and finds the chain.
func (t *translator) credentials() {
	if len(t.certs) == 0 {
		t.add(t.connection.at, "%q names no certificate; expected leftcert (certs in swanctl.conf)", t.connection.name)
		return
	}
	var certs, keys []string
	used := make(map[string]bool)
	for _, cert := range t.certs {
		key := t.keyOf(cert)
		if key == nil {
			t.add(cert.from.valueAt, "no private key for %s: expected \": RSA FILE\" or \": ECDSA FILE\" in ipsec.secrets (a file in the private folder with swanctl.conf) that is readable and belongs to it", cert.path)
			continue
		}
		if key.locked {
			t.add(key.place(), "the key %s has a passphrase, which bridgehead has no place for; write it without one: openssl pkey -in %s -out FILE, and name that file here", key.path, key.path)
		}
		certs, keys = append(certs, cert.path), append(keys, key.path)
		used[key.path] = true
	}
	for _, key := range t.keys {
		if key.from != nil && used[key.path] {
			key.from.taken("server.key = %s", quote(key.path))
		} else if key.from != nil {
			key.from.unneeded("belongs to none of the certificates taken over")
		}
	}
	for _, cert := range t.certs {
		if cert.from.Outcome == "" {
			cert.from.taken("server.certificate = %s", quoteList(certs))
		}
	}
	t.plan.set("server.certificate", quoteList(certs), t.certs[0].from.Place)
	t.plan.set("server.key", quoteList(keys), t.keyPlace(used))
	t.addChain()
}

// keyPlace is where the first key that is used is named.
func (t *translator) keyPlace(used map[string]bool) Place {
	for _, k := range t.keys {
		if k.from != nil && used[k.path] {
			return k.from.Place
		}
	}
	return Place{}
}

// keyOf finds a certificate's key: the one that fits, or the only one where
// they can't be read.
func (t *translator) keyOf(cert credential) *credential {
	for i := range t.keys {
		if belongs(cert.path, t.keys[i].path) {
			return &t.keys[i]
		}
	}
	if len(t.keys) == 1 && len(t.certs) == 1 {
		return &t.keys[0]
	}
	return nil
}

// belongs tells whether a certificate and a key, both PEM, are a pair. A file
// may hold the chain before the leaf; then the pair isn't seen.
func belongs(cert, key string) bool {
	certPEM, err := readFile(cert, maxOctets)
	if err != nil {
		return false
	}
	keyPEM, err := readFile(key, maxOctets)
	if err != nil {
		return false
	}
	defer clear(keyPEM)
	_, err = tls.X509KeyPair(certPEM, keyPEM)
	return err == nil
}

// addChain adds the folder where strongSwan looks for intermediates, if it
// holds anything.
func (t *translator) addChain() {
	if files, err := os.ReadDir(t.folders.cacerts); err == nil && len(files) > 0 {
		t.chain = append([]string{t.folders.cacerts}, t.chain...)
		t.note("server.chain = %s: strongSwan takes intermediate certificates from there", quote(t.folders.cacerts))
	}
	var list []string
	for _, path := range t.chain {
		if filepath.Dir(path) == t.folders.cacerts && t.chain[0] == t.folders.cacerts {
			continue // the folder has it already
		}
		list = append(list, path)
	}
	if len(list) > 0 {
		t.plan.set("server.chain", quoteList(list), Place{})
	}
}

// serverName finds what clients type: what the caller says, else the identity
// in the input, else the certificate's first name.
func (t *translator) serverName() {
	switch {
	case t.options.Name != "":
		t.name, t.nameFrom = t.options.Name, Place{}
	case t.name == "" && len(t.certs) > 0:
		name, err := nameIn(t.certs[0].path)
		if err != nil {
			t.add(t.certs[0].from.valueAt, "the name that clients type can't be taken from %s: %v; give it with --name NAME", t.certs[0].path, err)
			return
		}
		t.name, t.nameFrom = name, t.certs[0].from.Place
		t.note("server.name = %s: the first name in the certificate; another one with --name NAME", quote(name))
	}
	if t.name != "" {
		t.plan.set("server.name", quote(t.name), t.nameFrom)
	}
}

// nameIn gives the first name in a certificate that clients can type.
func nameIn(path string) (string, error) {
	content, err := readFile(path, maxOctets)
	if err != nil {
		return "", errors.New(reason(err))
	}
	cert := leafOf(content)
	if cert == nil {
		return "", errors.New("expected a certificate in PEM or DER")
	}
	for _, name := range append(cert.DNSNames, cert.Subject.CommonName) {
		if typeable(name) {
			return name, nil
		}
	}
	for _, ip := range cert.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			return a.Unmap().String(), nil
		}
	}
	return "", errors.New("it holds no single name, only wildcards or none")
}

// typeable tells whether a text has the form of a DNS name or an address.
func typeable(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || strings.Trim(label, letters) != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return true
}

// leafOf gives the first certificate that is no authority's, else the first
// one; nil if there is none.
func leafOf(content []byte) *x509.Certificate {
	var first *x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
		case !cert.IsCA:
			return cert
		case first == nil:
			first = cert
		}
	}
	if first != nil {
		return first
	}
	cert, err := x509.ParseCertificate(content)
	if err != nil {
		return nil
	}
	return cert
}
