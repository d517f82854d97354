package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
)

// siteConfig is a configuration with nothing wrong.
const siteConfig = `[server]
name        = "vpn.example.org"
certificate = "server.pem"
key         = "server.key"
chain       = "root.pem"

[addresses]
pools = ["192.0.2.0/25", "2001:db8::/96"]
dns   = ["192.0.2.200"]

[auth.file]
path = "users"
`

// siteFolder is a configuration with its files, before something is broken.
type siteFolder struct {
	t   *testing.T
	dir string
}

// forge is what all sites' certificates are made of.
type forge struct {
	rsa, rsa1024, p256, p521, ed25519 crypto.Signer
	rootKey, innerKey                 crypto.Signer
	root, inner, oldInner             *x509.Certificate
}

// newForge makes keys and authorities: making RSA keys is slow.
var newForge = sync.OnceValue(func() *forge {
	f := &forge{
		rsa: newKey(rsa.GenerateKey(rand.Reader, 2048)), rsa1024: newKey(rsa.GenerateKey(rand.Reader, 1024)),
		p256: newKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), p521: newKey(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		ed25519: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)),
		rootKey: newKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), innerKey: newKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
	}
	authority := func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.DNSNames = true, x509.KeyUsageCertSign, nil, nil
	}
	f.root = f.sign("Root", f.rootKey, nil, nil, authority)
	f.inner = f.sign("Inner", f.innerKey, f.root, f.rootKey, authority)
	f.oldInner = f.sign("Inner", f.innerKey, f.root, f.rootKey, func(c *x509.Certificate) {
		authority(c)
		c.NotBefore, c.NotAfter = day(2019, 1, 1), day(2020, 1, 1)
	})
	return f
})

func newKey[K crypto.Signer](key K, err error) crypto.Signer {
	if err != nil {
		panic(err)
	}
	return key
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

// sign makes a certificate that is good for vpn.example.org unless edit spoils
// it; without a parent it signs itself.
func (f *forge) sign(cn string, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer, edit func(*x509.Certificate)) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err)
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: cn}, BasicConstraintsValid: true,
		NotBefore: today.AddDate(0, 0, -1), NotAfter: today.AddDate(1, 0, 0), DNSNames: []string{"vpn.example.org"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if edit != nil {
		edit(c)
	}
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		panic(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return made
}

// newSite makes a folder with a site that has nothing wrong.
func newSite(t *testing.T, dir string) *siteFolder {
	t.Helper()
	s := &siteFolder{t, dir}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("bridgehead.toml", siteConfig)
	s.identity("server", newForge().rsa, nil)
	s.write("root.pem", certificatePEM(newForge().root))
	s.user(secrets.User{Name: "alice"})
	return s
}

func (s *siteFolder) user(u secrets.User) {
	s.t.Helper()
	u.Hash = auth.HashPassword([]byte("a good password"))
	if err := secrets.Add(filepath.Join(s.dir, "users"), u); err != nil {
		s.t.Fatal(err)
	}
}

func (s *siteFolder) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// replace changes the configuration.
func (s *siteFolder) replace(old, new string) {
	s.t.Helper()
	if !strings.Contains(siteConfig, old) {
		s.t.Fatalf("the configuration has no %q", old)
	}
	s.write("bridgehead.toml", strings.Replace(siteConfig, old, new, 1))
}

// identity writes a certificate that the root signed, and its key.
func (s *siteFolder) identity(name string, key crypto.Signer, edit func(*x509.Certificate)) {
	s.t.Helper()
	f := newForge()
	s.write(name+".pem", certificatePEM(f.sign("vpn.example.org", key, f.root, f.rootKey, edit)))
	s.write(name+".key", keyPEM(key))
}

// below writes a certificate that the intermediate authority signed, with
// others behind it or, where they come first, before it.
func (s *siteFolder) below(before, after []*x509.Certificate) {
	f := newForge()
	leaf := f.sign("vpn.example.org", f.rsa, f.inner, f.innerKey, nil)
	s.write("server.pem", certificatePEM(append(append(before, leaf), after...)...))
}

// openssl does what Go refuses to.
func (s *siteFolder) openssl(args ...string) {
	s.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = s.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
}

func certificatePEM(certs ...*x509.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.String()
}

func keyPEM(key crypto.Signer) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// brokenSite is a site with one thing wrong.
type brokenSite struct {
	name   string
	spoil  func(*siteFolder)
	causes string // that check names, with blanks between
	fatal  bool   // it can't be used
}

// leaf spoils the server's certificate.
func leaf(edit func(*x509.Certificate)) func(*siteFolder) {
	return func(s *siteFolder) { s.identity("server", newForge().rsa, edit) }
}

// key takes another kind of key for the server.
func key(kind func(*forge) crypto.Signer) func(*siteFolder) {
	return func(s *siteFolder) { s.identity("server", kind(newForge()), nil) }
}

// text changes the configuration.
func text(old, new string) func(*siteFolder) {
	return func(s *siteFolder) { s.replace(old, new) }
}

// soon is when a certificate ends that is about to.
var soon = time.Now().UTC().AddDate(0, 0, 7)

// certificateSites have something wrong with a certificate or a key.
var certificateSites = []brokenSite{
	{"expired", leaf(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = day(2020, 1, 1), day(2020, 6, 1) }), "expired", false},
	{"expires in a week", leaf(func(c *x509.Certificate) { c.NotAfter = soon }), "expiring", false},
	{"not valid yet", leaf(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = day(2099, 1, 1), day(2099, 6, 1) }), "not-yet-valid", false},
	{"valid for 900 days", leaf(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(0, 0, 900) }), "long-life", false},
	{"another name", leaf(func(c *x509.Certificate) { c.DNSNames = []string{"www.example.org"} }), "wrong-name", false},
	{"wildcard", leaf(func(c *x509.Certificate) { c.DNSNames = []string{"*.example.org"} }), "wildcard", false},
	{"common name alone", leaf(func(c *x509.Certificate) { c.DNSNames = nil }), "no-alternative-name", false},
	{"for clients", leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), "no-server-auth", false},
	{"no extended usage", leaf(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), "no-server-auth", false},
	{"for key exchange alone", leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), "no-digital-signature", false},
	{"an authority's", leaf(func(c *x509.Certificate) { c.IsCA = true }), "authority", false},
	{"P-521", key(func(f *forge) crypto.Signer { return f.p521 }), "unusual-key", false},
	{"Ed25519", key(func(f *forge) crypto.Signer { return f.ed25519 }), "unusual-key", false},
	{"RSA of 1024 bits", key(func(f *forge) crypto.Signer { return f.rsa1024 }), "short-key", false},
	{"ECDSA alone", key(func(f *forge) crypto.Signer { return f.p256 }), "not-rsa", false},
	{"signed with SHA-1", func(s *siteFolder) {
		s.write("root.key", keyPEM(newForge().rootKey))
		s.write("extensions", "subjectAltName=DNS:vpn.example.org\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n")
		s.openssl("req", "-new", "-key", "server.key", "-subj", "/CN=vpn.example.org", "-out", "request")
		s.openssl("x509", "-req", "-sha1", "-in", "request", "-CA", "root.pem", "-CAkey", "root.key", "-days", "300", "-extfile", "extensions", "-out", "server.pem")
	}, "weak-signature", false},
	{"address as iPAddress alone", func(s *siteFolder) {
		s.replace("vpn.example.org", "203.0.113.1")
		leaf(func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{net.IPv4(203, 0, 113, 1)} })(s)
	}, "address-not-as-name", false},
	{"address as dNSName alone", func(s *siteFolder) {
		s.replace("vpn.example.org", "203.0.113.1")
		leaf(func(c *x509.Certificate) { c.DNSNames = []string{"203.0.113.1"} })(s)
	}, "address-only-as-name", false},
	{"intermediate missing", func(s *siteFolder) { s.below(nil, nil) }, "incomplete-chain", false},
	{"intermediate expired", func(s *siteFolder) { s.below(nil, []*x509.Certificate{newForge().oldInner}) }, "expired", false},
	{"key of another", func(s *siteFolder) { s.write("server.key", keyPEM(newForge().p256)) }, "key-mismatch", true},
	{"key with a pass phrase", func(s *siteFolder) {
		s.openssl("pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:x", "-out", "locked.key")
		s.replace("server.key", "locked.key")
	}, "unreadable-file", true},
	{"certificate and key exchanged", text("certificate = \"server.pem\"\nkey         = \"server.key\"", "certificate = \"server.key\"\nkey         = \"server.pem\""), "unreadable-file", true},
	{"PKCS #12 for PEM", func(s *siteFolder) {
		s.openssl("pkcs12", "-export", "-inkey", "server.key", "-in", "server.pem", "-passout", "pass:x", "-out", "server.p12")
		s.replace("server.pem", "server.p12")
	}, "unreadable-file", true},
	{"no certificate", text(`"server.pem"`, `"missing.pem"`), "unreadable-file", true},
	{"no chain", text(`"root.pem"`, `"cacerts"`), "unreadable-file", true},
	{"two certificates, one key", text(`"server.pem"`, `["server.pem", "server.pem"]`), "key-count", true},
	{"key that others can read", func(s *siteFolder) {
		if err := os.Chmod(filepath.Join(s.dir, "server.key"), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}, "readable-by-others", false},
}

// configurationSites have something wrong with settings or users.
var configurationSites = []brokenSite{
	{"no TOML", text(`"server.pem"`, `"server.pem`), "syntax", true},
	{"set twice", text("dns ", "pools = [\"198.51.100.0/24\"]\ndns "), "set-twice", true},
	{"mistyped setting", text("chain ", "chian "), "unknown-setting", true},
	{"mistyped section", text("[addresses]", "[adresses]"), "missing-setting unknown-section", true},
	{"no name", text(`name        = "vpn.example.org"`, ""), "missing-setting", true},
	{"name with a wildcard", text("vpn.example.org", "*.example.org"), "bad-value", true},
	{"number for a list", text(`["192.0.2.0/25", "2001:db8::/96"]`, "5"), "bad-value", true},
	{"pool too small", func(s *siteFolder) {
		for _, name := range []string{"bob", "carol"} {
			s.user(secrets.User{Name: name})
		}
		s.replace("192.0.2.0/25", "192.0.2.10-192.0.2.11")
	}, "small-pool", false},
	{"pool with host bits", text("192.0.2.0/25", "192.0.2.1/25"), "bad-value", true},
	{"pools overlap", text(`"192.0.2.0/25"`, `"192.0.2.0/25", "192.0.2.100-192.0.2.150"`), "pool-overlap", true},
	{"name server without an address", text("192.0.2.200", "ns.example.org"), "bad-value", true},
	{"name server inside the pool", text("192.0.2.200", "192.0.2.53"), "inside-pool", true},
	{"unknown backend", text("[auth.file]", "[auth]\nbackend = \"kerberos\"\n[auth.file]"), "bad-value", true},
	{"cipher that is none", text("[auth.file]", "[ike]\nproposals = \"aes256-sha256-modp2048,3des-sha1-modp1024\"\n[auth.file]"), "bad-value", true},
	{"modp1024 without need", text("[auth.file]", "[ike]\nproposals = \"aes256-sha256-modp2048-modp1024\"\n[auth.file]"), "weak-group", false},
	{"modp1024 alone", text("[auth.file]", "[ike]\nproposals = \"aes256-sha1-modp1024\"\n[auth.file]"), "weak-group", false},
	{"one port for both", text("chain ", "nat_port = 500\nchain "), "bad-value", true},
	{"announced where nobody asks", text("[auth.file]", "announce = \"eht0\"\n[auth.file]"), "no-interface", false},
	{"hook that is missing", text("[auth.file]", "[hooks]\nupdown = \"/nonexistent/updown\"\n[auth.file]"), "bad-value", true},
	{"no users file", text(`"users"`, `"usres"`), "unreadable-file", true},
	{"no users", func(s *siteFolder) { s.write("users", "# nobody yet\n") }, "no-users", false},
	{"broken line of users", func(s *siteFolder) {
		users, err := os.ReadFile(filepath.Join(s.dir, "users"))
		if err != nil {
			s.t.Fatal(err)
		}
		s.write("users", string(users)+"bob password\n")
	}, "users-line", false},
	{"user of a pool that is missing", func(s *siteFolder) {
		s.user(secrets.User{Name: "bob", Pool: "staff"})
	}, "unknown-pool", false},
	{"users that others can read", func(s *siteFolder) {
		if err := os.Chmod(filepath.Join(s.dir, "users"), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}, "readable-by-others", false},
}

// soundSites look unusual and are good.
var soundSites = []brokenSite{
	{"nothing wrong", func(*siteFolder) {}, "", false},
	{"root included", func(s *siteFolder) { s.below(nil, []*x509.Certificate{newForge().inner, newForge().root}) }, "", false},
	{"chain in the wrong order", func(s *siteFolder) { s.below([]*x509.Certificate{newForge().root, newForge().inner}, nil) }, "", false},
	{"ECDSA beside RSA", func(s *siteFolder) {
		s.identity("ecdsa", newForge().p256, nil)
		s.replace("certificate = \"server.pem\"\nkey         = \"server.key\"", "certificate = [\"ecdsa.pem\", \"server.pem\"]\nkey         = [\"ecdsa.key\", \"server.key\"]")
	}, "", false},
}
