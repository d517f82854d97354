package peers

import (
	"path/filepath"
	"strings"
	"testing"

	"bridgehead/integration/lab"
)

// TestProbeAsOtherClients shows the gateway's defaults to what other makers'
// clients send in their factory state.
func TestProbeAsOtherClients(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	c := s.newClient(t, "client")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	s.root.Write(ca)
	for _, test := range []struct{ as, more, verdict string }{
		{"apple", "", "ok"},
		{"android", "", "ok"},
		{"windows", "", "no-common-proposal"}, // modp1024 alone
		{"windows", "--ike aes256-sha256-modp2048", "ok"},
	} {
		args := append([]string{"probe", s.outside.IPv4.String(), "--server-name", gatewayName, "--ca", ca, "--user", user, "--as", test.as, "--json"}, strings.Fields(test.more)...)
		got := bridgehead(t, c.Namespace, password+"\n", args...)
		if r := decode[probed](t, got.out); r.Verdict != test.verdict || (got.code == 0) != (test.verdict == "ok") {
			t.Errorf("as %s %s: %s", test.as, test.more, got)
		}
	}
	r := s.newest(t, "no-ike-proposal")
	if r.Client != "windows" || !r.shows("modp1024") || !strings.Contains(r.Advice, "NegotiateDH2048_AES256") {
		t.Errorf("explained as %+v", r)
	}
	s.nobodyIn(t)
}

// TestBench has the load generator log in and out.
func TestBench(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	c := s.newClient(t, "client")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	s.root.Write(ca)
	args := []string{"bench", s.outside.IPv4.String(), "--server-name", gatewayName, "--ca", ca, "--user", user, "--logins", "60", "--workers", "3", "--json"}
	got := bridgehead(t, c.Namespace, password+"\n", args...)
	r := decode[struct {
		Logins, Failed int
		Rate           float64 `json:"logins_per_second"`
	}](t, got.out)
	if got.code != 0 || r.Logins != 60 || r.Failed != 0 || r.Rate <= 0 {
		t.Errorf("%s", got)
	}
	s.nobodyIn(t)
	if now := s.status(t); now.Logins.Accepted != 60 {
		t.Errorf("%+v", now)
	}
	if got := bridgehead(t, c.Namespace, "wrong battery\n", args...); got.code != 1 {
		t.Errorf("with a wrong password: %s", got)
	}
}

// TestUsersChangeWhileTheGatewayRuns adds a user, changes the password and
// removes the user; each takes effect without a restart.
func TestUsersChangeWhileTheGatewayRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "")
	c := s.newClient(t, "client")
	dir := t.TempDir()
	ca, users := filepath.Join(dir, "ca.pem"), filepath.Join(s.dir, "users")
	s.root.Write(ca)
	eventually := func(password string, code int) {
		t.Helper()
		var got outcome
		lab.Eventually(t, lab.Patience, "a probe with that end", func() bool {
			got = bridgehead(t, c.Namespace, password+"\n", "probe", s.outside.IPv4.String(), "--server-name", gatewayName, "--ca", ca, "--user", "carol")
			return got.code == code
		})
	}
	const denied = 4
	eventually("first password", denied)
	s.addUser(t, "carol", "first password")
	eventually("first password", 0)
	if got := bridgehead(t, s.gateway, "second password\n", "users", "passwd", "carol", "--file", users); got.code != 0 {
		t.Fatalf("%s", got)
	}
	eventually("first password", denied)
	eventually("second password", 0)
	if got := bridgehead(t, s.gateway, "", "users", "remove", "carol", "--file", users); got.code != 0 {
		t.Fatalf("%s", got)
	}
	eventually("second password", denied)
	s.showsNoPassword(t, "first password", "second password")
}
