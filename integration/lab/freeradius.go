package lab

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed freeradius
var freeradiusFiles embed.FS

// freeradiusPath is where Debian's package freeradius puts the daemon.
const freeradiusPath = "/usr/sbin/freeradius"

// FreeRADIUSConfig is one FreeRADIUS.
type FreeRADIUSConfig struct {
	Secret string // shared with whoever asks from loopback
	Users  string // the text of its users file
	EAP    string // the method that it asks for first; empty: mschapv2
	Port   int    // on 127.0.0.1 and ::1, UDP, and TLS over TCP; 0: a free one
	// Accounting is the port for accounting, UDP on 127.0.0.1; 0: a free one.
	Accounting int
	// Unsigned has it take requests without Message-Authenticator over UDP, as
	// Debian's own configuration does.
	Unsigned bool
	// Quiet has it log logins alone, not every step: for measurements.
	Quiet bool
	// On is where it runs; nil: on the host itself.
	On *Namespace
	// Server and Authority are its certificate and the one that it takes
	// clients' certificates from.
	Server, Authority *Certificate
}

// FreeRADIUS is a running FreeRADIUS.
type FreeRADIUS struct {
	*Process
	Port, Accounting int
	// Database is the SQLite file with a row for each accounting record. It
	// outlives this process for the next one on the same port.
	Database string
	t        testing.TB
}

// StartFreeRADIUS runs FreeRADIUS and returns once it serves.
func (l *Lab) StartFreeRADIUS(c FreeRADIUSConfig) *FreeRADIUS {
	l.t.Helper()
	if c.EAP == "" {
		c.EAP = "mschapv2"
	}
	if c.Port == 0 {
		c.Port = freePort(l.t)
	}
	if c.Accounting == 0 {
		c.Accounting = freePort(l.t)
	}
	dir := l.Dir(fmt.Sprintf("freeradius-%d", c.Port))
	for _, name := range []string{"radiusd.conf", "modules.conf", "accounting.conf", "schema.sql", "ntlm_auth.sh"} {
		text, err := freeradiusFiles.ReadFile("freeradius/" + name)
		if err != nil {
			l.t.Fatal(err)
		}
		writeFile(l.t, filepath.Join(dir, name), string(text))
	}
	writeFile(l.t, filepath.Join(dir, "users"), c.Users)
	c.Server.Write(filepath.Join(dir, "certs/server.pem"))
	c.Server.WriteKey(filepath.Join(dir, "certs/server.key"))
	c.Authority.Write(filepath.Join(dir, "certs/ca.pem"))

	args := []string{"-f", "-l", "stdout", "-d", dir, "-n", "radiusd"}
	if !c.Quiet {
		args = append(args, "-xx")
	}
	cmd := exec.Command(freeradiusPath, args...)
	cmd.Env = append(os.Environ(), "LAB_DIR="+dir, "LAB_SECRET="+c.Secret, "LAB_EAP="+c.EAP, "LAB_PORT="+strconv.Itoa(c.Port), "LAB_ACCT_PORT="+strconv.Itoa(c.Accounting), "LAB_SIGNED="+map[bool]string{false: "yes", true: "no"}[c.Unsigned])
	if c.On == nil {
		c.On = &Namespace{lab: l, t: l.t}
	} else {
		ip := c.On.Command(cmd.Path, cmd.Args[1:]...)
		ip.Env, cmd = cmd.Env, ip
	}
	s := &FreeRADIUS{Process: c.On.StartCommand(5*time.Second, cmd), Port: c.Port, Accounting: c.Accounting, Database: filepath.Join(dir, "accounting.sqlite"), t: l.t}
	Eventually(l.t, 20*time.Second, "FreeRADIUS to serve", func() bool {
		select {
		case <-s.Exited():
			l.t.Fatalf("FreeRADIUS ended:\n%s", s.Log())
		default:
		}
		return strings.Contains(s.Log(), "Ready to process requests")
	})
	l.t.Cleanup(func() {
		if l.t.Failed() {
			log := s.Log()
			l.t.Logf("the end of FreeRADIUS's log:\n%s", log[max(0, len(log)-20000):])
		}
	})
	return s
}

// AccountingAddress is where it takes accounting on 127.0.0.1.
func (s *FreeRADIUS) AccountingAddress() string { return fmt.Sprintf("127.0.0.1:%d", s.Accounting) }

// Records asks its database about the table "records", and gives the rows'
// columns.
func (s *FreeRADIUS) Records(query string) [][]string {
	s.t.Helper()
	out, err := exec.Command("sqlite3", "-readonly", "-cmd", ".timeout 5000", s.Database, query).CombinedOutput()
	if err != nil {
		s.t.Fatalf("sqlite3: %v: %s", err, out)
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
	}
	return rows
}

// Address is where it serves on 127.0.0.1.
func (s *FreeRADIUS) Address() string { return fmt.Sprintf("127.0.0.1:%d", s.Port) }

// NewClient makes a certificate with which a client or a gateway proves its
// name over TLS.
func (c *Certificate) NewClient(k KeyKind, name string) *Certificate {
	c.t.Helper()
	return issue(c.t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		NotAfter:    time.Now().Add(time.Hour),
		DNSNames:    []string{name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, k, c)
}

// freePort finds a port on loopback that neither TCP nor UDP uses.
func freePort(t testing.TB) int {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := tcp.Addr().(*net.TCPAddr).Port
		udp, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		tcp.Close()
		if err == nil {
			udp.Close()
			return port
		}
	}
	t.Fatal("no free port on loopback")
	return 0
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
