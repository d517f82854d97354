package peers

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridgehead/auth"
	"bridgehead/integration/lab"
)

// migrationPage is the page whose commands the test runs.
const migrationPage = "../../cmd/bridgehead/MIGRATION.md"

// pageCommands are the lines of the page's fenced blocks.
func pageCommands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(migrationPage)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, block := range strings.Split(string(text), "```") {
		if i%2 == 1 {
			lines = append(lines, strings.Split(strings.TrimSpace(strings.TrimPrefix(block, "sh\n")), "\n")...)
		}
	}
	return lines
}

// migration goes through the commands of the page, in their order.
type migration struct {
	*seedSite
	commands  []string
	replace   *strings.Replacer
	passwords []string
	stored    [][]byte // hashes, which no command may print
}

// next runs the page's next command, which must begin as told, at the gateway's
// machine.
func (m *migration) next(t *testing.T, begins string) string {
	t.Helper()
	if len(m.commands) == 0 || !strings.HasPrefix(m.commands[0], begins) {
		t.Fatalf("the page goes on with %q, not with %q", m.commands, begins)
	}
	line := m.replace.Replace(m.commands[0])
	m.commands = m.commands[1:]
	got := finish(t, m.command("sh", "-c", fmt.Sprintf("bridgehead() { %s \"$@\"; }; %s", program(t), line)), "")
	if got.code != 0 {
		t.Fatalf("%s: %s", line, got)
	}
	said := []byte(got.out + got.err)
	for _, p := range m.passwords {
		if bytes.Contains(said, []byte(p)) {
			t.Errorf("%s shows %q: %s", line, p, got)
		}
	}
	for _, h := range m.stored {
		if bytes.Contains(bytes.ToLower(said), h) {
			t.Errorf("%s shows a hash: %s", line, got)
		}
	}
	return string(said)
}

// restart starts the gateway anew with another backend.
func (m *migration) restart(t *testing.T, backend string) {
	t.Helper()
	if err := m.process.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	m.configure(t, "zz-backend.toml", fmt.Sprintf("[auth]\nbackend = %q\n", backend))
	m.await(t, m.gateway.StartCommand(15*time.Second, m.command(program(t), "serve")))
}

// found lists where a password stands, in UTF-8 or UTF-16, in a text.
func (m *migration) found(text []byte) (passwords []string) {
	for _, p := range m.passwords {
		if bytes.Contains(text, []byte(p)) || bytes.Contains(text, auth.UTF16([]byte(p))) {
			passwords = append(passwords, p)
		}
	}
	return passwords
}

// files fails where a file below a folder holds a password; links and sockets
// are passed over. It gives the number of files that were read.
func (m *migration) files(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if p := m.found(text); p != nil {
			t.Errorf("%s holds %q", path, p)
		}
		n++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// memory reads all that the gateway's process can write to, and gives the
// passwords in it. That a user's name is found shows that the search finds.
func (m *migration) memory(t *testing.T) []string {
	t.Helper()
	pid := m.process.Pid()
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || exe != program(t) {
		t.Fatalf("process %d is %q, %v", pid, exe, err)
	}
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var found []string
	seen, octets := false, 0
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(mode, "rw") {
			continue
		}
		text := make([]byte, to-from)
		n, _ := mem.ReadAt(text, int64(from)) // of what is reserved only, nothing can be read
		octets += n
		found = append(found, m.found(text[:n])...)
		seen = seen || bytes.Contains(text[:n], []byte(seedUser))
	}
	if !seen || octets < 1<<20 {
		t.Errorf("%d octets of memory were read, and the user's name was found: %v", octets, seen)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// The way from the page's ipsec.secrets to a users file, LDAP and RADIUS, by the
// commands of MIGRATION.md: a client with unchanged settings logs in at every
// step and gets the same, and at the end no password is left in any file, log
// or the gateway's memory.
func TestSeedMigration(t *testing.T) {
	t.Parallel()
	m := &migration{seedSite: newSeedSite(t), commands: pageCommands(t), passwords: []string{seedPassword, "password2", "password3"}}
	for _, p := range m.passwords {
		h := auth.HashPassword([]byte(p))
		m.stored = append(m.stored, fmt.Appendf(nil, "%x", h[:]))
	}
	authority := lab.NewCA(t, "Directory", lab.ECDSA256)
	slapd := m.StartSlapd(lab.SlapdConfig{On: m.gateway, Password: "directory secret", Server: authority.NewServer(lab.ECDSA256, time.Hour, "127.0.0.1"), Authority: authority})
	m.replace = strings.NewReplacer("ldaps://ldap.example.org", slapd.URL(), " -W ", " -y /etc/bridgehead/ldap.password ")
	m.install(t, "etc/bridgehead/ldap.password", "directory secret", 0o600)
	m.secretFile(t, radiusSecret)
	c := m.pageClient(t, "swan", seedGateway4)

	m.serveSeed(t, "[auth.file]\npath = \"/etc/ipsec.secrets\"\n")
	plain, _ := m.visit(t, c)
	if p := m.memory(t); p != nil {
		t.Errorf("after it read ipsec.secrets the gateway's memory holds %q", p)
	}
	same := func(step string) {
		t.Helper()
		if got, _ := m.visit(t, c); !cmp.Equal(plain, got) {
			t.Errorf("with %s the client gets something else (-ipsec.secrets +now):\n%s", step, cmp.Diff(plain, got))
		}
	}

	if said := m.next(t, "bridgehead users convert"); !strings.Contains(said, "/etc/ipsec.secrets:5:1") || !strings.Contains(said, "3 users taken over") {
		t.Errorf("the report is\n%s", said)
	}
	m.next(t, "bridgehead users convert")
	m.configure(t, "more.toml", "[auth.file]\npath = \"/etc/bridgehead/users\"\n")
	m.next(t, "bridgehead check")
	m.next(t, "bridgehead reload")
	same("the users file")
	m.next(t, "shred")
	m.follows(t)
	same("the users file alone")

	m.configure(t, "ldap.toml", fmt.Sprintf("[auth.ldap]\nservers = [%q]\nplaintext = true\nbind_dn = %q\npassword_file = \"/etc/bridgehead/ldap.password\"\nbase = \"ou=people,%s\"\n", slapd.URL(), lab.SlapdDN, lab.SlapdBase))
	m.next(t, "bridgehead users export --to ldif")
	m.next(t, "ldapadd")
	m.next(t, "shred")
	if said := m.next(t, "bridgehead users compare"); !strings.Contains(said, "3 users are the same in ldap, 0 are not") {
		t.Errorf("compared with LDAP:\n%s", said)
	}
	m.restart(t, "ldap")
	same("LDAP")
	if got := finish(t, m.command(program(t), "auth", "test", seedUser), seedPassword+"\n"); got.code != 0 || !strings.Contains(got.out, "accepted") {
		t.Errorf("auth test with LDAP: %s", got)
	}
	if got := finish(t, m.command(program(t), "check"), ""); got.code != 0 || strings.Contains(got.out+got.err, "auth.ldap") {
		t.Errorf("check with LDAP: %s", got)
	}

	m.next(t, "bridgehead users export --to freeradius")
	text, err := os.ReadFile(m.path("etc/bridgehead/users.radius"))
	if err != nil {
		t.Fatal(err)
	}
	radius := m.freeRADIUS(t, string(text))
	m.configure(t, "radius.toml", "[radius.campus]\naddress = \"127.0.0.1\"\nsecret_file = \"/etc/bridgehead/radius.secret\"\n")
	if said := m.next(t, "bridgehead users compare"); !strings.Contains(said, "3 users are the same in radius, 0 are not") {
		t.Errorf("compared with RADIUS:\n%s", said)
	}
	m.restart(t, "radius")
	m.next(t, "shred")
	same("RADIUS")

	if len(m.commands) > 0 {
		t.Errorf("not run: %q", m.commands)
	}
	if p := m.memory(t); p != nil {
		t.Errorf("the gateway's memory holds %q", p)
	}
	if n := m.files(t, m.machine) + m.files(t, slapd.Config.Dir) + m.files(t, m.Dir(fmt.Sprint("freeradius-", radius.Port))); n < 20 {
		t.Errorf("%d files were searched", n)
	}
	for name, log := range map[string]string{"gateway": m.process.Log(), "slapd": slapd.Log(), "FreeRADIUS": radius.Log()} {
		if p := m.found([]byte(log)); p != nil || log == "" {
			t.Errorf("the log of %s, %d octets, holds %q", name, len(log), p)
		}
	}
}

// follows: who is added, changed and removed counts at once, without a reload.
func (m *migration) follows(t *testing.T) {
	t.Helper()
	c := m.newClient(t, "second")
	for _, step := range []struct {
		args, password string
		in             bool
	}{
		{"add carol", "a first password", true}, {"passwd carol", "a second password", true}, {"passwd carol", "a third password", true}, {"remove carol", "a third password", false},
	} {
		args := append([]string{program(t), "users"}, strings.Fields(step.args)...)
		if got := finish(t, m.command(args...), step.password+"\n"); got.code != 0 {
			t.Fatalf("%s: %s", step.args, got)
		}
		if err := m.login(t, c, "carol", step.password); (err == nil) != step.in {
			t.Errorf("after %s: %v", step.args, err)
		}
	}
	if err := m.login(t, c, "user2", "password2"); err != nil {
		t.Errorf("user2: %v", err)
	}
}
