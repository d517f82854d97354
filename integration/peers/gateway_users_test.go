package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridgehead/auth"
	"bridgehead/integration/lab"
)

// comparison is what `users compare --json` prints.
type comparison struct {
	Same, Others int
	Users        []struct{ User, Outcome, Cause string }
	Problem      string
}

func (c comparison) outcomes() map[string]string {
	m := make(map[string]string)
	for _, u := range c.Users {
		m[u.User] = u.Outcome
	}
	return m
}

// exportSite is a users file, and a configuration with all backends.
type exportSite struct {
	*site
	users, config string
}

// tell runs a verb of users and gives what it said, which shows no hash.
func (s *exportSite) tell(t *testing.T, code int, stdin string, args ...string) outcome {
	t.Helper()
	got := bridgehead(t, s.gateway, stdin, append([]string{"users"}, args...)...)
	if got.code != code {
		t.Fatalf("users %v: %s", args, got)
	}
	for _, p := range []string{password, "another good password"} {
		h := auth.HashPassword([]byte(p))
		if said := strings.ToLower(got.out + got.err); strings.Contains(said, p) || strings.Contains(said, fmt.Sprintf("%x", h[:])) {
			t.Errorf("users %v shows a secret: %s", args, got)
		}
	}
	return got
}

func (s *exportSite) compare(t *testing.T, code int, backend string, want map[string]string) {
	t.Helper()
	got := decode[comparison](t, s.tell(t, code, "", "compare", s.users, backend, "--config", s.config, "--json").out)
	if d := cmp.Diff(want, got.outcomes()); d != "" || got.Problem != "" {
		t.Errorf("%s: %s\n%s", backend, d, got.Problem)
	}
}

// export writes a file, which is the owner's alone, and gives its text.
func (s *exportSite) export(t *testing.T, code int, args ...string) (path, said string) {
	t.Helper()
	path = filepath.Join(s.dir, "export-"+fmt.Sprint(len(args), args[1], slices.Contains(args, "ipa")))
	got := s.tell(t, code, "", append([]string{"export", "--file", s.users, "--force", "--out", path}, args...)...)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: %v, %v", args, info, err)
	}
	return path, got.out + got.err
}

func newExportSite(t *testing.T) *exportSite {
	t.Helper()
	s := &exportSite{site: newSite(t)}
	s.writeConfig(t, "")
	s.users = filepath.Join(s.dir, "users")
	if err := os.Remove(s.users); err != nil { // whom other tests let in
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"alice", "--group=staff", "--pool=default", "--pool6=default", "--ip4=192.0.2.9", "--ip6=2001:db8::9", "--dns=192.0.2.53,2001:db8::53", "--routes=10.0.0.0/8,2001:db8::/32",
			"--session-timeout=8h", "--idle-timeout=30m", "--max-sessions=2", "--rate-up=500k", "--rate-down=5G"},
		{"John Doe"}, {"bob@example.org"}, {"eve", "--disabled"}, {"Jürgen"},
	} {
		s.tell(t, 0, password+"\n", append([]string{"add", "--file", s.users}, args...)...)
	}
	return s
}

// FreeRADIUS reads what is exported for it, quotes and all: every user of the
// file logs in there, and gets what the file gives.
func TestUsersForFreeRADIUS(t *testing.T) {
	t.Parallel()
	s := newExportSite(t)
	path, _ := s.export(t, 0, "--to", "freeradius")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.secretFile(t, radiusSecret)
	server := s.freeRADIUS(t, string(text))
	central := strings.TrimPrefix(fmt.Sprintf(overRADIUS, s.dir), "[auth]\nbackend = \"radius\"\n")
	grants := make(map[string]map[string]string)
	for backend, config := range map[string]string{"file": central, "radius": fmt.Sprintf(overRADIUS, s.dir)} {
		got := bridgehead(t, s.gateway, password+"\n", "auth", "test", "alice", "--config", s.writeConfig(t, config), "--json")
		report := decode[loginReport](t, got.out)
		grants[backend] = make(map[string]string)
		for _, g := range report.Grant {
			grants[backend][g.Key] = g.Value
		}
		if report.Verdict != "accepted" {
			t.Errorf("%s: %s", backend, got)
		}
	}
	if d := cmp.Diff(grants["file"], grants["radius"]); d != "" || len(grants["file"]) < 12 {
		t.Errorf("RADIUS gives something else (-file +RADIUS):\n%s of %v", d, grants["file"])
	}

	s.config = s.writeConfig(t, central+"[auth.radius]\nstep_time = \"4s\"\n")
	// This server looks names up without their realm, and has no bob.
	same := map[string]string{"alice": "same", "John Doe": "same", "bob@example.org": "refused", "eve": "same", "Jürgen": "same"}
	s.compare(t, 1, "radius", same)
	s.tell(t, 0, "", "remove", "bob@example.org", "--file", s.users)
	delete(same, "bob@example.org")
	s.compare(t, 0, "radius", same)
	former, present := filepath.Join(s.dir, "former"), s.users
	file, err := os.ReadFile(present)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(former, file, 0o600); err != nil {
		t.Fatal(err)
	}
	s.tell(t, 0, "another good password\n", "passwd", "alice", "--file", s.users)
	s.tell(t, 0, "another good password\n", "add", "new", "--file", s.users)
	same["alice"], same["new"] = "refused", "refused"
	s.compare(t, 1, "radius", same)
	s.tell(t, 0, "", "remove", "Jürgen", "--file", s.users)
	s.users = former
	s.compare(t, 1, "file", map[string]string{"alice": "differs", "John Doe": "same", "eve": "same", "Jürgen": "missing"})
	s.users = present
	if err := server.Stop(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "new", "eve"} {
		s.tell(t, 0, "", "remove", name, "--file", s.users)
	}
	s.compare(t, 1, "radius", map[string]string{"John Doe": "unavailable"})
}

// slapd takes what is exported for it: whole entries, changes of hashes, and
// entries that become Samba accounts or FreeIPA's; and compare tells who
// differs.
func TestUsersForLDAP(t *testing.T) {
	t.Parallel()
	s := newExportSite(t)
	authority := lab.NewCA(t, "Directory", lab.ECDSA256)
	slapd := s.StartSlapd(lab.SlapdConfig{On: s.gateway, Password: "directory secret", Server: authority.NewServer(lab.ECDSA256, time.Hour, "127.0.0.1"), Authority: authority,
		Entries: "dn: uid=plain,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: plain\ncn: plain\nsn: plain\n\n" +
			"dn: uid=irene,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: irene\ncn: irene\nsn: irene\n\n"})
	secret := filepath.Join(s.dir, "ldap.password")
	if err := os.WriteFile(secret, []byte("directory secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.config = s.writeConfig(t, fmt.Sprintf("[auth.ldap]\nservers = [%q]\nplaintext = true\nbind_dn = %q\npassword_file = %q\nbase = \"ou=people,%s\"\n",
		slapd.URL(), lab.SlapdDN, secret, lab.SlapdBase))
	base := []string{"--base", "ou=people," + lab.SlapdBase, "--sid", "S-1-5-21-1-2-3"}
	load := func(program string, args ...string) {
		t.Helper()
		path, _ := s.export(t, 0, append(append([]string{"--to", "ldif"}, base...), args...)...)
		cmd := exec.Command(program, "-H", slapd.URL(), "-D", "cn=admin,"+lab.SlapdBase, "-y", secret, "-f", path)
		if out := s.gateway.Run(cmd.Path, cmd.Args[1:]...); out == "" {
			t.Errorf("%s said nothing", program)
		}
	}
	all := map[string]string{"alice": "missing", "John Doe": "missing", "bob@example.org": "missing", "eve": "missing", "Jürgen": "missing"}
	s.compare(t, 1, "ldap", all)
	load("ldapadd")
	for name := range all {
		all[name] = "same"
	}
	s.compare(t, 0, "ldap", all)

	s.tell(t, 0, "another good password\n", "passwd", "alice", "--file", s.users)
	all["alice"] = "differs"
	s.compare(t, 1, "ldap", all)
	load("ldapmodify", "--entries", "existing")
	all["alice"] = "same"
	s.compare(t, 0, "ldap", all)

	for _, entry := range []struct{ kind, name string }{{"samba", "plain"}, {"ipa", "irene"}} {
		s.users = filepath.Join(s.dir, entry.kind)
		s.tell(t, 0, password+"\n", "add", entry.name, "--file", s.users)
		load("ldapmodify", "--entries", "extend", "--hash", entry.kind)
		s.compare(t, 0, "ldap", map[string]string{entry.name: "same"})
	}
	if err := slapd.Stop(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	s.compare(t, 1, "ldap", map[string]string{"irene": "unavailable"})
}
