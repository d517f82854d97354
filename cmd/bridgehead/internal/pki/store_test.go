package pki

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ensure(t testing.TB, dir string, now time.Time, names ...string) *Issued {
	t.Helper()
	issued, err := Store{Dir: dir, Random: rand.Reader}.Ensure(names, now)
	must(t, err)
	return issued
}

// openssl runs the command and gives what it prints.
func openssl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestIssuedCertificateSatisfiesTheStrictestClients(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	issued := ensure(t, dir, time.Now(), "VPN.example.org.", "192.0.2.1", "2001:DB8:0::1", "vpn.example.org")
	if !issued.NewAuthority || !issued.NewServer {
		t.Errorf("new authority %v, new server %v", issued.NewAuthority, issued.NewServer)
	}

	roots := x509.NewCertPool()
	roots.AddCert(issued.Authority)
	for _, name := range []string{"vpn.example.org", "192.0.2.1", "2001:db8::1"} {
		chains, err := issued.Server.Verify(x509.VerifyOptions{
			Roots: roots, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil || len(chains) != 1 || len(chains[0]) != 2 {
			t.Errorf("%s: %v", name, err)
		}
		if w := examine([]*x509.Certificate{issued.Server}, issued.Authority, name, time.Now()); len(w) > 0 {
			t.Errorf("%s: clients will complain: %v", name, w)
		}
	}
	if _, err := issued.Server.Verify(x509.VerifyOptions{Roots: roots, DNSName: "vpn2.example.org"}); err == nil {
		t.Error("valid for another name")
	}

	c := issued.Server
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() != 2048 || c.SignatureAlgorithm != x509.SHA256WithRSA || c.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("key %v, signature %v, usage %v", kindOf(c.PublicKey), c.SignatureAlgorithm, c.KeyUsage)
	}
	if life := c.NotAfter.Sub(c.NotBefore); life > 825*24*time.Hour || !c.NotBefore.Before(time.Now().Add(-59*time.Minute)) {
		t.Errorf("valid for %v from %v", life, c.NotBefore)
	}
	if got, want := c.DNSNames, []string{"vpn.example.org", "192.0.2.1", "2001:db8::1"}; !slices.Equal(got, want) || len(c.IPAddresses) != 2 {
		t.Errorf("names %q and addresses %v", got, c.IPAddresses)
	}
	if a := issued.Authority; !a.IsCA || !a.MaxPathLenZero || a.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign ||
		!slices.Equal(c.AuthorityKeyId, a.SubjectKeyId) || len(c.SubjectKeyId) == 0 {
		t.Errorf("authority: CA %v, path length zero %v, usage %v", a.IsCA, a.MaxPathLenZero, a.KeyUsage)
	}
}

func TestOpenSSLAgrees(t *testing.T) {
	dir := t.TempDir()
	i := ensure(t, dir, time.Now(), "vpn.example.org", "192.0.2.1")
	for _, check := range [][]string{
		{"-verify_hostname", "vpn.example.org"}, {"-verify_hostname", "192.0.2.1"}, {"-verify_ip", "192.0.2.1"},
	} {
		args := append([]string{"verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", i.AuthorityPath}, check...)
		if out := openssl(t, append(args, i.CertificatePath)...); !strings.Contains(out, "OK") {
			t.Errorf("%v: %s", check, out)
		}
	}
	text := openssl(t, "x509", "-noout", "-text", "-in", i.CertificatePath)
	for _, want := range []string{
		"TLS Web Server Authentication, ipsec Internet Key Exchange", "CA:FALSE",
		"DNS:vpn.example.org, DNS:192.0.2.1, IP Address:192.0.2.1", "Subject: CN = vpn.example.org",
	} {
		if !strings.Contains(text, want) && !strings.Contains(text, strings.Replace(want, "ipsec Internet Key Exchange", "1.3.6.1.5.5.8.2.2", 1)) {
			t.Errorf("openssl shows no %q in\n%s", want, text)
		}
	}
	openssl(t, "pkey", "-check", "-noout", "-in", i.KeyPath)
}

func TestKeysAreForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "pki")
	ensure(t, dir, testNow, "vpn.example.org")
	want := map[string]fs.FileMode{".": 0o700, "ca.key": 0o600, "server.key": 0o600, "ca.pem": 0o644, "server.pem": 0o644}
	seen := 0
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		must(t, err)
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != want[name] {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want[name])
		}
		seen++
		return nil
	}))
	if seen != len(want) {
		t.Errorf("%d files, want %d", seen, len(want))
	}
}

func TestWhatIsThereIsUsedAgain(t *testing.T) {
	dir := t.TempDir()
	first := ensure(t, dir, testNow, "vpn.example.org", "192.0.2.1")
	for _, c := range []struct {
		name                    string
		days                    int
		names                   []string
		newAuthority, newServer bool
	}{
		{"next day", 1, []string{"vpn.example.org", "192.0.2.1"}, false, false},
		{"another address", 2, []string{"vpn.example.org", "192.0.2.7"}, false, true},
		{"same again", 3, []string{"vpn.example.org", "192.0.2.7"}, false, false},
		{"two months before the server's end", 2 + 800 - 59, []string{"vpn.example.org", "192.0.2.7"}, false, true},
		{"before the authority's end", 3650 - 59, []string{"vpn.example.org", "192.0.2.7"}, true, true},
	} {
		now := testNow.AddDate(0, 0, c.days)
		i := ensure(t, dir, now, c.names...)
		if i.NewAuthority != c.newAuthority || i.NewServer != c.newServer {
			t.Errorf("%s: new authority %v, new server %v", c.name, i.NewAuthority, i.NewServer)
		}
		if same := i.Authority.Equal(first.Authority); same == c.newAuthority {
			t.Errorf("%s: the authority is the first one: %v", c.name, same)
		}
		if err := i.Server.CheckSignatureFrom(i.Authority); err != nil || now.After(i.Server.NotAfter) || i.Server.NotAfter.After(i.Authority.NotAfter) {
			t.Errorf("%s: server until %v, authority until %v, %v", c.name, i.Server.NotAfter, i.Authority.NotAfter, err)
		}
		id, warnings, err := Load(Files{Certificate: i.CertificatePath, Key: i.KeyPath}, c.names[1], now)
		if err != nil || len(warnings) > 0 || len(id.Chain) != 1 || !id.Chain[0].Equal(i.Server) {
			t.Errorf("%s: loading what was made: %v, %v", c.name, warnings, err)
		}
	}
}

// A crash leaves files missing, or the new key beside the old certificate.
func TestDamagedStores(t *testing.T) {
	for _, c := range []struct {
		name    string
		damage  func(dir string) error
		refused string // "": repaired
		newCA   bool
	}{
		{"nothing but the authority's key", func(dir string) error {
			return errors.Join(os.Remove(dir+"/ca.pem"), os.Remove(dir+"/server.pem"), os.Remove(dir+"/server.key"))
		}, "", true},
		{"no server", func(dir string) error { return os.Remove(dir + "/server.pem") }, "", false},
		{"no server key", func(dir string) error { return os.Remove(dir + "/server.key") }, "", false},
		{"another key for the server", func(dir string) error { return copyFile(dir+"/ca.key", dir+"/server.key") }, "", false},
		{"server file cut off", func(dir string) error { return os.Truncate(dir+"/server.pem", 100) }, "", false},
		{"authority's key lost", func(dir string) error { return os.Remove(dir + "/ca.key") }, "put back its two files", false},
		{"another key for the authority", func(dir string) error { return copyFile(dir+"/server.key", dir+"/ca.key") }, "does not belong to the key", false},
		{"authority cut off", func(dir string) error { return os.Truncate(dir+"/ca.pem", 100) }, "cannot use the local authority", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			before := ensure(t, dir, testNow, "vpn.example.org")
			must(t, c.damage(dir))
			after, err := Store{Dir: dir, Random: rand.Reader}.Ensure([]string{"vpn.example.org"}, testNow)
			if c.refused != "" {
				var e *FileError
				if !errors.As(err, &e) || !strings.Contains(err.Error(), c.refused) {
					t.Fatalf("got %v, want %q", err, c.refused)
				}
				return
			}
			must(t, err)
			if !after.NewServer || after.NewAuthority != c.newCA || after.Authority.Equal(before.Authority) == c.newCA {
				t.Errorf("new server %v, new authority %v", after.NewServer, after.NewAuthority)
			}
		})
	}
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

func TestNamesThatNoCertificateCanCarry(t *testing.T) {
	for _, name := range []string{
		"", ".", "*.example.org", "a..b", "-a.org", "a-.org", "bücher.example", "a_b.org", "a b.org",
		strings.Repeat("a", 64) + ".org", strings.Repeat("a.", 127) + "org", "fe80::1%eth0",
	} {
		dir := filepath.Join(t.TempDir(), "pki")
		var e *NameError
		if _, err := (Store{Dir: dir, Random: rand.Reader}).Ensure([]string{"ok.example.org", name}, testNow); !errors.As(err, &e) {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: something was made: %v", name, err)
		}
	}
	long := strings.Repeat("a", 60) + ".example.org"
	if i := ensure(t, t.TempDir(), testNow, long); i.Server.Subject.CommonName != "" || i.Server.DNSNames[0] != long {
		t.Errorf("name of %d letters: common name %q, names %q", len(long), i.Server.Subject.CommonName, i.Server.DNSNames)
	}
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	var e *FileError
	if _, err := (Store{Dir: file + "/pki", Random: rand.Reader}).Ensure([]string{"vpn.example.org"}, testNow); !errors.As(err, &e) || e.Path != file+"/pki" {
		t.Errorf("got %v", err)
	}
}
