package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// connect runs the program's own client at a machine until the test ends it,
// and returns once it is connected. dir is for its files; args begin with the
// gateway's address.
func connect(t *testing.T, n *lab.Namespace, dir string, authority *lab.Certificate, args ...string) *lab.Process {
	t.Helper()
	ca := filepath.Join(dir, "ca.pem")
	authority.Write(ca)
	return connected(t, n, dir, password, append(args, "--server-name", gatewayName, "--ca", ca, "--user", user)...)
}

// connected starts connect with all its arguments and waits until it says that
// it is.
func connected(t *testing.T, n *lab.Namespace, dir, password string, args ...string) *lab.Process {
	t.Helper()
	cmd := n.Command(program(t), append([]string{"connect", "--state", filepath.Join(dir, "connect")}, args...)...)
	cmd.Stdin = strings.NewReader(password + "\n")
	p := n.StartCommand(10*time.Second, cmd)
	lab.Eventually(t, lab.Patience, "connect's word that it is connected", func() bool {
		select {
		case <-p.Exited():
			t.Fatalf("connect ended:\n%s", p.Log())
		default:
		}
		return strings.Contains(p.Log(), "connected on ")
	})
	return p
}

// interrupt is Ctrl-C; the program must end well.
func interrupt(t *testing.T, p *lab.Process) {
	t.Helper()
	if err := p.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.Code(t, lab.Patience); code != 0 {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, p.Log())
	}
}

// TestConnect has the program's own client carry traffic to both gateways and
// leave its machine as it was.
func TestConnect(t *testing.T) {
	t.Parallel()
	t.Run("bridgehead", func(t *testing.T) {
		s := newSite(t)
		s.serve(t, "")
		c := s.newClient(t, "client")
		s.internet.Rules("table ip6 watch {\ncounter bare { }\nchain forward {\ntype filter hook forward priority filter; meta l4proto 50 counter name bare;\n}\n}\n")
		before := hostNetwork(t, c.Namespace, 1)
		for _, test := range []struct {
			name string
			args []string
		}{
			{"networks behind the gateway", []string{s.outside.IPv4.String(), "--subnet", "10.99.0.0/24", "--subnet", "fd00:99::/64"}},
			{"everything", []string{s.outside.IPv4.String()}},
			{"everything, over IPv6", []string{s.outside.IPv6.String()}},
			{"an older suite", []string{s.outside.IPv4.String(), "--ike", "aes256-sha1-modp2048", "--esp", "aes256-sha1"}},
		} {
			t.Run(test.name, func(t *testing.T) {
				p := connect(t, c.Namespace, t.TempDir(), s.root, test.args...)
				c.reaches(t, "connected", s.oneSession(t).Addresses)
				interrupt(t, p)
				s.nobodyIn(t)
				sameHostNetwork(t, c.Namespace, 1, before)
			})
		}
		// Over IPv6 no NAT may be announced that is not there: ESP goes by itself.
		if s.internet.Octets(t, "ip6", "watch", "bare") == 0 {
			t.Error("no ESP outside of UDP over IPv6")
		}
		t.Run("the gateway disconnects", func(t *testing.T) {
			p := connect(t, c.Namespace, t.TempDir(), s.root, s.outside.IPv4.String())
			s.asked(t, "disconnect", user)
			if code := p.Code(t, lab.Patience); code != 1 || !strings.Contains(p.Log(), "bridgehead: ") {
				t.Errorf("exit code %d, want 1 and why:\n%s", code, p.Log())
			}
			s.nobodyIn(t)
			sameHostNetwork(t, c.Namespace, 1, before)
		})
	})
	t.Run("strongSwan", func(t *testing.T) {
		w := newWorld(t, lab.RSA2048, "eap-mschapv2")
		w.gateway.AddAddress("lo", behind4+"/32")
		w.gateway.AddAddress("lo", behind6+"/128")
		w.gateway.Forward()
		w.client.Run("ip", "-6", "route", "add", "default", "via", "fd00:77::1")
		before := hostNetwork(t, w.client, 1)
		p := connect(t, w.client, t.TempDir(), w.root, gatewayAddress, "--ike", "aes256-sha256-modp2048", "--esp", "aes128gcm16")
		for _, host := range []string{behind4, behind6} {
			if out, err := w.client.Try("ping", "-c", "2", "-i", "0.1", "-W", "20", host); err != nil {
				t.Errorf("ping %s: %v\n%s", host, err, out)
			}
		}
		interrupt(t, p)
		sameHostNetwork(t, w.client, 1, before)
		if sas := w.charon.Swanctl("--list-sas"); sas != "" {
			t.Errorf("after the end the gateway still has:\n%s", sas)
		}
	})
}

// TestConnectThatFailsTouchesNothing shows a login that is refused and a
// machine without rights.
func TestConnectThatFailsTouchesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	c := s.newClient(t, "client")
	before := hostNetwork(t, c.Namespace, 1)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	s.root.Write(ca)
	args := []string{"connect", s.outside.IPv4.String(), "--server-name", gatewayName, "--ca", ca, "--user", user, "--state", t.TempDir()}
	withoutRights := exec.Command("setpriv", append([]string{"--bounding-set=-all", "--inh-caps=-all", program(t)}, args...)...)
	for name, test := range map[string]struct {
		cmd      *exec.Cmd
		password string
		code     int
		says     string
	}{
		"wrong password": {c.Command(program(t), args...), "wrong battery", 4, "password"},
		"no rights":      {c.Command(withoutRights.Args[0], withoutRights.Args[1:]...), password, 1, "run as root"},
	} {
		got := finish(t, test.cmd, test.password+"\n")
		if got.code != test.code || !strings.Contains(got.err, test.says) {
			t.Errorf("%s: %s", name, got)
		}
		sameHostNetwork(t, c.Namespace, 1, before)
	}
	s.nobodyIn(t)
}
