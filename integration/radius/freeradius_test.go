package radius_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/integration/lab"
	"bridgehead/radius"
)

// scene is a FreeRADIUS with its users and certificates.
type scene struct {
	t         testing.TB
	lab       *lab.Lab
	secret    string
	password  string
	authority *lab.Certificate
	server    *lab.Certificate
	radius    *lab.FreeRADIUS
}

func newScene(t testing.TB, eap string) *scene {
	t.Helper()
	s := &scene{t: t, lab: lab.New(t), secret: random(t), password: random(t)}
	s.authority = lab.NewCA(t, "RADIUS test CA", lab.ECDSA256)
	s.server = s.authority.NewServer(lab.RSA2048, time.Hour, "radius.example.org", "127.0.0.1")
	s.radius = s.start(0, eap)
	return s
}

func (s *scene) start(port int, eap string) *lab.FreeRADIUS {
	s.t.Helper()
	return s.lab.StartFreeRADIUS(lab.FreeRADIUSConfig{
		Secret: s.secret, Users: s.users(), EAP: eap, Port: port, Server: s.server, Authority: s.authority,
	})
}

func (s *scene) users() string {
	hash := auth.HashPassword([]byte(s.password))
	return strings.NewReplacer("PASSWORD", s.password, "HASH", hex.EncodeToString(hash[:])).Replace(`
alice	NT-Password := 0xHASH
	Framed-IP-Address = 10.99.0.10,
	Framed-IP-Netmask = 255.255.255.255,
	Framed-IPv6-Address = 2001:db8:99::10,
	Session-Timeout = 3600,
	Idle-Timeout = 600,
	Acct-Interim-Interval = 60,
	Framed-Pool = "staff-pool",
	Framed-Route = "192.0.2.0/24 0.0.0.0 1",
	Framed-Route += "198.51.100.7",
	Framed-IPv6-Route = "2001:db8:5::/48 :: 1",
	MS-Primary-DNS-Server = 10.99.0.53,
	MS-Secondary-DNS-Server = 10.99.1.53,
	DNS-Server-IPv6-Address = 2001:db8:99::53,
	Filter-Id = "staff",
	Port-Limit = 2,
	Class = 0x616c696365,
	Class += 0x7468656972
bob	Cleartext-Password := "PASSWORD"
	User-Name = "robert"
dave	NT-Password := 0xHASH
	Session-Timeout = 0
erin	NT-Password := 0xHASH, Expiration := "01 Jan 2020"
`)
}

// config is the server over UDP.
func (s *scene) config() radius.ServerConfig {
	return radius.ServerConfig{Name: "campus", Address: s.radius.Address(), Secret: auth.Secret(s.secret)}
}

func random(t testing.TB) string {
	t.Helper()
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b[:])
}

// newBackend gives a backend over servers, which the test's end closes.
func newBackend(t testing.TB, c radius.BackendConfig, servers ...radius.ServerConfig) (*radius.Backend, *radius.Group) {
	t.Helper()
	g, err := radius.NewGroup("all", servers, radius.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	c.Group, c.NASIdentifier = g, "vpn.example.org"
	b, err := radius.NewBackend(c)
	if err != nil {
		t.Fatal(err)
	}
	return b, g
}

func testPeer() auth.Peer {
	return auth.Peer{
		Session: "test-session", IDi: "alice", Client: "windows",
		Remote: netip.MustParseAddrPort("192.0.2.77:4500"), Local: netip.MustParseAddrPort("192.0.2.1:4500"),
	}
}

// login is one EAP-MSCHAPv2 login.
type login struct {
	backend  *radius.Backend
	peer     auth.Peer
	user     string
	identity *string // where it is not the user
	password string
	within   time.Duration
}

// run plays the login to its end and gives the last step and the client.
func (l login) run(t testing.TB) (auth.Step, *mschapv2.Client) {
	t.Helper()
	if l.within == 0 {
		l.within = 20 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), l.within)
	defer cancel()
	conv, err := l.backend.Begin(ctx, l.peer)
	if err != nil {
		t.Fatal(err)
	}
	defer conv.Close()
	client := mschapv2.NewClient(l.user, []byte(l.password), rand.Reader)
	if l.identity != nil {
		client.Identity = *l.identity
	}
	var response []byte
	for range 10 {
		step, err := conv.Next(ctx, response)
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		var failed *mschapv2.FailedError
		response, err = client.Respond(step.Packet)
		if err != nil && !errors.As(err, &failed) {
			t.Fatalf("the client, verdict %d: %v", step.Verdict, err)
		}
		if step.Verdict != auth.Continue {
			return step, client
		}
	}
	t.Fatal("ten rounds without an end")
	return auth.Step{}, nil
}

func TestMSCHAPv2IsAcceptedWithAllThatFreeRADIUSGives(t *testing.T) {
	s := newScene(t, "mschapv2")
	b, g := newBackend(t, radius.BackendConfig{}, s.config())
	step, client := login{backend: b, peer: testPeer(), user: "alice", password: s.password}.run(t)
	if step.Verdict != auth.Accept {
		t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
	}
	if !cmp.Equal([]byte(step.Grant.MSK), []byte(client.MSK())) || len(client.MSK()) != 64 {
		t.Error("gateway and client have different keys")
	}
	want := auth.Grant{
		Name: "alice", Pool: "staff-pool", Group: "staff", MaxSessions: 2,
		Addresses:      []netip.Addr{netip.MustParseAddr("10.99.0.10"), netip.MustParseAddr("2001:db8:99::10")},
		DNS:            []netip.Addr{netip.MustParseAddr("10.99.0.53"), netip.MustParseAddr("10.99.1.53"), netip.MustParseAddr("2001:db8:99::53")},
		Routes:         []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8:5::/48")},
		SessionTimeout: time.Hour, IdleTimeout: 10 * time.Minute, InterimInterval: time.Minute,
		Class: [][]byte{[]byte("alice"), []byte("their")},
	}
	same := cmp.Options{cmpopts.IgnoreFields(auth.Grant{}, "MSK"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if d := cmp.Diff(want, *step.Grant, same); d != "" {
		t.Errorf("the grant (-want +got):\n%s", d)
	}
	f := g.Figures()[0]
	if f.State != radius.Alive || f.InFlight != 0 || f.Discarded() != 0 || f.RoundTrip <= 0 || f.Answers < 3 {
		t.Errorf("figures %+v", f)
	}
	for _, attribute := range []string{
		`NAS-Identifier = "vpn.example.org"`, `Calling-Station-Id = "192.0.2.77"`, `Called-Station-Id = "192.0.2.1"`,
		`Acct-Session-Id = "test-session"`, `Connect-Info = "IKEv2 windows test-session"`, "NAS-IP-Address = 192.0.2.1", "Framed-MTU = 1100",
	} {
		if !strings.Contains(s.radius.Log(), attribute) {
			t.Errorf("FreeRADIUS did not get %s", attribute)
		}
	}
}

func TestWhoIsRefusedAndWhy(t *testing.T) {
	s := newScene(t, "mschapv2")
	b, _ := newBackend(t, radius.BackendConfig{}, s.config())
	for name, tc := range map[string]struct {
		login
		verdict auth.Verdict
		cause   auth.Cause
	}{
		"wrong password":        {login{user: "alice", password: "wrong"}, auth.Reject, radius.CauseRefused},
		"unknown user":          {login{user: "mallory", password: "any"}, auth.Reject, radius.CauseRefused},
		"expired account":       {login{user: "erin", password: s.password}, auth.Reject, radius.CauseRefused},
		"a limit without sense": {login{user: "dave", password: s.password}, auth.Unavailable, radius.CauseBadAttribute},
	} {
		t.Run(name, func(t *testing.T) {
			tc.backend, tc.peer = b, testPeer()
			step, client := tc.run(t)
			if step.Verdict != tc.verdict || step.Reason.Cause != tc.cause || !client.Failed() || step.Grant != nil {
				t.Errorf("verdict %d, %+v, the client failed: %v", step.Verdict, step.Reason, client.Failed())
			}
		})
	}
}

func TestNames(t *testing.T) {
	s := newScene(t, "mschapv2")
	b, _ := newBackend(t, radius.BackendConfig{}, s.config())
	empty := ""
	for name, tc := range map[string]struct {
		login
		granted string
	}{
		"the server's own name counts":      {login{user: "bob"}, "robert"},
		"realm":                             {login{user: "alice@example.org"}, "alice@example.org"},
		"domain":                            {login{user: `CORP\alice`}, `CORP\alice`},
		"no EAP identity: the IKE identity": {login{user: "alice", identity: &empty}, "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.backend, tc.peer, tc.password = b, testPeer(), s.password
			step, client := tc.run(t)
			if step.Verdict != auth.Accept || !client.Done() {
				t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
			}
			if step.Grant.Name != tc.granted {
				t.Errorf("the user is %q, expected %q", step.Grant.Name, tc.granted)
			}
		})
	}
}

func TestWaysToServer(t *testing.T) {
	s := newScene(t, "mschapv2")
	gateway := s.authority.NewClient(lab.ECDSA256, "gateway.example.org")
	s6 := s.config()
	s6.Address = strings.Replace(s6.Address, "127.0.0.1", "[::1]", 1)
	source := s.config()
	source.Source = netip.MustParseAddr("127.0.0.42")
	tls12, tls13 := s.tls(gateway), s.tls(gateway)
	tls12.TLS.MaxVersion = tls.VersionTLS12
	tls13.TLS.MinVersion = tls.VersionTLS13
	for name, tc := range map[string]struct {
		server  radius.ServerConfig
		backend radius.BackendConfig
	}{
		"IPv6":              {server: s6},
		"from an address":   {server: source},
		"TLS 1.2":           {server: tls12},
		"TLS 1.3":           {server: tls13},
		"EAP-Start":         {s.config(), radius.BackendConfig{Start: radius.AskServer}},
		"the IKE identity":  {s.config(), radius.BackendConfig{Start: radius.AssumeIDi}},
		"small EAP packets": {s.config(), radius.BackendConfig{FramedMTU: 200}},
	} {
		t.Run(name, func(t *testing.T) {
			b, g := newBackend(t, tc.backend, tc.server)
			step, client := login{backend: b, peer: testPeer(), user: "alice", password: s.password}.run(t)
			if step.Verdict != auth.Accept || !client.Done() {
				t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
			}
			if f := g.Figures()[0]; f.Discarded() != 0 || f.Retransmissions != 0 {
				t.Errorf("figures %+v", f)
			}
		})
	}
	if !strings.Contains(s.radius.Log(), "from 127.0.0.42:") {
		t.Error("FreeRADIUS saw no request from the source address that was set")
	}
}

// tls is the server over TLS, for a gateway with that certificate.
func (s *scene) tls(gateway *lab.Certificate) radius.ServerConfig {
	return radius.ServerConfig{Name: "campus", Address: s.radius.Address(), TLS: &tls.Config{
		RootCAs:      s.authority.Pool(),
		Certificates: []tls.Certificate{{Certificate: [][]byte{gateway.Raw}, PrivateKey: gateway.Key}},
	}}
}
