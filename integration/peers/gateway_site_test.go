package peers

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// Clients' addresses and what the gateway tells them.
const (
	pool4, pool6         = "192.0.2.0/25", "2001:db8::/96"
	resolver4, resolver6 = "10.99.0.53", "fd00:99::53"
)

// site is a bridgehead gateway with the internet before it and one host, a web
// server that tells its visitors their address, behind it.
type site struct {
	*lab.Lab
	internet        *lab.Internet
	gateway, inside *lab.Namespace
	outside         lab.Uplink // of the gateway
	root            *lab.Certificate
	dir             string // of the gateway's files
	control         string // its control socket
	process         *lab.Process
}

// newSite makes the machines; no gateway runs yet.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Lab: lab.New(t)}
	s.internet, s.gateway, s.inside = s.Internet(), s.Namespace("gate"), s.Namespace("inside")
	s.outside = s.internet.Join(s.gateway)
	s.Link(s.gateway, []string{"10.99.0.254/24", "fd00:99::fe/64"}, s.inside, []string{behind4 + "/24", behind6 + "/64"})
	s.inside.Run("ip", "route", "add", "default", "via", "10.99.0.254")
	s.inside.Run("ip", "-6", "route", "add", "default", "via", "fd00:99::fe")
	s.dir = s.Dir("bridgehead")
	s.control = filepath.Join(s.dir, "control.sock")
	s.web(t, behind4, behind6)
	return s
}

// web serves addresses of the host inside.
func (s *site) web(t *testing.T, hosts ...string) {
	t.Helper()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprint(w, host)
	})}
	for _, host := range hosts {
		var listener net.Listener
		var err error
		s.inside.Do(func() { listener, err = net.Listen("tcp", net.JoinHostPort(host, "80")) })
		if err != nil {
			t.Fatal(err)
		}
		go server.Serve(listener) // ends with Close
	}
	t.Cleanup(func() { server.Close() })
}

// gatewayFile is bridgehead.toml with the pools and further sections left open.
const gatewayFile = `[server]
name        = "vpn.example.org"
certificate = "server.pem"
key         = "server.key"
chain       = "issuing.pem"

[addresses]
pools = [%s]
dns   = ["` + resolver4 + `", "` + resolver6 + `"]

[auth.file]
path = "users"

[paths]
state   = "state"
control = "control.sock"

[log]
level = "debug"

%s`

// writeConfig writes the gateway's configuration with its certificate and two
// users, and gives the path of bridgehead.toml.
func (s *site) writeConfig(t *testing.T, more string, pools ...string) string {
	t.Helper()
	if len(pools) == 0 {
		pools = []string{pool4, pool6}
	}
	if s.root == nil {
		s.root = lab.NewCA(t, "Test Root", lab.RSA2048)
		issuing := s.root.NewIntermediate("Test Issuing", lab.RSA2048)
		issuing.Write(filepath.Join(s.dir, "issuing.pem"))
		server := issuing.NewServer(lab.RSA2048, 300*24*time.Hour, gatewayName, s.outside.IPv4.String())
		server.Write(filepath.Join(s.dir, "server.pem"))
		server.WriteKey(filepath.Join(s.dir, "server.key"))
		s.addUser(t, user, password)
		s.addUser(t, "bob", "battery staple")
	}
	file := filepath.Join(s.dir, "bridgehead.toml")
	text := fmt.Sprintf(gatewayFile, `"`+strings.Join(pools, `", "`)+`"`, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (s *site) addUser(t *testing.T, name, password string) {
	t.Helper()
	got := bridgehead(t, s.gateway, password+"\n", "users", "add", name, "--file", filepath.Join(s.dir, "users"))
	if got.code != 0 {
		t.Fatalf("users add: %s", got)
	}
}

// serve starts the gateway with the standard configuration, to which more
// sections may be added, and waits until it answers.
func (s *site) serve(t *testing.T, more string, pools ...string) {
	t.Helper()
	s.start(t, "serve", "--config", s.writeConfig(t, more, pools...))
}

// start starts the gateway and waits until it answers.
func (s *site) start(t *testing.T, args ...string) {
	t.Helper()
	s.await(t, s.gateway.Start(15*time.Second, program(t), args...))
}

// await waits until a gateway that was started answers.
func (s *site) await(t *testing.T, process *lab.Process) {
	t.Helper()
	s.process = process
	lab.Eventually(t, lab.Patience, "the gateway's answer", func() bool {
		select {
		case <-s.process.Exited():
			t.Fatalf("the gateway ended:\n%s", s.process.Log())
		default:
		}
		_, err := os.Stat(s.control)
		return err == nil && s.ask(t, "status").code == 0
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway:\n%s", s.process.Log())
		}
	})
}

// ask runs a verb against the running gateway.
func (s *site) ask(t *testing.T, args ...string) outcome {
	t.Helper()
	return bridgehead(t, s.gateway, "", append(args, "--control", s.control)...)
}

// asked is ask for a verb that must succeed.
func (s *site) asked(t *testing.T, args ...string) string {
	t.Helper()
	got := s.ask(t, args...)
	if got.code != 0 {
		t.Fatalf("bridgehead %v: %s", args, got)
	}
	return got.out
}

func (s *site) status(t *testing.T) state {
	t.Helper()
	return decode[state](t, s.asked(t, "status", "--json"))
}

func (s *site) sessions(t *testing.T) []session {
	t.Helper()
	return decode[struct{ Sessions []session }](t, s.asked(t, "sessions", "--json")).Sessions
}

// why lists what was refused, the newest first.
func (s *site) why(t *testing.T) []refusal {
	t.Helper()
	return decode[struct{ Refusals []refusal }](t, s.asked(t, "why", "--json")).Refusals
}

// events lists what happened, the oldest first.
func (s *site) events(t *testing.T) []event {
	t.Helper()
	var list []event
	for line := range strings.Lines(s.asked(t, "events", "--json")) {
		list = append(list, decode[event](t, line))
	}
	return list
}

// sessionFrom is the only session of a client.
func (s *site) sessionFrom(t *testing.T, c *client) session {
	t.Helper()
	var found []session
	for _, in := range s.sessions(t) {
		if strings.HasPrefix(in.Peer, c.uplink.IPv4.String()+":") {
			found = append(found, in)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d sessions from %s, want 1: %+v", len(found), c.uplink.IPv4, found)
	}
	return found[0]
}

// nobodyIn waits until no session is left and every address is free again.
func (s *site) nobodyIn(t *testing.T) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "the end of all sessions and leases", func() bool {
		now := s.status(t)
		for _, p := range now.Pools {
			if p.InUse > 0 {
				return false
			}
		}
		return now.Sessions == 0
	})
}
