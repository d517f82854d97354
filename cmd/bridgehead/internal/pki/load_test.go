package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testKeys are shared by the tests: making RSA keys is slow.
var testKeys = struct{ rsa, rsa2, rsa1024, p256, p521, ed25519 crypto.Signer }{
	rsa: mustKey(rsa.GenerateKey(rand.Reader, 2048)), rsa2: mustKey(rsa.GenerateKey(rand.Reader, 2048)),
	rsa1024: mustKey(rsa.GenerateKey(rand.Reader, 1024)),
	p256:    mustKey(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
	p521:    mustKey(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
	ed25519: ed25519.NewKeyFromSeed(make([]byte, 32)),
}

func mustKey[K any](key K, err error) K {
	if err != nil {
		panic(err)
	}
	return key
}

var testSerial int64

// certificate makes one for key, signed by parent with parentKey or, if parent
// is nil, by itself.
func certificate(t testing.TB, cn string, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer, edit func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	testSerial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(testSerial), Subject: pkix.Name{CommonName: cn},
		NotBefore: testNow.AddDate(0, -1, 0), NotAfter: testNow.AddDate(1, 0, 0), BasicConstraintsValid: true,
	}
	if edit != nil {
		edit(c)
	}
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	must(t, err)
	made, err := x509.ParseCertificate(der)
	must(t, err)
	return made
}

func authority(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }

func server(c *x509.Certificate) {
	c.DNSNames, c.KeyUsage = []string{"vpn.example.org"}, x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

// testChain is leaf, two intermediates and root, with the leaf's key.
func testChain(t testing.TB) []*x509.Certificate {
	t.Helper()
	root := certificate(t, "Root", testKeys.p256, nil, nil, authority)
	outer := certificate(t, "Outer", testKeys.rsa2, root, testKeys.p256, authority)
	inner := certificate(t, "Inner", testKeys.p521, outer, testKeys.rsa2, authority)
	leaf := certificate(t, "vpn.example.org", testKeys.rsa, inner, testKeys.p521, server)
	return []*x509.Certificate{leaf, inner, outer, root}
}

func pemOf(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	b.WriteString("subject=someone\n") // as openssl x509 -subject prints it
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

func pemKey(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// folder writes files into a fresh folder and gives a function for their paths.
func folder(t testing.TB, files map[string][]byte) func(name string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return func(name string) string { return filepath.Join(dir, name) }
}

func TestChainIsFoundAndOrdered(t *testing.T) {
	c := testChain(t)
	leaf, inner, outer, root := c[0], c[1], c[2], c[3]
	foreign := certificate(t, "Inner", testKeys.ed25519, nil, nil, authority) // same name, another key
	expired := certificate(t, "Inner", testKeys.p521, outer, testKeys.rsa2, func(c *x509.Certificate) {
		authority(c)
		c.NotAfter = testNow.AddDate(0, 0, -1)
	})
	path := folder(t, map[string][]byte{
		"leaf.pem": pemOf(leaf), "leaf.der": leaf.Raw, "full.pem": pemOf(leaf, inner, outer, root),
		"mixed.pem": pemOf(root, outer, leaf, inner), "both.pem": append(pemKey(t, testKeys.rsa), pemOf(leaf, inner)...),
		"server.key": pemKey(t, testKeys.rsa), "inner.pem": pemOf(inner), "outer.der": outer.Raw,
		"cacerts/inner.pem": pemOf(foreign, expired, inner), "cacerts/outer.crt": outer.Raw, "cacerts/README": []byte("intermediates"),
		"cacerts/old/x.pem": pemOf(leaf), "empty/x": nil,
	})
	complete, none := []*x509.Certificate{leaf, inner, outer}, []Fault(nil)
	partial := []Fault{IncompleteChain}
	for _, c := range []struct {
		name   string
		files  Files
		want   []*x509.Certificate
		faults []Fault
	}{
		{"leaf alone", Files{Certificate: "leaf.pem"}, c[:1], partial},
		{"full chain, root left out", Files{Certificate: "full.pem"}, complete, none},
		{"any order", Files{Certificate: "mixed.pem"}, complete, none},
		{"DER, intermediates in files", Files{Certificate: "leaf.der", Chain: []string{"outer.der", "inner.pem"}}, complete, partial},
		{"folder with foreign, expired and other files", Files{Certificate: "leaf.pem", Chain: []string{"cacerts"}}, complete, partial},
		{"certificate and key in one file", Files{Certificate: "both.pem", Key: "both.pem", Chain: []string{"outer.der"}}, complete, partial},
		{"empty folder", Files{Certificate: "leaf.pem", Chain: []string{"empty"}}, c[:1], partial},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Files{Certificate: path(c.files.Certificate), Key: path("server.key")}
			if c.files.Key != "" {
				f.Key = path(c.files.Key)
			}
			for _, p := range c.files.Chain {
				f.Chain = append(f.Chain, path(p))
			}
			id, warnings, err := Load(f, "vpn.example.org", testNow)
			must(t, err)
			if !slices.EqualFunc(id.Chain, c.want, (*x509.Certificate).Equal) {
				t.Errorf("chain %v", subjects(id.Chain))
			}
			if atHand := c.faults == nil; atHand != (id.Root != nil) || atHand && !id.Root.Equal(root) {
				t.Errorf("root %v", id.Root)
			}
			if got := faultsOf(warnings); !slices.Equal(got, c.faults) {
				t.Errorf("faults %v, want %v", got, c.faults)
			}
		})
	}
}

func subjects(chain []*x509.Certificate) (names []string) {
	for _, c := range chain {
		names = append(names, subject(c))
	}
	return names
}

func faultsOf(warnings []Warning) (faults []Fault) {
	for _, w := range warnings {
		faults = append(faults, w.Fault)
	}
	return faults
}

func TestKeysAsPeopleHaveThem(t *testing.T) {
	path := folder(t, map[string][]byte{
		"rsa-pkcs8": pemKey(t, testKeys.rsa), "p256-pkcs8": pemKey(t, testKeys.p256), "ed25519-pkcs8": pemKey(t, testKeys.ed25519),
	})
	openssl(t, "rsa", "-in", path("rsa-pkcs8"), "-traditional", "-out", path("rsa-pkcs1"))
	openssl(t, "rsa", "-in", path("rsa-pkcs8"), "-traditional", "-outform", "DER", "-out", path("rsa-pkcs1-der"))
	openssl(t, "pkcs8", "-topk8", "-nocrypt", "-in", path("rsa-pkcs8"), "-outform", "DER", "-out", path("rsa-pkcs8-der"))
	openssl(t, "ec", "-in", path("p256-pkcs8"), "-out", path("p256-sec1"))
	openssl(t, "ec", "-in", path("p256-pkcs8"), "-outform", "DER", "-out", path("p256-sec1-der"))
	openssl(t, "ecparam", "-name", "prime256v1", "-genkey", "-out", path("p256-with-parameters"))
	for file, want := range map[string]crypto.Signer{
		"rsa-pkcs8": testKeys.rsa, "rsa-pkcs8-der": testKeys.rsa, "rsa-pkcs1": testKeys.rsa, "rsa-pkcs1-der": testKeys.rsa,
		"p256-pkcs8": testKeys.p256, "p256-sec1": testKeys.p256, "p256-sec1-der": testKeys.p256, "ed25519-pkcs8": testKeys.ed25519,
	} {
		key, err := readKey(path(file))
		if err != nil || !key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(want.Public()) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := readKey(path("p256-with-parameters")); err != nil {
		t.Error(err)
	}
}

func TestFilesThatCannotBeUsedSayWhatToDo(t *testing.T) {
	c := testChain(t)
	path := folder(t, map[string][]byte{
		"leaf.pem": pemOf(c[0]), "server.key": pemKey(t, testKeys.rsa), "other.key": pemKey(t, testKeys.p256),
		"empty": nil, "text": []byte("hello"), "cut.pem": pemOf(c[0])[:200],
		"bad.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"bad.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
		"big":     bytes.Repeat([]byte("x"), maxFileSize+1),
	})
	openssl(t, "pkcs8", "-topk8", "-in", path("server.key"), "-passout", "pass:x", "-out", path("encrypted.key"))
	openssl(t, "rsa", "-aes128", "-traditional", "-in", path("server.key"), "-passout", "pass:x", "-out", path("encrypted1.key"))
	openssl(t, "pkcs12", "-export", "-inkey", path("server.key"), "-in", path("leaf.pem"), "-passout", "pass:x", "-out", path("all.p12"))
	openssl(t, "crl2pkcs7", "-nocrl", "-certfile", path("leaf.pem"), "-out", path("bundle.p7b"))
	openssl(t, "req", "-new", "-key", path("server.key"), "-subj", "/CN=x", "-out", path("request.csr"))
	must(t, syscall.Mkfifo(path("pipe"), 0o600)) // nobody ever writes to it
	for _, c := range []struct{ name, cert, key, chain, at, want string }{
		{"pipe as certificate", "pipe", "server.key", "", "pipe", "is not a file"},
		{"pipe as key", "leaf.pem", "pipe", "", "pipe", "is not a file"},
		{"folder as certificate", "", "server.key", "", "", "name the file itself"},
		{"pipe as chain", "leaf.pem", "server.key", "pipe", "pipe", "is not a file"},
		{"no certificate file", "absent", "server.key", "", "absent", "no such file"},
		{"no key file", "leaf.pem", "absent", "", "absent", "no such file"},
		{"no chain file", "leaf.pem", "server.key", "absent", "absent", "or nothing"},
		{"chain file without certificates", "leaf.pem", "server.key", "text", "text", "holds no certificate"},
		{"empty certificate", "empty", "server.key", "", "empty", "expected PEM"},
		{"text", "text", "server.key", "", "text", "expected PEM"},
		{"cut off", "cut.pem", "server.key", "", "cut.pem", "holds no certificate"},
		{"broken certificate", "bad.pem", "server.key", "", "bad.pem", "cannot be read"},
		{"broken key", "leaf.pem", "bad.key", "", "bad.key", "must be RSA, ECDSA or Ed25519"},
		{"too big", "big", "server.key", "", "big", "too many"},
		{"exchanged", "server.key", "leaf.pem", "", "server.key", "exchanged"},
		{"certificate for key", "leaf.pem", "leaf.pem", "", "leaf.pem", "exchanged"},
		{"pass phrase, PKCS #8", "leaf.pem", "encrypted.key", "", "encrypted.key", "openssl pkey -in "},
		{"pass phrase, PKCS #1", "leaf.pem", "encrypted1.key", "", "encrypted1.key", "openssl pkey -in "},
		{"PKCS #12", "all.p12", "server.key", "", "all.p12", "openssl pkcs12 -in "},
		{"PKCS #12 for key", "leaf.pem", "all.p12", "", "all.p12", "openssl pkcs12 -in "},
		{"PKCS #7", "bundle.p7b", "server.key", "", "bundle.p7b", "openssl pkcs7 -print_certs"},
		{"request", "request.csr", "server.key", "", "request.csr", "the authority sent back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Files{Certificate: path(c.cert), Key: path(c.key)}
			if c.chain != "" {
				f.Chain = []string{path(c.chain)}
			}
			_, _, err := Load(f, "vpn.example.org", testNow)
			var e *FileError
			if !errors.As(err, &e) || e.Path != path(c.at) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q about %s", err, c.want, c.at)
			}
		})
	}
	folder := Files{Certificate: path("leaf.pem"), Key: path("server.key"), Chain: []string{path("")}}
	if _, _, err := Load(folder, "vpn.example.org", testNow); err != nil {
		t.Errorf("a folder of intermediates with a pipe in it: %v", err)
	}
	_, _, err := Load(Files{Certificate: path("leaf.pem"), Key: path("other.key")}, "vpn.example.org", testNow)
	var e *MismatchError
	if !errors.As(err, &e) || e.Key != "ECDSA P-256" || e.Certificate != "CN=vpn.example.org, RSA 2048 bits" {
		t.Errorf("foreign key: %v", err)
	}
}

func TestExamine(t *testing.T) {
	for _, c := range []struct {
		name  string
		typed string
		key   crypto.Signer
		edit  func(*x509.Certificate)
		want  []Fault
		says  string // in the text of the first
	}{
		{"nothing wrong", "vpn.example.org", testKeys.rsa, nil, nil, ""},
		{"letters' case", "VPN.Example.org", testKeys.rsa, nil, nil, ""},
		{"expired", "", testKeys.rsa, func(c *x509.Certificate) { c.NotAfter = testNow.Add(-time.Second) }, []Fault{Expired}, "ended on 2026-11-23"},
		{"expires soon", "", testKeys.rsa, func(c *x509.Certificate) { c.NotAfter = testNow.AddDate(0, 0, 20) }, []Fault{Expiring}, "ends on 2026-12-13"},
		{"not yet valid", "", testKeys.rsa, func(c *x509.Certificate) { c.NotBefore = testNow.Add(time.Hour) }, []Fault{NotYetValid}, "check this machine's clock"},
		{"too long for Apple", "", testKeys.rsa, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(0, 0, 826) }, []Fault{LongLife}, "826 days"},
		{"825 days", "", testKeys.rsa, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(0, 0, 825) }, nil, ""},
		{"another name", "gw.example.org", testKeys.rsa, nil, []Fault{WrongName}, "is for vpn.example.org, not for gw.example.org"},
		{"name that cannot be", "a_b", testKeys.rsa, nil, []Fault{WrongName}, "the character _"},
		{"wildcard", "vpn.example.org", testKeys.rsa, func(c *x509.Certificate) { c.DNSNames = []string{"*.example.org"} }, []Fault{Wildcard}, "*.example.org"},
		{"wildcard beside the name", "vpn.example.org", testKeys.rsa, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "*.example.org") }, nil, ""},
		{"wildcard of another domain", "vpn.example.org", testKeys.rsa, func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} }, []Fault{WrongName}, ""},
		{"common name alone", "", testKeys.rsa, func(c *x509.Certificate) { c.DNSNames = nil }, []Fault{NoAlternativeName}, "subjectAltName"},
		{"address", "192.0.2.1", testKeys.rsa, func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"192.0.2.1"}, []net.IP{net.ParseIP("192.0.2.1")}
		}, nil, ""},
		{"IPv6 address", "2001:db8:0::1", testKeys.rsa, func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = []string{"2001:db8::1"}, []net.IP{net.ParseIP("2001:db8::1")}
		}, nil, ""},
		{"address, no dNSName", "192.0.2.1", testKeys.rsa, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1")} }, []Fault{AddressNotAsName}, "13801"},
		{"address, no iPAddress", "192.0.2.1", testKeys.rsa, func(c *x509.Certificate) { c.DNSNames = []string{"192.0.2.1"} }, []Fault{AddressOnlyAsName}, "Android"},
		{"another address", "192.0.2.2", testKeys.rsa, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP("192.0.2.1")} }, []Fault{WrongName}, "192.0.2.1, not for 192.0.2.2"},
		{"for clients", "", testKeys.rsa, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, []Fault{NoServerAuth}, "serverAuth"},
		{"no extended usage", "", testKeys.rsa, func(c *x509.Certificate) { c.ExtKeyUsage = nil }, []Fault{NoServerAuth}, "13801"},
		{"for keys alone", "", testKeys.rsa, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, []Fault{NoDigitalSignature}, "digitalSignature"},
		{"no usage", "", testKeys.rsa, func(c *x509.Certificate) { c.KeyUsage = 0 }, nil, ""},
		{"an authority's", "", testKeys.rsa, func(c *x509.Certificate) { c.IsCA = true }, []Fault{Authority}, "authority's"},
		{"ECDSA", "", testKeys.p256, nil, []Fault{NotRSA}, "The VPN server did not respond"},
		{"P-521", "", testKeys.p521, nil, []Fault{UnusualKey}, "13801"},
		{"Ed25519", "", testKeys.ed25519, nil, []Fault{UnusualKey}, "Ed25519"},
		{"short RSA", "", testKeys.rsa1024, nil, []Fault{ShortKey}, "RSA 1024 bits"},
		{"several at once", "gw.example.org", testKeys.p256, func(c *x509.Certificate) { c.ExtKeyUsage = nil }, []Fault{WrongName, NoServerAuth, NotRSA}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := certificate(t, "Root", testKeys.rsa2, nil, nil, authority)
			leaf := certificate(t, "vpn.example.org", c.key, root, testKeys.rsa2, func(made *x509.Certificate) {
				server(made)
				if c.edit != nil {
					c.edit(made)
				}
			})
			typed := c.typed
			if typed == "" {
				typed = "vpn.example.org"
			}
			warnings := examine([]*x509.Certificate{leaf}, root, typed, testNow)
			if got := faultsOf(warnings); !slices.Equal(got, c.want) {
				t.Fatalf("faults %v, want %v: %v", got, c.want, warnings)
			}
			for _, w := range warnings {
				if w.Text == "" || len(w.Symptoms) == 0 || w.Remedy == "" {
					t.Errorf("a warning without text, consequence or remedy: %+v", w)
				}
			}
			if c.says != "" && !strings.Contains(warnings[0].String(), c.says) {
				t.Errorf("%q does not say %q", warnings[0], c.says)
			}
		})
	}
}

func TestMissingIntermediateSaysWhereItIs(t *testing.T) {
	c := testChain(t)
	leaf := certificate(t, "vpn.example.org", testKeys.rsa, c[1], testKeys.p521, func(made *x509.Certificate) {
		server(made)
		made.IssuingCertificateURL = []string{"http://ca.example.org/inner.der"}
	})
	warnings := examine([]*x509.Certificate{leaf}, nil, "vpn.example.org", testNow)
	if !slices.Equal(faultsOf(warnings), []Fault{IncompleteChain}) || !strings.Contains(warnings[0].String(), "http://ca.example.org/inner.der") ||
		!strings.Contains(warnings[0].Text, `"CN=Inner"`) {
		t.Errorf("got %v", warnings)
	}
}

// Two authorities that have certified each other make a circle.
func TestChainOfACircleEnds(t *testing.T) {
	a := certificate(t, "A", testKeys.rsa2, nil, nil, authority)
	b := certificate(t, "B", testKeys.p256, a, testKeys.rsa2, authority)
	a = certificate(t, "A", testKeys.rsa2, b, testKeys.p256, authority)
	leaf := certificate(t, "vpn.example.org", testKeys.rsa, a, testKeys.rsa2, server)
	chain, root := order(leaf, []*x509.Certificate{b, leaf, a}, testNow)
	if want := []*x509.Certificate{leaf, a, b}; !slices.EqualFunc(chain, want, (*x509.Certificate).Equal) || root != nil {
		t.Errorf("chain %v, root %v", subjects(chain), root)
	}
}

func TestSHA1SignatureIsReported(t *testing.T) {
	path := folder(t, map[string][]byte{"key": pemKey(t, testKeys.rsa)})
	openssl(t, "req", "-x509", "-sha1", "-key", path("key"), "-subj", "/CN=vpn.example.org", "-days", "300",
		"-addext", "subjectAltName=DNS:vpn.example.org", "-addext", "extendedKeyUsage=serverAuth",
		"-addext", "basicConstraints=CA:FALSE", "-out", path("cert"))
	_, warnings, err := Load(Files{Certificate: path("cert"), Key: path("key")}, "vpn.example.org", time.Now())
	must(t, err)
	if got := faultsOf(warnings); !slices.Equal(got, []Fault{WeakSignature}) || !strings.Contains(warnings[0].Text, "SHA1-RSA") {
		t.Errorf("got %v", warnings)
	}
}

func TestExpiredIntermediateIsReported(t *testing.T) {
	root := certificate(t, "Root", testKeys.p256, nil, nil, authority)
	inner := certificate(t, "Inner", testKeys.rsa2, root, testKeys.p256, func(c *x509.Certificate) {
		authority(c)
		c.NotAfter = testNow.AddDate(0, 0, -1)
	})
	leaf := certificate(t, "vpn.example.org", testKeys.rsa, inner, testKeys.rsa2, server)
	path := folder(t, map[string][]byte{"full.pem": pemOf(leaf, inner, root), "key": pemKey(t, testKeys.rsa)})
	id, warnings, err := Load(Files{Certificate: path("full.pem"), Key: path("key")}, "vpn.example.org", testNow)
	must(t, err)
	if len(id.Chain) != 2 || !slices.Equal(faultsOf(warnings), []Fault{Expired}) {
		t.Errorf("chain %v, warnings %v", subjects(id.Chain), warnings)
	}
}

func FuzzRead(f *testing.F) {
	c := testChain(f)
	f.Add(pemOf(c...))
	f.Add(c[0].Raw)
	f.Add(pemKey(f, testKeys.p256))
	f.Add([]byte("-----BEGIN TRUSTED CERTIFICATE-----\nMAA=\n-----END TRUSTED CERTIFICATE-----\n"))
	f.Add([]byte{0x30, 3, 2, 1, 3})
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "f")
		must(t, os.WriteFile(path, content, 0o600))
		certs, err := readCertificates(path)
		if (err == nil) != (len(certs) > 0) {
			t.Errorf("%d certificates with error %v", len(certs), err)
		}
		if err == nil {
			chain, root := order(certs[0], certs, testNow)
			if len(chain) == 0 || len(chain) > len(certs) {
				t.Errorf("chain of %d out of %d", len(chain), len(certs))
			}
			examine(chain, root, "vpn.example.org", testNow)
		}
		if key, err := readKey(path); (err == nil) != (key != nil) {
			t.Errorf("key %v with error %v", key, err)
		}
	})
}
