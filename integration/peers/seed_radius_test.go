package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridgehead/integration/lab"
)

// radiusSecret is what the tests' gateway and FreeRADIUS share.
const radiusSecret = "a secret of # more than 16 \"octets\""

// overRADIUS changes nothing but the backend; the folder of the secret is left
// open.
const overRADIUS = `[auth]
backend = "radius"

[radius.campus]
address     = "127.0.0.1"
secret_file = "%s/radius.secret"
`

// freeRADIUS starts FreeRADIUS on the gateway's machine, which it shares its
// loopback with.
func (s *site) freeRADIUS(t *testing.T, users string) *lab.FreeRADIUS {
	t.Helper()
	authority := lab.NewCA(t, "RADIUS test CA", lab.ECDSA256)
	return s.freeRADIUSOf(authority, authority.NewServer(lab.RSA2048, 30*24*time.Hour, "radius.example.org", "127.0.0.1"), users)
}

// freeRADIUSOf is freeRADIUS with a certificate of its own. It takes requests as
// Debian's configuration does.
func (s *site) freeRADIUSOf(authority, server *lab.Certificate, users string) *lab.FreeRADIUS {
	return s.StartFreeRADIUS(lab.FreeRADIUSConfig{
		On: s.gateway, Port: 1812, Accounting: 1813, Secret: radiusSecret, Users: users, Server: server, Authority: authority, Unsigned: true,
	})
}

// secretFile writes what the gateway shares with FreeRADIUS.
func (s *site) secretFile(t *testing.T, secret string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, "radius.secret"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// terms are what a login gives the client.
type terms struct {
	Addresses []string
	Resolvers string
	Routes    []string // of every table
	Traffic   []string // selectors of the Child SA
}

var trafficSelectors = regexp.MustCompile(`(?m)^ *(?:local|remote)  .*$`)

// visit logs in, has a look, and logs out.
func (s *seedSite) visit(t *testing.T, c *client) (terms, session) {
	t.Helper()
	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	in := s.neighbours(t, "after the login", c)
	got := terms{Addresses: in.Addresses, Resolvers: c.charon.Resolvers()}
	for _, family := range []string{"-4", "-6"} {
		routes := withoutExpiry(c.Run("ip", family, "route", "show", "table", "all"))
		got.Routes = append(got.Routes, strings.Split(routes, "\n")...)
	}
	slices.Sort(got.Routes)
	got.Traffic = trafficSelectors.FindAllString(c.charon.Swanctl("--list-sas"), -1)
	c.charon.Swanctl("--terminate", "--ike", "home")
	s.nobodyIn(t)
	return got, in
}

// The documented setup with only the backend changed to RADIUS: the client gets
// the same addresses, name servers and routes as with the file.
func TestSeedOverRADIUS(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	c := s.pageClient(t, "swan", seedGateway4)
	s.serveSeed(t, "")
	file, _ := s.visit(t, c)
	if err := s.process.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}

	server := s.freeRADIUS(t, fmt.Sprintf("%s\tCleartext-Password := %q\n", seedUser, seedPassword))
	s.secretFile(t, radiusSecret)
	s.configure(t, "radius.toml", fmt.Sprintf(overRADIUS, "/etc/bridgehead"))
	s.succeeds(t, "check")
	s.await(t, s.gateway.StartCommand(15*time.Second, s.command(program(t), "serve")))
	got, in := s.visit(t, c)
	if d := cmp.Diff(file, got); d != "" {
		t.Errorf("with RADIUS instead of the file the client gets something else (-file +RADIUS):\n%s", d)
	}
	if len(got.Routes) == 0 || len(got.Traffic) == 0 || got.Resolvers == "" {
		t.Errorf("nothing was compared: %+v", got)
	}
	if in.User != seedUser {
		t.Errorf("user %q", in.User)
	}
	// The session id joins the gateway's log with that of the server.
	for _, attribute := range []string{
		fmt.Sprintf("Acct-Session-Id = %q", in.ID), fmt.Sprintf("Connect-Info = \"IKEv2 strongswan %s\"", in.ID),
		fmt.Sprintf("NAS-Identifier = %q", gatewayName), "NAS-IP-Address = " + seedGateway4, "Framed-MTU = 1100",
	} {
		if !strings.Contains(server.Log(), attribute) {
			t.Errorf("FreeRADIUS did not get %s", attribute)
		}
	}
	if !strings.Contains(s.process.Log(), in.ID) {
		t.Errorf("the gateway's log does not hold %s", in.ID)
	}

	// The same where the gateway ends EAP itself, which a reload is enough for.
	s.configure(t, "radius.toml", fmt.Sprintf(overRADIUS, "/etc/bridgehead")+"[auth.radius]\nmethod = \"mschapv2\"\n")
	if said := s.asked(t, "reload"); !strings.Contains(said, "auth.radius.method") || !strings.Contains(said, "RADIUS servers") {
		t.Errorf("reload: %s", said)
	}
	before := strings.Count(server.Log(), "MS-CHAP2-Success = ")
	if got, _ = s.visit(t, c); !cmp.Equal(file, got) {
		t.Errorf("with RADIUS without EAP the client gets something else (-file +RADIUS):\n%s", cmp.Diff(file, got))
	}
	if strings.Count(server.Log(), "MS-CHAP2-Success = ") == before {
		t.Error("FreeRADIUS was not asked for MS-CHAPv2")
	}
}

// What goes wrong with RADIUS has its own name each: a wrong password, a server
// that is down, a secret that differs. A login works again as soon as its cause
// is gone.
func TestRADIUSRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	users := fmt.Sprintf("%s\tCleartext-Password := %q\nbob\tCleartext-Password := \"battery staple\"\n", user, password)
	server := s.freeRADIUS(t, users)
	s.secretFile(t, radiusSecret)
	s.serve(t, fmt.Sprintf(overRADIUS, s.dir)+"[auth.radius]\nstep_time = \"4s\"\n")
	c := s.newClient(t, "client")
	good := connection{server: s.outside.IPv4.String()}
	s.swanctl(t, c, good.String(), connection{name: "wrong", server: good.server, user: "bob", password: "wrong battery"}.String())
	login := func(child string) (string, error) {
		return c.charon.TrySwanctl("--initiate", "--child", child, "--timeout", "20")
	}
	works := func(when string) {
		t.Helper()
		if out, err := login("home"); err != nil {
			t.Fatalf("%s: %v\n%s", when, err, out)
		}
		c.charon.Swanctl("--terminate", "--ike", "home")
		s.nobodyIn(t)
	}
	refused := func(when, child, told, cause string, evidence ...string) {
		t.Helper()
		before := len(s.why(t))
		if out, err := login(child); err == nil || !strings.Contains(out, told) {
			t.Errorf("%s: the client is told %q missing, error %v:\n%s", when, told, err, out)
		}
		lab.Eventually(t, lab.Patience, "a refusal", func() bool { return len(s.why(t)) > before })
		r := s.newest(t, cause)
		for _, words := range evidence {
			if !r.shows(words) {
				t.Errorf("%s: %q is not in %+v", when, words, r)
			}
		}
	}
	works("at first")
	refused("wrong password", "wrong", "EAP_MSCHAPV2 method failed", "radius-refused", "campus", "691")

	if err := server.Stop(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	refused("server down", "home", "received TEMPORARY_FAILURE notify error", "backend-unavailable", "campus", "did not answer within 4", "connection refused")
	s.freeRADIUS(t, users)
	works("the server is back")

	s.secretFile(t, "another secret than that of the server")
	if got := s.asked(t, "reload"); !strings.Contains(got, "RADIUS servers") {
		t.Errorf("reload: %s", got)
	}
	refused("another secret", "home", "received TEMPORARY_FAILURE notify error", "backend-unavailable", "campus", "did not answer within 4")
	s.secretFile(t, radiusSecret)
	s.asked(t, "reload")
	works("the right secret again")
	s.showsNoPassword(t, radiusSecret, "another secret than that of the server", password)

	if err := s.process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.process.Code(t, lab.Patience)
}
