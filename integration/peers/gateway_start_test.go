package peers

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestServeThatCannotStart has the machine lack something. The gateway says so
// in one line, with the remedy, and leaves nothing behind.
func TestServeThatCannotStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := s.writeConfig(t, "")
	before := s.hostNetwork(t)
	serve := []string{program(t), "serve", "--config", file}
	hidden := []string{"unshare", "-m", "sh", "-c", `mount --make-rprivate / && mount -t tmpfs none /dev/net && exec "$@"`, "-"}
	nobody := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}
	for _, test := range []struct {
		name    string
		prepare func(t *testing.T)
		command []string
		says    []string
	}{
		{"a port in use", func(t *testing.T) { s.hold(t, ":500") }, serve, []string{"UDP port 500", "stop it", "ike_port"}},
		{"the other port in use", func(t *testing.T) { s.hold(t, ":4500") }, serve, []string{"UDP port 4500", "stop it", "nat_port"}},
		{"no TUN", nil, append(hidden, serve...), []string{"/dev/net/tun", "modprobe tun"}},
		{"no rights", func(t *testing.T) { s.giveTo(t, 65534) }, append(nobody, serve...), []string{"run as root"}},
		{"no rights for quickstart", nil, append(nobody, program(t), "quickstart", "--state", "/var/lib/nobody-may", "--control", s.control), []string{"run as root"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.prepare != nil {
				test.prepare(t)
			}
			got := finish(t, s.gateway.Command(test.command[0], test.command[1:]...), "")
			if got.code != 1 {
				t.Errorf("exit code %d, want 1: %s", got.code, got)
			}
			said := spoken(got.err)
			if len(said) != 1 || !strings.HasPrefix(said[0], "bridgehead: not started: ") && !strings.HasPrefix(said[0], "bridgehead: folder of quickstart: ") {
				t.Errorf("want one line:\n%s", got.err)
			}
			for _, want := range test.says {
				if !strings.Contains(got.err, want) {
					t.Errorf("no word of %q:\n%s", want, got.err)
				}
			}
			s.sameHostNetwork(t, before)
			s.noSocket(t)
		})
	}
	// With nothing in its way the same configuration starts.
	s.giveTo(t, 0)
	s.start(t, serve[1:]...)
	t.Run("a second one", func(t *testing.T) {
		got := finish(t, s.gateway.Command(serve[0], serve[1:]...), "")
		if said := spoken(got.err); got.code != 1 || len(said) != 1 || !strings.Contains(said[0], "bridgehead") {
			t.Errorf("%s", got)
		}
		if s.status(t).Sessions != 0 {
			t.Error("the first one does not answer any more")
		}
	})
}

// spoken are the lines for a person: those that are no log entries.
func spoken(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// hold takes a UDP port of the gateway's machine for the time of a test.
func (s *site) hold(t *testing.T, address string) {
	t.Helper()
	var held net.PacketConn
	var err error
	s.gateway.Do(func() { held, err = net.ListenPacket("udp", address) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
}

// giveTo makes a user the owner of the gateway's files.
func (s *site) giveTo(t *testing.T, uid int) {
	t.Helper()
	for dir := filepath.Dir(s.dir); dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o711); err != nil { // the way there
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(s.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) noSocket(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(s.control); !os.IsNotExist(err) {
		t.Errorf("the control socket: %v", err)
	}
}

// brokenFile has five mistakes of five kinds.
const brokenFile = `[server]
name        = "*.example.org"
certificate = "server.pem"
key         = "missing.key"
ike_prot    = 500

[addresses]
pools = ["192.0.2.0/25", "192.0.2.64/26"]

[ike]
proposals = "aes265-sha256-modp2048"

[auth.file]
path = "users"
`

// TestBrokenConfigurationStartsNothing shows every mistake at once, each with
// its place, for check and serve alike.
func TestBrokenConfigurationStartsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	file := s.writeConfig(t, "")
	before := s.hostNetwork(t)
	if err := os.WriteFile(file, []byte(brokenFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"check", "serve"} {
		got := bridgehead(t, s.gateway, "", verb, "--config", file)
		if got.code != 78 {
			t.Errorf("%s: exit code %d, want 78: %s", verb, got.code, got)
		}
		for _, want := range []string{":2:15: ", ":4:15: ", ":5:1: ", ":8:26: ", ":11:14: ", "did you mean", "5 errors"} {
			if !strings.Contains(got.err, want) {
				t.Errorf("%s: no %q in:\n%s", verb, want, got.err)
			}
		}
	}
	s.sameHostNetwork(t, before)
	s.noSocket(t)
	if _, err := os.Stat(filepath.Join(s.dir, "state")); !os.IsNotExist(err) {
		t.Errorf("the state folder: %v", err)
	}
}
