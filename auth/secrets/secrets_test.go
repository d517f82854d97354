package secrets

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bridgehead/auth"

	"github.com/google/go-cmp/cmp"
)

const passwordHash = "8846f7eaee8fb117ad06bdd830b7586c" // of "password"

// write makes a file with mode 0600 and gives its path.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string, o Options) *File {
	t.Helper()
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// lookup fails the test unless the user is there.
func lookup(t testing.TB, f *File, name string) auth.Account {
	t.Helper()
	a, ok, err := f.Lookup(context.Background(), name)
	if err != nil || !ok {
		t.Fatalf("user %q: found %v, %v", name, ok, err)
	}
	return a
}

func absent(t testing.TB, f *File, name string) {
	t.Helper()
	if _, ok, err := f.Lookup(context.Background(), name); err != nil || ok {
		t.Fatalf("user %q: found %v, %v; want none", name, ok, err)
	}
}

func texts(ps []Problem, dir string) []string {
	var out []string
	for _, p := range ps {
		s := strings.ReplaceAll(p.Error(), dir+"/", "")
		if p.Warning {
			s = "warning " + s
		}
		out = append(out, s)
	}
	return out
}

func TestUsersFile(t *testing.T) {
	hash := "$nt$" + passwordHash
	path := write(t, t.TempDir(), "users", "\uFEFF# users\n\n"+
		"alice "+hash+" group=staff\tpool=big ip4=192.0.2.10 ip6=2001:db8::10 # the boss\r\n"+
		`"John Doe"  `+strings.ToUpper(hash[:4])+"\n"+
		`"John Doe"  `+hash+` "group=two words" disabled`+"\n"+
		`CORP\bob `+hash+"\n"+
		`"q\"\\uote" `+hash+"\n"+
		`"#hash" `+hash+"\n"+
		"günther@exämple "+hash)
	f := open(t, path, Options{})
	want := auth.Account{
		Hash: auth.HashPassword([]byte("password")),
		Grant: auth.Grant{
			Name: "alice", Group: "staff", Pool: "big",
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")},
		},
	}
	opt := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(want, lookup(t, f, "alice"), opt); diff != "" {
		t.Error(diff)
	}
	if a := lookup(t, f, "John Doe"); !a.Disabled || a.Grant.Group != "two words" {
		t.Errorf("John Doe: %+v", a)
	}
	for _, name := range []string{`CORP\bob`, `q"\uote`, "#hash", "günther@exämple"} {
		lookup(t, f, name)
	}
	if absent(t, f, "bob"); f.Len() != 6 || len(f.Problems()) != 1 {
		t.Errorf("%d users, problems %v", f.Len(), f.Problems())
	}
	if !slices.Equal(f.Fixed(), want.Grant.Addresses) {
		t.Errorf("fixed addresses %v", f.Fixed())
	}
}

func TestUsersFileProblems(t *testing.T) {
	hash := "$nt$" + passwordHash
	for _, tt := range []struct{ line, want string }{
		{"bad", "3:4: expected a hash behind the name"},
		{"ü sesame", "3:3: expected a hash that begins with $nt$"},
		{"bad $nt$1234", "3:5: expected 32 hexadecimal digits behind $nt$, found 4 characters"},
		{"bad $nt$" + strings.Repeat("z", 32), "3:5: expected only hexadecimal digits"},
		{"bad $nt$" + strings.Repeat("0", 32), "3:5: expected the hash of a password, found only zeros"},
		{"bad $nt$31d6cfe0d16ae931b73c59d7e0c089c0", "3:5: expected the hash of a password, found that of the empty one"},
		{`"bad ` + hash, "3:1: the quote is never closed"},
		{`"bad"x ` + hash, "3:6: expected a blank behind the closing quote"},
		{`"b\ad" ` + hash, `3:3: expected \" or \\ behind a backslash`},
		{`"" ` + hash, "3:1: expected a user name, found an empty one"},
		{"b\x01ad " + hash, "3:1: expected a name without control characters"},
		{"b\xffad " + hash, "3:1: expected a name in UTF-8"},
		{"bad " + hash + " colour=red", `3:42: expected one of group, pool, pool6, ip4, ip6, dns, routes, domains, session_timeout, idle_timeout, max_sessions, rate_up, rate_down, disabled, found "colour"`},
		{"bad " + hash + " pool=", "3:42: expected a value such as pool=staff"},
		{"bad " + hash + " pool=a pool=b", "3:49: expected pool= only once"},
		{"bad " + hash + " ip4=2001:db8::1", "3:42: expected a value such as ip4=192.0.2.10"},
		{"bad " + hash + " ip6=fe80::1%eth0", "3:42: expected a value such as ip6=2001:db8::10"},
		{"bad " + hash + " ip6=::1 ip6=::2", "3:50: expected ip6= only once"},
		{"bad " + hash + " disabled=no", `3:42: expected "disabled" once and without a value`},
		{"alice " + hash, `3:1: "alice" stands at users:2 already; the first one counts`},
	} {
		dir := t.TempDir()
		path := write(t, dir, "users", "# x\nalice "+hash+"\n"+tt.line+"\nzoe "+hash+"\n")
		f := open(t, path, Options{})
		got := texts(f.Problems(), dir)
		if len(got) != 1 || !strings.HasPrefix(got[0], "users:"+tt.want) && !strings.Contains(strings.ReplaceAll(got[0], dir+"/", ""), tt.want) {
			t.Errorf("%q: problems %q, want %q", tt.line, got, tt.want)
		}
		if strings.Contains(strings.Join(got, ""), "sesame") {
			t.Errorf("%q: a secret shows in %q", tt.line, got)
		}
		lookup(t, f, "alice")
		lookup(t, f, "zoe")
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "users", "a $nt$"+passwordHash+" ip4=192.0.2.1\nb $nt$"+passwordHash+" ip4=192.0.2.1\n")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	f := open(t, path, Options{})
	want := []string{
		"warning users: mode 0640 lets others than the owner at the secrets in it; run: chmod 600 users",
		`warning users:2:1: 192.0.2.1 is the fixed address of "a" already; only one of them can use it at a time`,
	}
	if diff := cmp.Diff(want, texts(f.Problems(), dir)); diff != "" {
		t.Error(diff)
	}
	lookup(t, f, "b")
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "missing"), dir} {
		f, err := Open(path, Options{})
		var read *ReadError
		if f != nil || err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		} else if !errors.As(err, &read) || read.Advice == "" {
			t.Errorf("%s: %v gives no advice", path, err)
		}
	}
}

// The listing that strongSwan's users have, with its include.
const seed = `### SSL private key
: RSA /etc/ssl/private/vpn-server.key

### Clients' credentials (plaintext)
user1 : EAP "password1"
user2 : EAP "password2"
# ...etc.  Note that the presence of whitespace either side of the ':' is significant.

# You could also tell strongSwan to include secrets from elsewhere,
# for example an auto-generated file:
include ipsec.d/secrets/myvpn`

func TestIPsecSecretsSeed(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "ipsec.secrets", seed)
	write(t, dir, "ipsec.d/secrets/myvpn", "user3 : EAP 'it\"s'\n")
	f := open(t, path, Options{})
	for name, password := range map[string]string{"user1": "password1", "user2": "password2", "user3": `it"s`} {
		if a := lookup(t, f, name); a.Hash != auth.HashPassword([]byte(password)) || a.Grant.Name != name {
			t.Errorf("%s has another password or name", name)
		}
	}
	if diff := cmp.Diff([]Key{{Type: "RSA", Path: "/etc/ssl/private/vpn-server.key"}}, f.Keys()); diff != "" || len(f.Problems()) != 0 || f.Len() != 3 {
		t.Errorf("%d users, problems %v, keys %s", f.Len(), f.Problems(), diff)
	}
}

func TestIPsecSecretsForms(t *testing.T) {
	for _, tt := range []struct{ line, user, password string }{
		{`u : EAP "pass word"`, "u", "pass word"},
		{`u : EAP 'say "hi"'`, "u", `say "hi"`},
		{`u : EAP "0x41"`, "u", "0x41"},
		{"u : EAP 0x7061737321", "u", "pass!"},
		{"u : EAP 0scGFzcyE=", "u", "pass!"},
		{"u : EAP bare # note", "u", "bare"},
		{"u : EAP #bare", "u", "#bare"},
		{"u\t:\tXAUTH\t\"x\"", "u", "x"},
		{"  u : eap \"x\"  ", "u", "x"},
		{`"John Doe" : EAP "x"`, "John Doe", "x"},
		{`"a : b" : EAP "x"`, "a : b", "x"},
		{`CORP\u : EAP "x"`, `CORP\u`, "x"},
		{`a:b : EAP "x"`, "a:b", "x"},
		{`one two : EAP "x"`, "two", "x"},
		{"u : EAP \"grüße\"", "u", "grüße"},
		{"u : NTLM 0x" + passwordHash, "u", "password"},
	} {
		f := open(t, write(t, t.TempDir(), "ipsec.secrets", tt.line), Options{})
		if len(f.Problems()) != 0 {
			t.Errorf("%q: %v", tt.line, f.Problems())
			continue
		}
		if a := lookup(t, f, tt.user); a.Hash != auth.HashPassword([]byte(tt.password)) {
			t.Errorf("%q: the password is not %q", tt.line, tt.password)
		}
	}
}

func TestIPsecSecretsKeys(t *testing.T) {
	dir := t.TempDir()
	f := open(t, write(t, dir, "ipsec.secrets", ": RSA moon.pem\nmoon : ECDSA \"/a b.pem\" \"sesame\"\n: PKCS8 c.der %prompt\n: P12 d.p12 0x41 # x\n"), Options{})
	private := filepath.Join(dir, "ipsec.d", "private")
	want := []Key{
		{Type: "RSA", Path: filepath.Join(private, "moon.pem")},
		{Type: "ECDSA", Path: "/a b.pem", Passphrase: auth.Secret("sesame")},
		{Type: "PKCS8", Path: filepath.Join(private, "c.der"), Prompt: true},
		{Type: "P12", Path: filepath.Join(private, "d.p12"), Passphrase: auth.Secret("A")},
	}
	if diff := cmp.Diff(want, f.Keys()); diff != "" || len(f.Problems()) != 0 {
		t.Error(diff, f.Problems())
	}
	if s := fmt.Sprintf("%+v", f.Keys()); strings.Contains(s, "sesame") {
		t.Error("a passphrase shows in " + s)
	}
}

func TestIPsecSecretsProblems(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`u: EAP "sesame"`, `2:1: expected "NAME : TYPE SECRET" with a blank on both sides`},
		{`u :EAP "sesame"`, `2:1: expected "NAME : TYPE SECRET" with a blank on both sides`},
		{`u : EAP "sesame`, "2:9: the quote is never closed"},
		{`u : EAP sesame two`, "2:16: expected nothing behind the secret"},
		{`u : EAP # note`, "2:11: expected nothing behind the secret"},
		{`u : EAP`, "2:8: expected a secret"},
		{`u : EAP ""`, "2:8: expected the hash of a password, found that of the empty one"},
		{`u : EAP 0xsesame`, "2:9: expected pairs of hexadecimal digits behind 0x"},
		{`u : EAP 0s***sesame`, "2:9: expected base64 behind 0s"},
		{`u : NTLM "sesame"`, "2:9: expected an NT hash of 16 octets"},
		{`ü : SESAME "x"`, "2:5: expected EAP, XAUTH, NTLM, RSA, ECDSA, PKCS8, P12, PSK or PIN"},
		{`: EAP "sesame"`, "2:1: a password for everybody is not taken"},
		{`%any : EAP "sesame"`, "2:1: a password for everybody is not taken"},
		{`: RSA`, "2:6: expected the file of the private key behind RSA"},
		{`user1 : EAP "sesame"`, `2:1: "user1" stands at ipsec.secrets:1 already`},
		{`%any : PSK "sesame"`, "warning 2:8: PSK is not for user logins"},
		{`: PIN %smartcard "sesame"`, "warning 2:3: PIN is not for user logins"},
		{`include missing`, "warning 2:1: no file matches missing"},
		{`include [`, "2:1: expected a file name or a pattern behind include"},
		{`  include ipsec.secrets`, "warning 2:3: ipsec.secrets is read already; a file counts once"},
	} {
		dir := t.TempDir()
		path := write(t, dir, "ipsec.secrets", "user1 : EAP \"one\"\n"+tt.line+"\nuser2 : EAP \"two\"\n")
		f := open(t, path, Options{})
		got := strings.Join(texts(f.Problems(), dir), "\n")
		want := strings.Replace("ipsec.secrets:"+tt.want, "ipsec.secrets:warning ", "warning ipsec.secrets:", 1)
		if !strings.HasPrefix(got, want) || len(f.Problems()) != 1 {
			t.Errorf("%q: problems %q, want %q", tt.line, got, want)
		}
		if strings.Contains(strings.ToLower(got), "sesame") && !strings.Contains(tt.line, "SESAME") {
			t.Errorf("%q: a secret shows in %q", tt.line, got)
		}
		lookup(t, f, "user1")
		lookup(t, f, "user2")
	}
}

func TestIncludesArePatternsAndBounded(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "ipsec.secrets", "include d/*.secrets\ninclude "+dir+"/deep0\n")
	write(t, dir, "d/a.secrets", `a : EAP "a"`)
	write(t, dir, "d/b.secrets", "broken\nb : EAP \"b\"\ninclude more\n")
	write(t, dir, "d/more", `m : EAP "m"`)
	write(t, dir, "d/c.other", `c : EAP "c"`)
	for i := range 12 {
		write(t, dir, fmt.Sprintf("deep%d", i), fmt.Sprintf("u%d : EAP \"x\"\ninclude deep%d", i, i+1))
	}
	f := open(t, path, Options{})
	for _, name := range []string{"a", "b", "m", "u0", "u8"} {
		lookup(t, f, name)
	}
	absent(t, f, "c")
	absent(t, f, "u9")
	want := []string{
		`d/b.secrets:1:1: expected "NAME : TYPE SECRET" with a blank on both sides of the colon`,
		"deep8:2:1: includes are nested more than 10 deep; deep9 is left out",
	}
	if diff := cmp.Diff(want, texts(f.Problems(), dir)); diff != "" {
		t.Error(diff)
	}
}

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestChangesOfTheUsersFileAreSeenAtOnce(t *testing.T) {
	path := write(t, t.TempDir(), "users", "")
	c := &clock{now: time.Unix(1e9, 0)}
	f := open(t, path, Options{Now: c.Now})
	for _, name := range []string{"alice", "bob"} {
		if err := Add(path, User{Name: name, Hash: auth.HashPassword([]byte("x"))}); err != nil {
			t.Fatal(err)
		}
		lookup(t, f, name)
	}
	if err := Remove(path, "alice"); err != nil {
		t.Fatal(err)
	}
	absent(t, f, "alice")
}

func TestChangesAreSeenOnLookupOnceASecond(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "ipsec.secrets", "include *.inc\nroot : EAP \"x\"\n")
	write(t, dir, "1.inc", "old : EAP \"x\"\n")
	c := &clock{now: time.Unix(1e9, 0)}
	loads := 0
	var last Report
	f := open(t, path, Options{Now: c.Now, OnLoad: func(r Report) { loads++; last = r }})
	lookup(t, f, "old")

	write(t, dir, "1.inc", "newer : EAP \"x\"\n")
	absent(t, f, "newer")
	c.advance(time.Second)
	lookup(t, f, "newer")
	absent(t, f, "old")

	write(t, dir, "2.inc", "second : EAP \"x\"\n")
	c.advance(time.Second)
	lookup(t, f, "second")
	c.advance(time.Hour)
	lookup(t, f, "second")
	if loads != 3 {
		t.Errorf("%d readings, want 3: one at first, one for each change", loads)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Second)
	lookup(t, f, "second")
	if last.Err == nil || last.Users != 3 {
		t.Errorf("after the file went away: %+v", last)
	}
	write(t, dir, "ipsec.secrets", "back : EAP \"x\"\n")
	if report := f.Reload(); report.Err != nil || report.Users != 1 {
		t.Errorf("Reload: %+v", report)
	}
	lookup(t, f, "back")
	absent(t, f, "second")
}

// TestLookupsDuringReload is for the race detector, and shows that a reader
// sees one file or the other, never none.
func TestLookupsDuringReload(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "users", "alice $nt$"+passwordHash+"\n")
	c := &clock{now: time.Unix(1e9, 0)}
	f := open(t, path, Options{Now: c.Now})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				c.advance(time.Second)
				if _, ok, err := f.Lookup(context.Background(), "alice"); !ok || err != nil {
					t.Errorf("alice: %v, %v", ok, err)
				}
			}
		})
	}
	for i := range 20 {
		if err := Add(path, User{Name: fmt.Sprint("u", i), Hash: auth.HashPassword([]byte("x"))}); err != nil {
			t.Error(err)
		}
		f.Reload()
	}
	wg.Wait()
	if f.Reload(); f.Len() != 21 {
		t.Errorf("%d users", f.Len())
	}
}

func TestLookupHonoursTheContext(t *testing.T) {
	f := open(t, write(t, t.TempDir(), "users", ""), Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := f.Lookup(ctx, "x"); err != context.Canceled {
		t.Errorf("err %v", err)
	}
}

func BenchmarkLookup(b *testing.B) {
	var text strings.Builder
	for i := range 10000 {
		h := auth.HashPassword(fmt.Append(nil, i))
		fmt.Fprintf(&text, "user%d $nt$%s group=staff\n", i, hex.EncodeToString(h[:]))
	}
	f := open(b, write(b, b.TempDir(), "users", text.String()), Options{})
	b.ReportAllocs()
	for b.Loop() {
		lookup(b, f, "user5000")
	}
}

func BenchmarkReload10000(b *testing.B) {
	var text strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&text, "user%d $nt$%s group=staff\n", i, passwordHash)
	}
	f := open(b, write(b, b.TempDir(), "users", text.String()), Options{})
	b.ReportAllocs()
	for b.Loop() {
		f.Reload()
	}
}

// Many users: the time and memory of a reading, and of a list.
func BenchmarkList100000(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "user%d $nt$%s group=staff ip4=10.%d.%d.%d\n", i, passwordHash, i>>16, i>>8&255, i&255)
	}
	path := write(b, b.TempDir(), "users", text.String())
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if users, _, err := List(path); len(users) != 100_000 || err != nil {
				b.Fatal(len(users), err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			open(b, path, Options{})
		}
	})
}
