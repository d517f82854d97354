package secrets

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridgehead/auth"
)

// TestSettings: each key of its own reaches the grant, and comes back as it was
// written.
func TestSettings(t *testing.T) {
	const own = "group=staff pool=a pool6=b ip4=192.0.2.9 ip6=2001:db8::9 dns=192.0.2.53,2001:db8::53 routes=10.0.0.0/8,2001:db8::/32,192.0.2.1/32 " +
		"domains=example.org,example.net session_timeout=8h idle_timeout=1h30m max_sessions=2 rate_up=500k rate_down=2G"
	path := write(t, t.TempDir(), "users", "alice $nt$"+passwordHash+" "+own+"\n")
	f := open(t, path, Options{})
	a, ok, err := f.Lookup(t.Context(), "alice")
	if !ok || err != nil {
		t.Fatal(ok, err, f.Problems())
	}
	p, addr := netip.MustParsePrefix, netip.MustParseAddr
	want := auth.Grant{
		Name: "alice", Group: "staff", Pool: "a", Pool6: "b", Addresses: []netip.Addr{addr("192.0.2.9"), addr("2001:db8::9")},
		DNS: []netip.Addr{addr("192.0.2.53"), addr("2001:db8::53")}, Routes: []netip.Prefix{p("10.0.0.0/8"), p("2001:db8::/32"), p("192.0.2.1/32")},
		Domains: []string{"example.org", "example.net"}, SessionTimeout: 8 * time.Hour, IdleTimeout: 90 * time.Minute, MaxSessions: 2, RateUp: 5e5, RateDown: 2e9,
	}
	if d := cmp.Diff(want, a.Grant, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
	users, _, err := List(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, after, _ := strings.Cut(string(users[0].line()), passwordHash+"  "); strings.ReplaceAll(after, "  ", " ") != own {
		t.Errorf("written as %q", after)
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	for _, word := range []string{
		"dns=", "dns=192.0.2.53,", "dns=192.0.2.53,x", "routes=10.0.0.1/8", "routes=10.0.0.0/33", "domains=a,,b", `"domains=a b"`,
		"session_timeout=8", "session_timeout=-8h", "session_timeout=1ms", "session_timeout=9000h", "idle_timeout=soon",
		"max_sessions=0", "max_sessions=-1", "max_sessions=99999999", "rate_up=0", "rate_up=10T", "rate_down=-1M", "rate_down=99999999999G",
		"max_sessions=1 max_sessions=2", "pool6=\x01", "Pool=a",
	} {
		path := write(t, t.TempDir(), "users", fmt.Sprintf("bad $nt$%s %s\ngood $nt$%s\n", passwordHash, word, passwordHash))
		f := open(t, path, Options{})
		problems := f.Problems()
		if f.Len() != 1 || len(problems) != 1 || problems[0].Line != 1 || problems[0].Column < 42 || !strings.Contains(problems[0].Text, "expected") {
			t.Errorf("%s: %d users, problems %v", word, f.Len(), problems)
		}
	}
}

// TestFullDisk: an edit that the disk has no room for changes nothing.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16k,mode=700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	path := filepath.Join(dir, "users")
	for i := range 3 {
		if err := Add(path, User{Name: fmt.Sprint("user-", i), Hash: hashOf("x"), Group: strings.Repeat("g", 2000)}); err != nil {
			t.Fatal(err)
		}
	}
	before, ballast := content(t, path), filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<10), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	for name, change := range map[string]func() error{
		"add":    func() error { return Add(path, User{Name: "later", Hash: hashOf("x")}) },
		"passwd": func() error { return SetPassword(path, "user-0", hashOf("y")) },
		"remove": func() error { return Remove(path, "user-0") },
		"write":  func() error { return Write(path, []User{{Name: "only", Hash: hashOf("x")}}, true) },
	} {
		if err := change(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the old file stays") {
			t.Errorf("%s: %v", name, err)
		}
		if got := content(t, path); got != before {
			t.Errorf("%s: %d octets became %d", name, len(before), len(got))
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := Remove(path, "user-0"); err != nil || strings.Contains(content(t, path), "user-0") {
		t.Errorf("with room again: %v", err)
	}
}

// TestTornFile: what a write leaves that was cut off puts nobody out, is told
// once, and the whole file counts as soon as it is there.
func TestTornFile(t *testing.T) {
	alice, bob := "alice $nt$"+passwordHash+"\n", "bob $nt$"+passwordHash+" group=staff\n"
	for name, torn := range map[string]string{
		"empty": "", "within a line": alice + bob[:20], "within a word": alice + bob[:len(bob)-3], "NUL octets": alice + strings.Repeat("\x00", len(bob)),
	} {
		var reports []Report
		path := write(t, t.TempDir(), "users", alice+bob)
		f := open(t, path, Options{OnLoad: func(r Report) { reports = append(reports, r) }})
		write(t, filepath.Dir(path), "users", torn)
		for range 3 {
			for _, user := range []string{"alice", "bob"} {
				if a, ok, err := f.Lookup(t.Context(), user); !ok || err != nil || user == "bob" && a.Grant.Group != "staff" {
					t.Errorf("%s: %s: %v %v %v", name, user, a, ok, err)
				}
			}
		}
		var fault *TornError
		if len(reports) != 2 || !errors.As(reports[1].Err, &fault) || reports[1].Users != 2 || !strings.Contains(fault.Error(), "stay in force") {
			t.Errorf("%s: reports %v", name, reports)
		}
		write(t, filepath.Dir(path), "users", alice)
		if _, ok, _ := f.Lookup(t.Context(), "bob"); ok || f.Len() != 1 {
			t.Errorf("%s: bob is there after he was taken out", name)
		}
	}
}

// TestLastLineWithoutAnEnd: an editor that writes none is not taken for a cut,
// once the file is settled.
func TestLastLineWithoutAnEnd(t *testing.T) {
	alice := "alice $nt$" + passwordHash
	path := write(t, t.TempDir(), "users", alice)
	f := open(t, path, Options{Now: func() time.Time { return time.Now().Add(2 * settleTime) }})
	write(t, filepath.Dir(path), "users", alice+"\nbob $nt$"+passwordHash)
	if _, ok, err := f.Lookup(t.Context(), "bob"); !ok || err != nil {
		t.Errorf("bob: %v, %v", ok, err)
	}
}

// TestWriteReplacesOnlyWhenTold, and then keeps the mode.
func TestWriteReplacesOnlyWhenTold(t *testing.T) {
	path := write(t, t.TempDir(), "users", "old\n")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	users := []User{{Name: "alice", Hash: hashOf("x")}}
	var taken *TakenError
	if err := Write(path, users, false); !errors.As(err, &taken) || content(t, path) != "old\n" {
		t.Errorf("%v, then %q", err, content(t, path))
	}
	if err := Write(path, users, true); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 || !strings.Contains(content(t, path), "alice  $nt$") {
		t.Errorf("%v, %v, %q", info.Mode(), err, content(t, path))
	}
	fresh := filepath.Join(filepath.Dir(path), "fresh")
	if err := Write(fresh, users, false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(fresh); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
