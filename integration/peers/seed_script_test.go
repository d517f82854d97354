package peers

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// recorder is an updown script that writes down what it is told. It hangs for as
// long as the machine has /run/hang, says more than anybody reads, and fails.
const recorder = `#!/bin/bash
while [ -e /run/hang ]; do sleep .05; done
{ env | grep ^PLUTO_ | sort | tr '\n' '\t'; echo; } >>/run/told
head -c 3000000 /dev/zero | tr '\0' '\n'
`

// recorded has the recorder in the place of the page's script.
func recorded(t *testing.T) *seedSite {
	t.Helper()
	s := newSeedSite(t)
	s.install(t, "etc/strongswan.d/proxyndp.updown", recorder, 0o755)
	return s
}

// told waits until the recorder has been run as often as this, and gives the
// environments of all runs.
func (s *seedSite) told(t *testing.T, when string, runs int) []map[string]string {
	t.Helper()
	var lines []string
	lab.Eventually(t, lab.Patience, fmt.Sprintf("%d runs of the script %s", runs, when), func() bool {
		text, err := os.ReadFile(s.path("run/told"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		lines = strings.Split(string(text), "\n")
		return len(lines) > runs
	})
	if len(lines) != runs+1 {
		t.Errorf("%s: %d runs, want %d:\n%s", when, len(lines)-1, runs, strings.Join(lines, "\n"))
	}
	var all []map[string]string
	for _, line := range lines[:len(lines)-1] {
		env := make(map[string]string)
		for pair := range strings.SplitSeq(strings.TrimSuffix(line, "\t"), "\t") {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		all = append(all, env)
	}
	return all
}

// TestSeedScriptHearsOfEveryEnd tells the recorder of sessions that end in all
// the ways there are, but for a client that falls silent, which takes too long.
func TestSeedScriptHearsOfEveryEnd(t *testing.T) {
	t.Parallel()
	s := recorded(t)
	s.serveSeed(t, "")
	c := s.pageClient(t, "client", seedGateway4)
	runs := 0
	ends := func(when string, end func()) {
		t.Helper()
		c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		runs += 2
		s.told(t, "for the login before "+when, runs)
		c.rekey(t, "child", "home")
		c.rekey(t, "ike", "home")
		end()
		runs += 2
		all := s.told(t, "for "+when, runs)
		s.checkRuns(t, when, all[runs-4:])
	}
	ends("the logout", func() { c.charon.Swanctl("--terminate", "--ike", "home") })
	ends("the operator's word", func() { s.asked(t, "disconnect", seedUser) })
	ends("the gateway's end", func() { interrupt(t, s.process) })
	serve := func() { s.await(t, s.gateway.StartCommand(15*time.Second, s.command(program(t), "serve"))) }
	serve()
	ends("a crash", func() {
		if err := s.process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.process.Code(t, lab.Patience)
		serve()
	})
	s.nobodyIn(t)
	for _, want := range []string{"the updown script failed", "it wrote more than"} {
		if !strings.Contains(s.process.Log(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
}

// checkRuns checks what the script was told at the begin and at the end of one
// session: IPv4, IPv6, and the same of both.
func (s *seedSite) checkRuns(t *testing.T, when string, all []map[string]string) {
	t.Helper()
	for i, verb := range []string{"up-client", "up-client-v6", "down-client", "down-client-v6"} {
		want := map[string]string{
			"PLUTO_VERB": verb, "PLUTO_VERSION": "1.1", "PLUTO_ME": seedGateway4, "PLUTO_MY_ID": gatewayName, "PLUTO_INTERFACE": "eth0",
			"PLUTO_PEER_ID": seedUser, "PLUTO_XAUTH_ID": seedUser, "PLUTO_PEER_SOURCEIP": seedFirst4, "PLUTO_PROTO": "esp",
			"PLUTO_PEER_SOURCEIP4_1": seedFirst4, "PLUTO_PEER_SOURCEIP6_1": seedFirst6, "PLUTO_PEER_CLIENT": seedFirst4 + "/32",
			"PLUTO_MY_CLIENT": "0.0.0.0/0", "PLUTO_UDP_ENC": "4500",
			"PLUTO_UNIQUEID": all[0]["PLUTO_UNIQUEID"], "PLUTO_REQID": all[0]["PLUTO_REQID"],
		}
		if strings.HasSuffix(verb, "-v6") {
			want["PLUTO_PEER_CLIENT"], want["PLUTO_MY_CLIENT"] = seedFirst6+"/128", "::/0"
		}
		for name, value := range want {
			if got, ok := all[i][name]; !ok || got != value {
				t.Errorf("%s: run %d has %s=%q, want %q", when, i, name, got, value)
			}
		}
		if all[i]["PLUTO_CONNECTION"] == "" {
			t.Errorf("%s: no connection's name", when)
		}
	}
}

// TestSeedScriptIsNotToldOfMoves has a client change its address and renew its
// keys there: the script hears of its begin and of its end.
func TestSeedScriptIsNotToldOfMoves(t *testing.T) {
	t.Parallel()
	s := recorded(t)
	s.serveSeed(t, "[addresses]\nannounce = \"eth0\"\n") // the recorder makes no neighbours
	c := s.pageClient(t, "client", seedGateway4)
	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	before := s.oneSession(t)
	s.told(t, "for the login", 2)
	elsewhere := c.uplink.IPv4.Next()
	c.Run("sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=1")
	c.AddAddress(c.uplink.Link, elsewhere.String()+"/24")
	c.Run("ip", "addr", "del", c.uplink.IPv4.String()+"/24", "dev", c.uplink.Link)
	c.Run("ip", "route", "replace", "default", "via", c.uplink.IPv4.Prev().String())
	var moved session
	lab.Eventually(t, lab.Patience, "the session at "+elsewhere.String(), func() bool {
		moved = s.oneSession(t)
		return strings.HasPrefix(moved.Peer, elsewhere.String()+":")
	})
	if moved.ID != before.ID || !slices.Equal(moved.Addresses, before.Addresses) {
		t.Errorf("session %+v was %+v", moved, before)
	}
	for _, when := range []string{"after the move", "after the rekeys"} {
		c.visits(t, when, seedHost4, moved.Addresses...)
		c.visits(t, when, seedHost6, moved.Addresses...)
		c.rekey(t, "child", "home")
		c.rekey(t, "ike", "home")
	}
	s.told(t, "after the move", 2)
	c.charon.Swanctl("--terminate", "--ike", "home")
	s.checkRuns(t, "a session that moved", s.told(t, "for the logout", 4))
}

// TestSeedScriptThatHangsDelaysNobody lets it hang while clients come and go,
// one of them with an identity that a shell would trip over.
func TestSeedScriptThatHangsDelaysNobody(t *testing.T) {
	t.Parallel()
	const hostile = `$(touch /run/pwned);'|id>/run/pwned` // IDi
	s := recorded(t)
	s.serveSeed(t, "[hooks]\ntimeout = \"1m\"\n")
	s.install(t, "run/hang", "", 0o600)
	first, second := s.pageClient(t, "first", seedGateway4), s.newClient(t, "second")
	second.settings = lab.FullTunnel
	s.swanctl(t, second, pageConnection(seedGateway4, "\n          id = "+seedUser, "\n          id = \"fqdn:"+hostile+"\""))
	for i, c := range []*client{first, second} {
		c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		if n := s.status(t).Sessions; n != i+1 {
			t.Errorf("%d sessions while the script hangs, want %d", n, i+1)
		}
	}
	first.charon.Swanctl("--terminate", "--ike", "home")
	lab.Eventually(t, lab.Patience, "the end of the first session", func() bool { return s.status(t).Sessions == 1 })
	if _, err := os.Stat(s.path("run/told")); !os.IsNotExist(err) {
		t.Fatal("it did not hang")
	}
	if err := os.Remove(s.path("run/hang")); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, env := range s.told(t, "after it hung", 6) {
		found = found || env["PLUTO_PEER_ID"] == hostile && env["PLUTO_XAUTH_ID"] == seedUser
	}
	if !found {
		t.Error("not told of the identity as it is")
	}
	if _, err := os.Stat(s.path("run/pwned")); !os.IsNotExist(err) {
		t.Error("the identity was run")
	}
}
