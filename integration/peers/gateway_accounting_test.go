package peers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

// accountsOnly has the file decide about users and RADIUS take accounting.
func accountsOnly(more string) string {
	return `[radius.campus]
address     = "127.0.0.1"
secret_file = "radius.secret"
[accounting]
backend = "radius"
` + more
}

// accountant starts FreeRADIUS for accounting on the gateway's machine.
func (s *site) accountant(t *testing.T) (server *lab.FreeRADIUS, config lab.FreeRADIUSConfig) {
	t.Helper()
	s.secretFile(t, radiusSecret)
	authority := lab.NewCA(t, "RADIUS test CA", lab.ECDSA256)
	config = lab.FreeRADIUSConfig{
		On: s.gateway, Port: 1812, Accounting: 1813, Secret: radiusSecret,
		Server: authority.NewServer(lab.RSA2048, time.Hour, "radius.example.org", "127.0.0.1"), Authority: authority,
	}
	return s.StartFreeRADIUS(config), config
}

// rows waits until the database has so many records of sessions, and gives them.
func rows(t *testing.T, server *lab.FreeRADIUS, n int) [][]string {
	t.Helper()
	var got [][]string
	lab.Eventually(t, lab.Patience, fmt.Sprintf("%d records", n), func() bool {
		got = server.Records("SELECT kind, session, user, bytes_in, bytes_out, framed_ip, framed_ipv6, cause, lasted FROM records WHERE user != '' ORDER BY number")
		return len(got) >= n
	})
	if len(got) != n {
		t.Fatalf("%d records, expected %d: %v", len(got), n, got)
	}
	return got
}

// A user of the file is accounted for by RADIUS, rekeys and all: what the
// database has of the session is what the gateway showed of it. An outage of
// the server stands in nobody's way and loses nothing.
func TestAccountingOfAFileUser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server, config := s.accountant(t)
	s.serve(t, accountsOnly("interim = \"1m\"\n[dataplane]\nkind = \"userspace\"\n"))
	c := s.newClient(t, "client")
	s.swanctl(t, c, connection{server: s.outside.IPv4.String()}.String())
	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	in := s.oneSession(t)
	start := rows(t, server, 1)[0]
	if start[0] != "Start" || start[1] != in.ID || start[2] != user || !slices.Contains(in.Addresses, start[5]) || !slices.Contains(in.Addresses, start[6]) {
		t.Errorf("session %+v, recorded as %v", in, start)
	}
	if err := server.Stop(5 * time.Second); err != nil {
		t.Error(err)
	}
	c.reaches(t, "before the rekeys", in.Addresses)
	c.charon.Swanctl("--rekey", "--child", "home")
	c.reaches(t, "after the Child SA's rekey", in.Addresses)
	c.charon.Swanctl("--rekey", "--ike", "home")
	c.reaches(t, "after the IKE SA's rekey", in.Addresses)
	shown := s.oneSession(t)
	c.charon.Swanctl("--terminate", "--ike", "home")
	s.nobodyIn(t)

	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60") // nobody notices the outage
	second := s.oneSession(t)
	if got := s.asked(t, "disconnect", second.ID); !strings.Contains(got, "1") {
		t.Errorf("disconnect: %s", got)
	}
	s.nobodyIn(t)
	lab.Eventually(t, 60*time.Second, "word of the outage", func() bool {
		return slices.ContainsFunc(s.events(t), func(e event) bool { return strings.Contains(e.Text, "accounting is not answered") })
	})
	if got := s.asked(t, "status"); !strings.Contains(got, "wait for a server") {
		t.Errorf("status: %s", got)
	}
	server = s.StartFreeRADIUS(config)
	byName := map[string][]string{} // of session and kind: sessions do not wait for each other
	for _, r := range rows(t, server, 4) {
		byName[r[1]+" "+r[0]] = r
	}
	stop, stop2 := byName[in.ID+" Stop"], byName[second.ID+" Stop"]
	if stop == nil || stop2 == nil || byName[second.ID+" Start"] == nil {
		t.Fatalf("recorded: %v", byName)
	}
	if stop[7] != "User-Request" ||
		stop[3] != fmt.Sprint(shown.BytesIn) || stop[4] != fmt.Sprint(shown.BytesOut) || shown.BytesIn == 0 {
		t.Errorf("the gateway showed %d and %d octets, recorded is %v", shown.BytesIn, shown.BytesOut, stop)
	}
	if stop2[7] != "Admin-Reset" {
		t.Errorf("the session that an operator ended is recorded as %v", stop2)
	}
	if n := s.metric(t, `bridgehead_accounting_records_total{kind="stop"}`); n != 2 {
		t.Errorf("the metrics tell of %v Stop", n)
	}
}

// Where it is required, nobody comes in without the server's word; the refusal
// says why.
func TestRequiredAccounting(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server, config := s.accountant(t)
	s.serve(t, accountsOnly("required = true\n"))
	c := s.newClient(t, "client")
	s.swanctl(t, c, connection{server: s.outside.IPv4.String()}.String())
	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	c.charon.Swanctl("--terminate", "--ike", "home")
	rows(t, server, 2)
	if err := server.Stop(5 * time.Second); err != nil {
		t.Error(err)
	}
	if out, err := c.charon.TrySwanctl("--initiate", "--child", "home", "--timeout", "20"); err == nil {
		t.Errorf("logged in without the server's word:\n%s", out)
	}
	if r := s.newest(t, "accounting-unanswered"); r.User != user || r.Advice == "" {
		t.Errorf("explained as %+v", r)
	}
	s.nobodyIn(t)
	server = s.StartFreeRADIUS(config)
	if got := rows(t, server, 4); got[3][0] != "Stop" || got[2][1] != got[3][1] {
		t.Errorf("the login that came to nothing is recorded as %v", got[2:])
	}
}

// A gateway that is stopped says so last, and none of its sessions stays open.
func TestAccountingAtTheEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server, _ := s.accountant(t)
	s.serve(t, accountsOnly(""))
	c := s.newClient(t, "client")
	s.swanctl(t, c, connection{server: s.outside.IPv4.String()}.String())
	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	if err := s.process.Stop(15 * time.Second); err != nil {
		t.Error(err)
	}
	var kinds []string
	for _, r := range server.Records("SELECT kind, cause FROM records ORDER BY number") {
		kinds = append(kinds, strings.Trim(strings.Join(r, " "), " "))
	}
	if got := strings.Join(kinds, ", "); got != "Accounting-On, Start, Stop Admin-Reboot, Accounting-Off" {
		t.Errorf("recorded: %s", got)
	}
}
