package peers

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// quickstart starts the gateway that needs no preparation and gives what it
// printed to type and to import.
func (s *site) quickstart(t *testing.T, args ...string) (server, name, password, ca string) {
	t.Helper()
	state := filepath.Join(s.dir, "quickstart")
	s.start(t, append([]string{"quickstart", "--state", state, "--control", s.control}, args...)...)
	value := func(label string) string {
		t.Helper()
		pattern := regexp.MustCompile(`(?m)^  ` + label + `  +(\S.*?)\s*$`)
		var found []string
		lab.Eventually(t, lab.Patience, "a line with the "+label, func() bool {
			found = pattern.FindStringSubmatch(s.process.Log())
			return found != nil
		})
		return found[1]
	}
	return value("server"), value("user"), value("password"), value("certificate authority")
}

// TestCharonCmdLogsIntoQuickstart is a newcomer's first hour: one command at
// the gateway, one at the client, with what the first one printed.
func TestCharonCmdLogsIntoQuickstart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	before := s.hostNetwork(t)
	server, name, password, ca := s.quickstart(t)
	if server != s.outside.IPv4.String() || name != "alice" || len(password) < 12 {
		t.Errorf("server %q, user %q, password of %d characters", server, name, len(password))
	}
	c := s.newClient(t, "client")
	command := regexp.MustCompile(`(?m)^  Linux +(charon-cmd .*)$`).FindStringSubmatch(s.process.Log())
	if command == nil {
		t.Fatalf("quickstart prints no command for Linux:\n%s", s.process.Log())
	}
	args := strings.Fields(strings.Replace(command[1], "--cert ca.pem", "--cert "+ca, 1))
	// Routes through the tunnel to all addresses would take charon-cmd's own
	// packets along: kernel-libipsec wants the networks named.
	args = append(args, "--remote-ts", "10.99.0.0/24", "--remote-ts", "fd00:99::/64")
	peer := c.StartCharonCmd("", password, args...)
	lab.Eventually(t, lab.Patience, "the login of charon-cmd", func() bool {
		select {
		case <-peer.Exited():
			t.Fatalf("charon-cmd ended:\n%s", peer.Log())
		default:
		}
		return len(s.sessions(t)) == 1 && strings.Contains(peer.Log(), "CHILD_SA cmd{1} established")
	})
	in := s.oneSession(t)
	if in.User != name || len(in.Addresses) != 2 {
		t.Errorf("session %+v", in)
	}
	// Masquerading: the host inside sees the gateway.
	c.reaches(t, "after the login", []string{"10.99.0.254", "fd00:99::fe"})
	if err := peer.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	peer.Code(t, lab.Patience)
	s.nobodyIn(t)
	for _, line := range []string{"  in   alice logged in from ", "  out  alice logged out after "} {
		if !strings.Contains(s.process.Log(), line) {
			t.Errorf("quickstart tells nothing like %q:\n%s", line, s.process.Log())
		}
	}
	if err := s.process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := s.process.Code(t, lab.Patience); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, s.process.Log())
	}
	s.sameHostNetwork(t, before)
}

// TestQuickstartStartedAgainKeepsAuthorityAndUser shows that clients which
// were set up once need nothing new.
func TestQuickstartStartedAgainKeepsAuthorityAndUser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, _, password, ca := s.quickstart(t, "--name", gatewayName)
	authority, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Stop(15 * time.Second); err != nil {
		t.Fatalf("%v\n%s", err, s.process.Log())
	}
	_, _, printed, _ := s.quickstart(t, "--name", gatewayName)
	if strings.Contains(s.process.Log(), password) || strings.Contains(printed, password) {
		t.Error("the password of the first run is printed again: it is kept somewhere")
	}
	if again, err := os.ReadFile(ca); err != nil || string(again) != string(authority) {
		t.Errorf("another authority, error %v", err)
	}
	c := s.newClient(t, "client")
	got := bridgehead(t, c.Namespace, password+"\n", "probe", s.outside.IPv4.String(), "--server-name", gatewayName, "--ca", ca, "--user", "alice")
	if got.code != 0 {
		t.Errorf("probe: %s", got)
	}
}
