package provision

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/integration/profiles"
)

var update = flag.Bool("update", false, "write the golden files anew")

func proposals(t testing.TB, p message.Protocol, s string) suite.Proposals {
	t.Helper()
	ps, err := suite.ParseProposals(p, s)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// gateway is one with the defaults, known to everybody.
func gateway() Gateway {
	return Gateway{
		Server: "vpn.example.org", IKEPort: 500, NATTPort: 4500, IKE: suite.DefaultIKE(), ESP: suite.DefaultESP(), IPv4: true, IPv6: true,
	}
}

// split is one that clients use for a part of their traffic only.
func split(t testing.TB) Gateway {
	g := gateway()
	g.Subnets = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	g.DNS = []netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("fd00::53")}
	g.Domains = []string{"corp.example.org", "lab.example.org"}
	g.Authority, g.Certificate = authority(t, "Example's \"Root\" <&> `$x`"), nil
	return g
}

// authority is a root with an RSA key.
func authority(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return certificate(t, name, key)
}

func certificate(t testing.TB, name string, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(1.7e9, 0), NotAfter: time.Unix(4e9, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// read reads a profile as the client does.
func read(t testing.TB, p *Profile) *profiles.Setup {
	t.Helper()
	s, err := setup(p)
	if err != nil {
		t.Fatalf("%s: %v\n%s", p.Client, err, p.Text)
	}
	return s
}

func setup(p *Profile) (*profiles.Setup, error) {
	switch p.Client {
	case Windows:
		return profiles.Windows(p.Text)
	case Apple:
		return profiles.Apple(p.Text)
	case Android:
		return profiles.Android(p.Text)
	case NetworkManager:
		folder, err := os.MkdirTemp("", "a, b\\c*")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(folder)
		return profiles.NetworkManager(p.Text, folder)
	}
	return nil, errors.New("swanctl.conf is read by strongSwan itself")
}

// written are the clients whose profiles the package profiles reads.
var written = []Client{Windows, Apple, Android, NetworkManager}

func write(t testing.TB, g Gateway, c Client, conn Connection) *Profile {
	t.Helper()
	p, err := g.Profile(c, conn)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestGolden shows whole outputs: as they are for a public authority, and with
// everything that may be in them.
func TestGolden(t *testing.T) {
	full := split(t)
	// A real certificate would be another one each time.
	full.Authority = &x509.Certificate{Raw: []byte("an authority's certificate"), Subject: pkix.Name{CommonName: "Example Root"}}
	for name, g := range map[string]Gateway{"public": gateway(), "split": full} {
		for _, c := range Clients() {
			p := write(t, g, c, Connection{Name: "My VPN", User: "alice"})
			file := filepath.Join("testdata", name+"-"+p.File)
			if *update {
				if err := os.WriteFile(file, []byte(p.Text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), p.Text); diff != "" {
				t.Errorf("%s: -want +got\n%s", file, diff)
			}
		}
	}
}

// TestEachProfileMeansTheGateway reads every profile back.
func TestEachProfileMeansTheGateway(t *testing.T) {
	for _, g := range []Gateway{gateway(), split(t)} {
		for _, c := range written {
			p := write(t, g, c, Connection{Name: "My VPN", User: "alice"})
			s := read(t, p)
			if s.Name != "My VPN" || s.Server != g.Server || s.Identity != g.Server || s.Port != 0 {
				t.Errorf("%s: %+v", c, s)
			}
			if c != Windows && s.User != "alice" {
				t.Errorf("%s: user %q", c, s.User)
			}
			if s.IKE.String() != p.IKE || s.ESP.String() != p.ESP {
				t.Errorf("%s: proposes %s and %s, said %s and %s", c, s.IKE, s.ESP, p.IKE, p.ESP)
			}
			if g.Authority == nil && s.Root != nil || g.Authority != nil && !s.Root.Equal(g.Authority) {
				t.Errorf("%s: root %v, want %v", c, s.Root, g.Authority)
			}
			if again := write(t, g, c, Connection{Name: "My VPN", User: "alice"}); again.Text != p.Text {
				t.Errorf("%s: not the same again", c)
			}
		}
	}
}

// TestPageRemedies holds the lines that the setup guide names.
func TestPageRemedies(t *testing.T) {
	text := write(t, gateway(), Windows, Connection{Name: "My VPN"}).Text
	for _, want := range []string{
		"\nAdd-VpnConnectionRoute \"My VPN\" ::/1\n",
		"\nAdd-VpnConnectionRoute \"My VPN\" 8000::/1\n",
		"#   netsh interface ipv6 add route ::/0 \"My VPN\"\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
}

// TestWindowsEncoding marks UTF-8 where Windows would read another code page.
func TestWindowsEncoding(t *testing.T) {
	for name, want := range map[string]bool{"My VPN": false, "Büro": true} {
		if got := strings.HasPrefix(write(t, gateway(), Windows, Connection{Name: name}).Text, "\ufeff"); got != want {
			t.Errorf("%s: byte order mark %t", name, got)
		}
	}
}

func TestWindowsRoutes(t *testing.T) {
	prefixes := func(list ...string) []netip.Prefix {
		var all []netip.Prefix
		for _, p := range list {
			all = append(all, netip.MustParsePrefix(p))
		}
		return all
	}
	for _, c := range []struct {
		name       string
		subnets    []netip.Prefix
		v4, v6     bool
		everything bool
		routes     []string
	}{
		{"everything", nil, true, true, true, []string{"::/1", "8000::/1"}},
		{"everything, no IPv6", nil, true, false, true, nil},
		{"subnets", prefixes("10.0.0.0/8", "fd00::/8"), true, true, false, []string{"10.0.0.0/8", "fd00::/8"}},
		{"subnets, no IPv6", prefixes("10.0.0.0/8", "fd00::/8"), true, false, false, []string{"10.0.0.0/8"}},
		{"all IPv6, some IPv4", prefixes("10.0.0.0/8", "::/0"), true, true, false, []string{"10.0.0.0/8", "::/1", "8000::/1"}},
		{"all IPv4, some IPv6", prefixes("0.0.0.0/0", "fd00::/8"), true, true, true, []string{"fd00::/8"}},
	} {
		g := gateway()
		g.Subnets, g.IPv4, g.IPv6 = c.subnets, c.v4, c.v6
		s := read(t, write(t, g, Windows, Connection{Name: "My VPN"}))
		if s.Everything != c.everything || !slices.Equal(s.Routes, c.routes) {
			t.Errorf("%s: everything %t, routes %q", c.name, s.Everything, s.Routes)
		}
	}
}

func TestSplitNames(t *testing.T) {
	for _, c := range []Client{Windows, NetworkManager, Apple} {
		if s := read(t, write(t, split(t), c, Connection{Name: "My VPN"})); !slices.Equal(s.Domains, split(t).Domains) {
			t.Errorf("%s: domains %q", c, s.Domains)
		}
	}
	whole := split(t)
	whole.Subnets = nil
	for _, c := range []Client{Windows, Apple} {
		if s := read(t, write(t, whole, c, Connection{Name: "My VPN"})); s.Domains != nil {
			t.Errorf("%s: all names go through the tunnel, yet rules for %q", c, s.Domains)
		}
	}
}

// TestSuites sets each client to the best that a configuration allows.
func TestSuites(t *testing.T) {
	const seedIKE, seedESP = "aes256-aes192-aes128-sha384-sha256-sha1-modp3072-modp2048-modp1536-modp1024!", "aes256-aes192-aes128-sha384-sha256-sha1!"
	for _, c := range []struct {
		client   Client
		ike, esp string
		wantIKE  string
		wantESP  string
	}{
		{Windows, "", "", "aes256gcm16-prfsha384-ecp256", "aes256gcm16"},
		{Apple, "", "", "aes256gcm16-prfsha512-ecp256", "aes256gcm16"},
		{Android, "", "", "aes256gcm16-prfsha512-x25519", "aes256gcm16"},
		{StrongSwan, "", "", "aes256gcm16-prfsha512-x25519", "aes256gcm16"},
		{Windows, seedIKE, seedESP, "aes256-sha384-modp2048", "aes256-sha256"},
		{Apple, seedIKE, seedESP, "aes256-sha384-modp3072", "aes256-sha384"},
		{NetworkManager, seedIKE, seedESP, "aes256-sha384-modp3072", "aes256-sha384"},
		{Windows, "aes128-sha1-modp1024", "aes128-sha1", "aes128-sha1-modp1024", "aes128-sha1"},
		{Apple, "aes128-sha1-modp1024", "aes128-sha1", "aes128-sha1-modp1024", "aes128-sha1"},
		{Apple, "aes256-sha1-sha256-modp2048", "", "aes256-sha256-modp2048", "aes256gcm16"}, // SHA-1 only where it must be
		{Apple, "aes256gcm16-prfsha256-x25519", "", "aes256gcm16-prfsha256-x25519", "aes256gcm16"},
		{Windows, "", "aes256gcm16-x25519-ecp384", "aes256gcm16-prfsha384-ecp256", "aes256gcm16-ecp384"},
		{Apple, "", "aes256gcm16-modp2048-none", "aes256gcm16-prfsha512-ecp256", "aes256gcm16-modp2048"},
		{Windows, "", "aes256gcm16-x25519-none", "aes256gcm16-prfsha384-ecp256", "aes256gcm16"}, // the group is not one of its own
		{Android, "", "chacha20poly1305-x25519", "aes256gcm16-prfsha512-x25519", "chacha20poly1305-x25519"},
	} {
		g := gateway()
		if c.ike != "" {
			g.IKE = proposals(t, message.ProtocolIKE, c.ike)
		}
		if c.esp != "" {
			g.ESP = proposals(t, message.ProtocolESP, c.esp)
		}
		p := write(t, g, c.client, Connection{Name: "My VPN", User: "alice"})
		if p.IKE != c.wantIKE || p.ESP != c.wantESP {
			t.Errorf("%s of %q and %q: %s and %s, want %s and %s", c.client, c.ike, c.esp, p.IKE, p.ESP, c.wantIKE, c.wantESP)
		}
		if c.client != StrongSwan {
			if s := read(t, p); s.IKE.String() != c.wantIKE || s.ESP.String() != c.wantESP {
				t.Errorf("%s: the client proposes %s and %s", c.client, s.IKE, s.ESP)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	moved := gateway()
	moved.IKEPort, moved.NATTPort = 5500, 5501
	foreign := gateway()
	foreign.IKE = proposals(t, message.ProtocolIKE, "chacha20poly1305-prfsha256-modp8192")
	pfs := gateway()
	pfs.ESP = proposals(t, message.ProtocolESP, "aes256gcm16-x25519")
	for _, c := range []struct {
		what   string
		g      Gateway
		client Client
		conn   Connection
		says   string
	}{
		{"no name", gateway(), Apple, Connection{}, "is empty"},
		{"a line break", gateway(), Apple, Connection{Name: "a\nb"}, "cannot be seen"},
		{"a carriage return in the user's name", gateway(), Windows, Connection{Name: "a", User: "b\r"}, "the user's name"},
		{"a line separator", gateway(), StrongSwan, Connection{Name: "a\u2028b"}, "cannot be seen"},
		{"an override of the writing direction", gateway(), Windows, Connection{Name: "a\u202eb"}, "cannot be seen"},
		{"broken UTF-8", gateway(), Android, Connection{Name: "a\xff"}, "cannot be seen"},
		{"space at the end", gateway(), NetworkManager, Connection{Name: "a "}, "space"},
		{"a long name", gateway(), NetworkManager, Connection{Name: strings.Repeat("a", 201)}, "too long"},
		{"a colon for Windows", gateway(), Windows, Connection{Name: "VPN: home"}, "Windows allows none of"},
		{"a period for Windows", gateway(), Windows, Connection{Name: ".vpn"}, "period"},
		{"no letter for Windows", gateway(), Windows, Connection{Name: "--"}, "a letter or a digit"},
		{"ports for Windows", moved, Windows, Connection{Name: "a"}, "5500 and 5501"},
		{"ports for Apple", moved, Apple, Connection{Name: "a"}, "500 and 4500 only"},
		{"a suite for Windows", foreign, Windows, Connection{Name: "a"}, "aes256-sha256-modp2048"},
		{"a group of rekeys for Windows", pfs, Windows, Connection{Name: "a"}, "x25519"},
	} {
		p, err := c.g.Profile(c.client, c.conn)
		if err == nil || p != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v; want %q", c.what, p, err, c.says)
		}
	}
	var missing *suite.NoProposalError
	if _, err := foreign.Profile(Windows, Connection{Name: "a"}); !errors.As(err, &missing) {
		t.Errorf("%v does not wrap what is missing", err)
	}
}

// TestMovedPorts tells the clients that can be told.
func TestMovedPorts(t *testing.T) {
	g := gateway()
	g.IKEPort, g.NATTPort = 5500, 5501
	for _, c := range []Client{Android, NetworkManager} {
		if s := read(t, write(t, g, c, Connection{Name: "a"})); s.Port != 5501 {
			t.Errorf("%s: port %d", c, s.Port)
		}
	}
	if text := write(t, g, StrongSwan, Connection{Name: "a"}).Text; !strings.Contains(text, "remote_port = 5501\n") || strings.Contains(text, "charon-cmd") {
		t.Error(text)
	}
}

// TestAppleCertificateTypes names the key where the device would expect RSA.
func TestAppleCertificateTypes(t *testing.T) {
	for curve, want := range map[elliptic.Curve]string{elliptic.P256(): "ECDSA256", elliptic.P384(): "ECDSA384"} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		g := gateway()
		g.Certificate = certificate(t, "the issuer", key)
		for _, e := range []string{"<key>CertificateType</key>\n\t\t\t\t<string>" + want, "<key>ServerCertificateIssuerCommonName</key>\n\t\t\t\t<string>the issuer"} {
			if text := write(t, g, Apple, Connection{Name: "a"}).Text; !strings.Contains(text, e) {
				t.Errorf("lacks %q:\n%s", e, text)
			}
		}
	}
	g := gateway()
	g.Certificate = authority(t, "an RSA certificate")
	if text := write(t, g, Apple, Connection{Name: "a"}).Text; strings.Contains(text, "CertificateType") || strings.Contains(text, "IssuerCommonName") {
		t.Errorf("public authority, RSA:\n%s", text)
	}
}

// TestUUIDs shows that they follow from the server and are UUIDs of version 5.
func TestUUIDs(t *testing.T) {
	g := gateway()
	if got, again := g.uuid("x"), gateway().uuid("x"); got != again || got[14] != '5' || !strings.Contains("89ab", got[19:20]) {
		t.Errorf("%s, then %s", got, again)
	}
	other := gateway()
	other.Server = "vpn2.example.org"
	if g.uuid("x") == other.uuid("x") || g.uuid("x") == g.uuid("y") {
		t.Error("the same for different things")
	}
	// RFC 9562 §A.4: www.example.com in the name space of DNS
	g.Server = "example.com"
	if got := g.uuid("www"); got != "2ed6657d-e927-568b-95e1-2665a8aea6a2" {
		t.Errorf("%s", got)
	}
}

// TestNoUser leaves the question to the client.
func TestNoUser(t *testing.T) {
	for _, c := range written {
		p := write(t, gateway(), c, Connection{Name: "a"})
		if s := read(t, p); s.User != "" || len(p.Notes) == 0 {
			t.Errorf("%s: user %q, notes %q", c, s.User, p.Notes)
		}
	}
}
