package clients

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// realClock is why a real client spends no day of the table's.
const realClock = "not shown: its clock is the real one"

// strongSwan gives the rows of Debian's.
func strongSwan() []stay {
	return []stay{
		{client: "strongSwan, swanctl", user: "swanctl", run: swanctl},
		{client: "strongSwan, charon-cmd", user: "charon-cmd", run: charonCmd},
		{client: "strongSwan, NetworkManager", user: "nm", run: networkManager},
	}
}

// swanctlConf is the client's configuration; all but names is at its default.
const swanctlConf = `connections { home {
  version = 2
  remote_addrs = %s
  vips = 0.0.0.0, ::
  local { auth = eap-mschapv2
          id = %[2]s
          eap_id = %[2]s }
  remote { auth = pubkey
           id = vpn.example.org }
  children { home { remote_ts = 10.99.0.0/24, fd00:99::/64 } }
} }
secrets { eap-home { id = %[2]s
  secret = "%s" } }
`

// within waits for a state of a real client that it tells nobody of.
func within(limit time.Duration, what string, ok func() (bool, error)) error {
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var there bool
		if there, err = ok(); there {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("waited %s for %s", limit, what), err)
}

// roams takes a machine's address away and gives it another; its client has
// to notice.
func (s *scene) roams(m machine, before session) error {
	to := m.uplink.IPv4.Next()
	m.has(to)
	m.loses(m.uplink.IPv4)
	err := within(patience, "the client to move", func() (bool, error) {
		now, err := s.only(before.User)
		at, _ := netip.ParseAddrPort(now.Peer)
		return at.Addr() == to, err
	})
	if err != nil {
		return err
	}
	return s.stayed(m, to, before)
}

// gone waits for the end of a user's sessions.
func (s *scene) gone(user string) error {
	return within(patience, "the end of the session", func() (bool, error) {
		list, err := s.sessions(user)
		return err == nil && len(list) == 0, err
	})
}

// swanctl is the stay of charon under swanctl's hand.
func swanctl(t *testing.T, s *scene, st stay, r *row) {
	r.cells[idleDay] = realClock
	m := s.machine("swanctl")
	charon := m.StartCharon(lab.CharonConfig{
		Connections: fmt.Sprintf(swanctlConf, s.outside.IPv4, st.user, password),
		Authorities: map[string]*lab.Certificate{"root.pem": s.root},
	})
	_, err := charon.TrySwanctl("--initiate", "--child", "home", "--timeout", "20")
	var before session
	if err == nil {
		before, err = s.only(st.user)
	}
	if r.cell(t, login, "ok", err); err != nil {
		return
	}
	s.lives(t, m, r, "home", charon.TrySwanctl)
	r.cell(t, move, "ok", s.roams(m, before))
	_, err = charon.TrySwanctl("--terminate", "--ike", "home")
	r.cell(t, logout, "ok", errors.Join(err, s.gone(st.user)))
}

// lives is what follows a login of charon: traffic, and its rekeys by order.
func (s *scene) lives(t *testing.T, m machine, r *row, name string, swanctl func(...string) (string, error)) {
	t.Helper()
	r.cell(t, bothFamilies, "ok", m.pings())
	rekeyed := func(what, shows string) error {
		return m.losesNothing(func() error {
			if out, err := swanctl("--rekey", what, name); err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
			return within(patience, shows, func() (bool, error) {
				out, err := swanctl("--list-sas")
				return strings.Contains(out, shows) && strings.Count(out, "ESTABLISHED") == 1 && strings.Count(out, "INSTALLED") == 1, err
			})
		})
	}
	r.cell(t, childRekey, "ok", rekeyed("--child", name+": #2, reqid 1, INSTALLED"))
	r.cell(t, ikeRekey, "ok", rekeyed("--ike", name+": #2, ESTABLISHED"))
}

// charonCmd is the stay of the command-line client, with a socket for orders
// besides.
func charonCmd(t *testing.T, s *scene, st stay, r *row) {
	r.cells[idleDay] = realClock
	m := s.machine("cmd")
	dir := s.Dir("charon-cmd")
	ca, socket := filepath.Join(dir, "ca.pem"), "unix://"+filepath.Join(dir, "vici")
	s.root.Write(ca)
	settings := fmt.Sprintf("plugins { vici { socket = %s } }", socket)
	p := m.StartCharonCmd(settings, password, "charon-cmd", "--host", s.outside.IPv4.String(), "--identity", st.user, "--cert", ca,
		"--remote-identity", gatewayName, "--profile", "ikev2-eap", "--remote-ts", "10.99.0.0/24", "--remote-ts", "fd00:99::/64")
	var before session
	err := within(patience, "the login", func() (up bool, err error) {
		before, err = s.only(st.user)
		return err == nil && strings.Contains(p.Log(), "CHILD_SA cmd{1} established"), err
	})
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, p.Log())
	}
	if r.cell(t, login, "ok", err); err != nil {
		return
	}
	s.lives(t, m, r, "cmd", func(args ...string) (string, error) {
		return output(exec.Command("swanctl", append(args, "--uri", socket)...))
	})
	r.cell(t, move, "ok", s.roams(m, before))
	err = p.Signal(syscall.SIGINT)
	r.cell(t, logout, "ok", errors.Join(err, s.gone(st.user)))
}
