package lab

import (
	"embed"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	client "github.com/go-ldap/ldap/v3"
)

//go:embed slapd
var slapdFiles embed.FS

// What a SlapdConfig's directory holds beside its entries: the account that may
// read hashes, and one that may not.
const (
	SlapdBase  = "dc=example,dc=org"
	SlapdDN    = "cn=vpn-gw,ou=services,dc=example,dc=org"
	SlapdOther = "cn=other,ou=services,dc=example,dc=org"
)

// SlapdConfig is one slapd.
type SlapdConfig struct {
	Password  string // of SlapdDN, SlapdOther, and the administrator
	Entries   string // LDIF below SlapdBase: people, and groups with members
	Port, TLS int    // of ldap:// and ldaps:// on 127.0.0.1; 0: free ones
	Idle      int    // seconds after which idle connections are dropped; 0: never
	Open      bool   // hashes are shown to whoever asks
	On        *Namespace
	// Server and Authority are its certificate and who signed it.
	Server, Authority *Certificate
	Dir               string // where it keeps its data; empty: a new folder
}

// Slapd is a running slapd.
type Slapd struct {
	*Process
	Config SlapdConfig
	socket string
	lab    *Lab
}

// StartSlapd runs slapd and returns once it serves.
func (l *Lab) StartSlapd(c SlapdConfig) *Slapd {
	l.t.Helper()
	if c.Port == 0 {
		c.Port, c.TLS = freePort(l.t), freePort(l.t)
	}
	if c.On == nil {
		c.On = &Namespace{lab: l, t: l.t}
	}
	if c.Dir == "" {
		c.Dir = l.Dir("slapd-" + strconv.Itoa(c.Port))
		c.load(l.t)
	}
	s := &Slapd{Config: c, socket: filepath.Join(c.Dir, "ldapi"), lab: l}
	args := []string{"-F", filepath.Join(c.Dir, "conf"), "-d", "stats", "-h", fmt.Sprintf("ldap://127.0.0.1:%d ldaps://127.0.0.1:%d %s", c.Port, c.TLS, s.Socket())}
	cmd := exec.Command("/usr/sbin/slapd", args...)
	if c.On.Name != "" {
		cmd = c.On.Command(cmd.Path, args...)
	}
	s.Process = c.On.StartCommand(5*time.Second, cmd)
	Eventually(l.t, Patience, "slapd to serve", func() bool {
		select {
		case <-s.Exited():
			l.t.Fatalf("slapd ended:\n%s", s.Log())
		default:
		}
		c, err := net.Dial("unix", s.socket) // the last one that it listens on
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return s
}

// load fills a folder with configuration and entries.
func (c SlapdConfig) load(t testing.TB) {
	t.Helper()
	replace := strings.NewReplacer("@RUN@", c.Dir, "@ROOTPW@", c.Password, "@STRANGERS@", map[bool]string{false: "none", true: "read"}[c.Open],
		"@IDLE@", "olcIdleTimeout: "+strconv.Itoa(c.Idle))
	for _, name := range []string{"config.ldif", "samba.ldif", "freeipa.ldif"} {
		text, err := slapdFiles.ReadFile("slapd/" + name)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(c.Dir, name), replace.Replace(string(text)))
	}
	c.Server.Write(filepath.Join(c.Dir, "server.pem"))
	c.Server.WriteKey(filepath.Join(c.Dir, "server.key"))
	c.Authority.Write(filepath.Join(c.Dir, "ca.pem"))
	writeFile(t, filepath.Join(c.Dir, "data.ldif"), c.skeleton()+c.Entries)
	for _, name := range []string{"db", "conf"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i, name := range []string{"config.ldif", "data.ldif"} {
		out, err := exec.Command("/usr/sbin/slapadd", "-n", strconv.Itoa(i), "-F", filepath.Join(c.Dir, "conf"), "-l", filepath.Join(c.Dir, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("slapadd %s: %v\n%s", name, err, out)
		}
	}
}

// skeleton is what every directory has.
func (c SlapdConfig) skeleton() string {
	text := "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n"
	for _, unit := range []string{"people", "groups", "services"} {
		text += fmt.Sprintf("dn: ou=%s,dc=example,dc=org\nobjectClass: organizationalUnit\nou: %s\n\n", unit, unit)
	}
	for _, dn := range []string{SlapdDN, SlapdOther} {
		name, _, _ := strings.Cut(strings.TrimPrefix(dn, "cn="), ",")
		text += fmt.Sprintf("dn: %s\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: %s\nuserPassword: %s\n\n", dn, name, c.Password)
	}
	return text
}

// URL is where it serves ldap://, and SecureURL ldaps://.
func (s *Slapd) URL() string { return fmt.Sprintf("ldap://127.0.0.1:%d", s.Config.Port) }

// SecureURL is where it serves ldaps://.
func (s *Slapd) SecureURL() string { return fmt.Sprintf("ldaps://127.0.0.1:%d", s.Config.TLS) }

// Socket is its socket as a URL.
func (s *Slapd) Socket() string { return "ldapi://" + url.PathEscape(s.socket) }

// Restart starts it again with the same data and ports.
func (s *Slapd) Restart() *Slapd { return s.lab.StartSlapd(s.Config) }

// Administer runs f as the directory's administrator over its socket.
func (s *Slapd) Administer(t testing.TB, f func(c *client.Conn) error) {
	t.Helper()
	raw, err := net.Dial("unix", s.socket)
	if err != nil {
		t.Fatal(err)
	}
	c := client.NewConn(raw, false)
	c.Start()
	defer c.Close()
	if err := c.Bind("cn=admin,"+SlapdBase, s.Config.Password); err != nil {
		t.Fatal(err)
	}
	if err := f(c); err != nil {
		t.Fatal(err)
	}
}

// SlapdUser is the LDIF of a person with Samba's hash in hex, and more lines.
func SlapdUser(name, hash string, more ...string) string {
	text := fmt.Sprintf("dn: uid=%s,ou=people,%s\nobjectClass: inetOrgPerson\nobjectClass: sambaSamAccount\nuid: %s\ncn: %s\nsn: %s\nsambaSID: S-1-5-21-%s\n", name, SlapdBase, name, name, name, name)
	if hash != "" {
		text += "sambaNTPassword: " + hash + "\n"
	}
	for _, line := range more {
		text += line + "\n"
	}
	return text + "\n"
}
