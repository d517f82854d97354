package secrets

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bridgehead/auth"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func hashOf(password string) auth.NTHash { return auth.HashPassword([]byte(password)) }

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAddListPasswdRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	alice := User{Name: "alice", Hash: hashOf("one"), Group: "staff", Pool: "big", IPv4: netip.MustParseAddr("192.0.2.1"), IPv6: netip.MustParseAddr("2001:db8::1"), Disabled: true}
	john := User{Name: "John \"J\" Doe\\", Hash: hashOf("two"), Group: "# 1"}
	for _, u := range []User{alice, john} {
		if err := Add(path, u); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	var exists *ExistsError
	if err := Add(path, alice); !errors.As(err, &exists) {
		t.Errorf("a second alice: %v", err)
	}
	if err := SetPassword(path, john.Name, hashOf("three")); err != nil {
		t.Fatal(err)
	}
	john.Hash = hashOf("three")
	users, problems, err := List(path)
	if diff := cmp.Diff([]User{alice, john}, users, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || err != nil || problems != nil {
		t.Error(diff, problems, err)
	}
	if err := Remove(path, "alice"); err != nil {
		t.Fatal(err)
	}
	var missing *NotFoundError
	if err := Remove(path, "alice"); !errors.As(err, &missing) {
		t.Errorf("alice removed twice: %v", err)
	}
	if err := SetPassword(path, "alice", hashOf("x")); !errors.As(err, &missing) {
		t.Errorf("password of nobody: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestEditsKeepWhatTheyDoNotMean(t *testing.T) {
	dir := t.TempDir()
	before := "\uFEFF# mine\r\n\r\nbroken line\nalice   $nt$" + passwordHash + "   pool=x # note\r\nbob $nt$" + passwordHash + "\nalice $nt$" + passwordHash
	path := write(t, dir, "real", before)
	link := filepath.Join(dir, "users")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := SetPassword(link, "alice", hashOf("new")); err != nil {
		t.Fatal(err)
	}
	h := hashOf("new")
	want := strings.Replace(before, passwordHash, fmt.Sprintf("%x", h[:]), 1) + "\n" // a last line without an end gets one
	if got := content(t, path); got != want {
		t.Errorf("after SetPassword:\n%q, want\n%q", got, want)
	}
	if err := Remove(link, "alice"); err != nil {
		t.Fatal(err)
	}
	want = "\uFEFF# mine\r\n\r\nbroken line\nbob $nt$" + passwordHash + "\n"
	if got := content(t, path); got != want {
		t.Errorf("after Remove:\n%q, want\n%q", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if to, err := os.Readlink(link); err != nil || to != path {
		t.Errorf("the link is gone: %q, %v", to, err)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "users")
	for _, u := range []User{
		{Name: "", Hash: hashOf("x")},
		{Name: "a\nb", Hash: hashOf("x")},
		{Name: "a\xff", Hash: hashOf("x")},
		{Name: "a", Hash: hashOf("")},
		{Name: "a"},
		{Name: "a", Hash: hashOf("x"), Pool: "p\nevil $nt$"},
		{Name: "a", Hash: hashOf("x"), IPv4: netip.MustParseAddr("::1")},
	} {
		var invalid *InvalidError
		if err := Add(path, u); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", u, err)
		}
	}
	var format *FormatError
	if err := Add(filepath.Join(dir, "ipsec.secrets"), User{Name: "a", Hash: hashOf("x")}); !errors.As(err, &format) {
		t.Errorf("strongSwan's file: %v", err)
	}
	var read *ReadError
	if err := Remove(path, "a"); !errors.As(err, &read) {
		t.Errorf("no file: %v", err)
	}
	if err := Add(filepath.Join(dir, "none", "users"), User{Name: "a", Hash: hashOf("x")}); !errors.As(err, &read) {
		t.Errorf("no folder: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestTwoWritersLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 5 {
				if err := Add(path, User{Name: fmt.Sprintf("u%d-%d", w, i), Hash: hashOf("x")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if users, problems, err := List(path); len(users) != 20 || problems != nil || err != nil {
		t.Errorf("%d users, %v, %v", len(users), problems, err)
	}
}

func TestALockKeepsOthersOut(t *testing.T) {
	path := write(t, t.TempDir(), "users", "")
	unlock, err := lock(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := lock(path, 2*lockStep); !errors.As(err, &locked) {
		t.Errorf("locked twice: %v", err)
	}
	unlock()
	if unlock, err = lock(path, 0); err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestUsersRoundTrip: what can be added is read back alike, beside others.
func TestUsersRoundTrip(t *testing.T) {
	name := rapid.StringMatching(`[\p{L}\p{N} \t\\"#@:='$.-]{1,20}`).Filter(func(s string) bool { return checkName(s) == "" })
	rapid.Check(t, func(rt *rapid.T) {
		u := User{Name: name.Draw(rt, "name"), Disabled: rapid.Bool().Draw(rt, "disabled")}
		copy(u.Hash[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "hash"))
		u.Hash[0] |= 1
		if rapid.Bool().Draw(rt, "more") {
			u.Pool, u.Group = name.Draw(rt, "pool"), name.Draw(rt, "group")
			u.IPv4 = netip.AddrFrom4([4]byte{10, 1, 2, rapid.Byte().Draw(rt, "ip4")})
			u.IPv6 = netip.MustParseAddr("2001:db8::1")
		}
		e, f := parseUser(u.line())
		if f != nil || e == nil || !e.Equal(u) {
			rt.Fatalf("%q is read as %+v, %+v; want %+v", u.line(), e, f, u)
		}
	})
}

func FuzzUsers(f *testing.F) {
	f.Add([]byte("alice $nt$" + passwordHash + " pool=a ip4=192.0.2.1 # x\n\"a b\" $nt$" + passwordHash))
	f.Add([]byte("\"\\\"\\\\\" $nt$\r\n#\n\t \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		table := newTable()
		parseUsers("users", bytes.Clone(text), table)
		checkPlaces(t, text, table)
		eachEntry(text, func(_ int, e *entry, at span) {
			if line := string(text[at.from:at.to]); !strings.HasPrefix(line[e.hashAt:e.hashTo], hashPrefix) && line[e.hashAt] != '"' {
				t.Fatalf("the hash of %q is not at %d", line, e.hashAt)
			}
			again, fault := parseUser(e.line())
			if fault != nil || !again.Equal(e.User) {
				t.Fatalf("%q does not come back: %+v, %v", e.line(), again, fault)
			}
		})
	})
}

// checkPlaces fails unless every problem lies within the text.
func checkPlaces(t *testing.T, text []byte, table *table) {
	t.Helper()
	lines := bytes.Split(bytes.TrimPrefix(text, byteOrderMark), []byte("\n"))
	for _, p := range table.problems {
		if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len(lines[p.Line-1])+1 || p.Text == "" {
			t.Fatalf("problem %+v lies outside of %d lines", p, len(lines))
		}
	}
}

func FuzzIPsecSecrets(f *testing.F) {
	f.Add([]byte(seed))
	f.Add([]byte("a b : NTLM 0x" + passwordHash + "\n: P12 x %prompt\nu : EAP 0sQQ==\n'a : EAP 'x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("include")) {
			return // the fuzzer must not read files
		}
		table := newTable()
		newIPsecReader("/nowhere/ipsec.secrets", table).parse("/nowhere/ipsec.secrets", bytes.Clone(text), 1)
		checkPlaces(t, text, table)
		for name := range table.accounts {
			if checkName(name) != "" {
				t.Fatalf("a user is named %q", name)
			}
		}
	})
}
