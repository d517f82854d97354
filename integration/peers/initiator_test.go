package peers

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/integration/lab"
)

// The scene: our initiator in one namespace, strongSwan as the gateway in
// another.
const (
	gatewayAddress = "10.77.0.1"
	clientAddress  = "10.77.0.2"
	gatewayName    = "vpn.example.org"
	user, password = "alice", "correct horse"
)

const gatewayConnections = `connections { rw {
  version = 2
  pools = p4, p6
  send_certreq = no
  unique = never
  proposals = aes256-sha256-modp2048, aes128gcm16-prfsha256-curve25519
  local { auth = pubkey
          certs = gw.pem
          id = vpn.example.org }
  remote { auth = %s
           eap_id = %%any }
  children { net { local_ts = 0.0.0.0/0, ::/0
                   esp_proposals = aes128gcm16-modp2048-curve25519, aes256-sha256-modp2048, aes128gcm16, aes256-sha256 } }
} }
secrets { eap-1 { id = alice
  secret = "correct horse" } }
pools { p4 { addrs = 192.0.2.0/24
             dns = 192.0.2.253 }
        p6 { addrs = 2001:db8::/96 
             dns = 2001:db8:1::53 } }
`

// world is a strongSwan gateway and a client's namespace.
type world struct {
	*lab.Lab
	gateway, client *lab.Namespace
	charon          *lab.Charon
	root            *lab.Certificate
}

func newWorld(t *testing.T, kind lab.KeyKind, remoteAuth string) *world {
	t.Helper()
	w := &world{Lab: lab.New(t)}
	w.gateway, w.client = w.Namespace("gate"), w.Namespace("client")
	w.Link(w.gateway, []string{gatewayAddress + "/24", "fd00:77::1/64"}, w.client, []string{clientAddress + "/24", "fd00:77::2/64"})
	w.root = lab.NewCA(t, "Test Root", lab.RSA2048)
	issuing := w.root.NewIntermediate("Test Issuing", kind)
	w.charon = w.gateway.StartCharon(lab.CharonConfig{
		Connections:  fmt.Sprintf(gatewayConnections, remoteAuth),
		Settings:     "init_limit_half_open = 0\n  make_before_break = yes",
		Certificates: map[string]*lab.Certificate{"gw.pem": issuing.NewServer(kind, time.Hour, gatewayName, gatewayAddress)},
		Authorities:  map[string]*lab.Certificate{"issuing.pem": issuing, "root.pem": w.root},
	})
	return w
}

func (w *world) config() initiator.Config {
	return initiator.Config{
		Server: gatewayAddress, ServerName: gatewayName, Roots: w.root.Pool(),
		User: user, Password: auth.Secret(password),
		IKE: proposals(message.ProtocolIKE, "aes256-sha256-modp2048"),
		ESP: proposals(message.ProtocolESP, "aes128gcm16"),
	}
}

func proposals(p message.Protocol, s string) suite.Proposals {
	ps, err := suite.ParseProposals(p, s)
	if err != nil {
		panic(err)
	}
	return ps
}

func (w *world) dial(ctx context.Context, c initiator.Config) (s *initiator.Session, err error) {
	w.client.Do(func() { s, err = initiator.Dial(ctx, c) })
	return s, err
}

func (w *world) login(t *testing.T, c initiator.Config) *initiator.Session {
	t.Helper()
	s, err := w.dial(t.Context(), c)
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

func TestInitiatorLogsIntoStrongSwan(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		key      lab.KeyKind
		ike, esp string
	}{
		{"RSA with an intermediate, AES-CBC and MODP", lab.RSA2048, "aes256-sha256-modp2048", "aes256-sha256"},
		{"RSA with an intermediate, AES-GCM and X25519", lab.RSA2048, "aes128gcm16-prfsha256-x25519", "aes128gcm16"},
		{"ECDSA", lab.ECDSA256, "aes128gcm16-prfsha256-x25519", "aes128gcm16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, test.key, "eap-mschapv2")
			c := w.config()
			c.IKE, c.ESP = proposals(message.ProtocolIKE, test.ike), proposals(message.ProtocolESP, test.esp)
			s := w.login(t, c)
			r := s.Result()
			if r.IKE != test.ike || r.ESP != test.esp || r.Method != "MSCHAPv2" || !r.Fragments || !r.EAPIdentity {
				t.Errorf("result %+v", r)
			}
			checkConfiguration(t, r.Config)
			if r.Server != gatewayName || len(r.Certificate.Names) != 2 || r.Certificate.Sent != 2 {
				t.Errorf("gateway %q with certificate %+v", r.Server, r.Certificate)
			}
			checkSteps(t, s.Steps())
			sas := w.charon.Swanctl("--list-sas")
			for _, want := range []string{"ESTABLISHED", "INSTALLED", fmt.Sprintf("%08x", s.Child().Out.SPI), fmt.Sprintf("%08x", s.Child().In.SPI)} {
				if !strings.Contains(sas, want) {
					t.Errorf("swanctl --list-sas lacks %q:\n%s", want, sas)
				}
			}
			if err := s.Close(t.Context()); err != nil {
				t.Errorf("logout: %v", err)
			}
			if sas := w.charon.Swanctl("--list-sas"); sas != "" {
				t.Errorf("after the logout the gateway still has:\n%s", sas)
			}
		})
	}
}

func checkConfiguration(t *testing.T, c initiator.Configuration) {
	t.Helper()
	v4, v6 := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/96")
	if len(c.Addresses) != 2 || !v4.Contains(c.Addresses[0].Addr()) || !v6.Contains(c.Addresses[1].Addr()) {
		t.Errorf("addresses %v, want one of %s and one of %s", c.Addresses, v4, v6)
	}
	if len(c.DNS) != 2 || c.DNS[0] != netip.MustParseAddr("192.0.2.253") || c.DNS[1] != netip.MustParseAddr("2001:db8:1::53") {
		t.Errorf("DNS %v", c.DNS)
	}
}

func checkSteps(t *testing.T, steps []initiator.StepTime) {
	t.Helper()
	want := []initiator.Step{initiator.StepResolve, initiator.StepInit, initiator.StepCertificate, initiator.StepIdentity,
		initiator.StepChallenge, initiator.StepSuccess, initiator.StepFinal}
	if len(steps) != len(want) {
		t.Fatalf("steps %v, want %v", steps, want)
	}
	for i, s := range steps {
		if s.Step != want[i] || i > 0 && s.Duration <= 0 {
			t.Errorf("step %d is %s after %s, want %s", i, s.Step, s.Duration, want[i])
		}
	}
}

func TestInitiatorNamesWhatStrongSwanRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	foreign := lab.NewCA(t, "Foreign Root", lab.ECDSA256)
	for _, test := range []struct {
		name    string
		change  func(*initiator.Config)
		verdict initiator.Verdict
		step    initiator.Step
		check   func(error) bool
	}{
		{
			"wrong password", func(c *initiator.Config) { c.Password = auth.Secret("wrong battery") },
			initiator.VerdictCredentials, initiator.StepChallenge, hasCode(691),
		},
		{
			"unknown user", func(c *initiator.Config) { c.User = "mallory" },
			initiator.VerdictCredentials, initiator.StepChallenge, hasCode(691),
		},
		{
			"foreign authority", func(c *initiator.Config) { c.Roots = foreign.Pool() },
			initiator.VerdictCertificate, initiator.StepCertificate, hasRule(initiator.RuleAuthority),
		},
		{
			"nothing, if the certificate has the address dialled", func(c *initiator.Config) { c.ServerName = "" },
			initiator.VerdictOK, "", nil,
		},
		{
			"name that the certificate lacks", func(c *initiator.Config) { c.Server, c.ServerName = "fd00:77::1", "" },
			initiator.VerdictCertificate, initiator.StepCertificate, hasRule(initiator.RuleName),
		},
		{
			"name that the gateway does not have", func(c *initiator.Config) { c.ServerName = "other.example.org" },
			initiator.VerdictRefused, initiator.StepCertificate, hasNotify(message.AuthenticationFailed),
		},
		{
			"refused IKE proposal", func(c *initiator.Config) { c.IKE = proposals(message.ProtocolIKE, "aes256-sha512-ecp384") },
			initiator.VerdictNoProposal, initiator.StepInit, offered(message.ProtocolIKE, "aes256-sha512-ecp384"),
		},
		{
			"refused ESP proposal", func(c *initiator.Config) { c.ESP = proposals(message.ProtocolESP, "chacha20poly1305") },
			initiator.VerdictNoProposal, initiator.StepFinal, offered(message.ProtocolESP, "chacha20poly1305"),
		},
		{
			"nobody there", func(c *initiator.Config) {
				c.Server = "10.77.0.9"
				c.Retransmit.First, c.Retransmit.Factor, c.Retransmit.Tries = 50*time.Millisecond, 1, 2
			},
			initiator.VerdictNoAnswer, initiator.StepInit, func(err error) bool {
				var e *initiator.TimeoutError
				return errors.As(err, &e) && e.Sent == 3 && !e.Answers
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.config()
			test.change(&c)
			s, err := w.dial(t.Context(), c)
			if test.verdict == initiator.VerdictOK {
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				return
			}
			var failure initiator.Failure
			if !errors.As(err, &failure) {
				t.Fatalf("error %v is no Failure", err)
			}
			if failure.Verdict() != test.verdict || failure.At() != test.step || !test.check(err) {
				t.Errorf("%s at %s: %v; want %s at %s", failure.Verdict(), failure.At(), err, test.verdict, test.step)
			}
			if strings.Contains(err.Error(), "battery") || strings.Contains(err.Error(), password) {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
	w.login(t, w.config())
}

func hasCode(code int) func(error) bool {
	return func(err error) bool {
		var e *initiator.CredentialsError
		return errors.As(err, &e) && e.Code == code
	}
}

func hasRule(rule initiator.CertificateRule) func(error) bool {
	return func(err error) bool {
		var e *initiator.CertificateError
		return errors.As(err, &e) && e.Rule == rule
	}
}

func hasNotify(n message.NotifyType) func(error) bool {
	return func(err error) bool {
		var e *initiator.RefusedError
		return errors.As(err, &e) && e.Notify == n
	}
}

func offered(p message.Protocol, what string) func(error) bool {
	return func(err error) bool {
		var e *initiator.NoProposalError
		return errors.As(err, &e) && e.Protocol == p && e.Offered == what
	}
}

func TestInitiatorTakesTheGroupStrongSwanAsksFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	c := w.config()
	c.IKE = proposals(message.ProtocolIKE, "aes128gcm16-prfsha256-ecp256-x25519")
	r := w.login(t, c).Result()
	if r.Group != "x25519" || r.IKE != "aes128gcm16-prfsha256-x25519" {
		t.Errorf("after INVALID_KE_PAYLOAD group %q and suite %q", r.Group, r.IKE)
	}
}

func TestInitiatorOverIPv6(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	c := w.config()
	c.Server = "fd00:77::1"
	s := w.login(t, c)
	if r := s.Result(); r.NATLocal || !s.Child().Path.Remote.Addr().Is6() {
		t.Errorf("NAT in front of the client %t, path %v", r.NATLocal, s.Child().Path)
	}
}

func TestInitiatorBehindNAT(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	home, router := w.Namespace("home"), w.Namespace("router")
	w.Link(home, []string{"192.168.1.2/24"}, router, []string{"192.168.1.1/24"})
	outside, _ := w.Link(router, []string{"10.78.0.2/24"}, w.gateway, []string{"10.78.0.1/24"})
	home.Run("ip", "route", "add", "default", "via", "192.168.1.1")
	router.Masquerade(outside)
	w.client = home
	c := w.config()
	c.Server = "10.78.0.1"
	s := w.login(t, c)
	if r := s.Result(); !r.NATLocal || !s.Child().Path.Encap {
		t.Errorf("NAT in front of the client %t, path %v", r.NATLocal, s.Child().Path)
	}
	if sas := w.charon.Swanctl("--list-sas"); !strings.Contains(sas, "10.78.0.2") {
		t.Errorf("the gateway sees another address:\n%s", sas)
	}
	if err := s.RekeyIKE(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestInitiatorRefusesOtherEAPMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-md5")
	_, err := w.dial(t.Context(), w.config())
	var e *initiator.MethodError
	if !errors.As(err, &e) || e.Wanted != "MD5-Challenge" {
		t.Errorf("error %v, want a *MethodError for MD5-Challenge", err)
	}
}

func TestInitiatorRekeysWithStrongSwan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	s := w.login(t, w.config())
	ctx := t.Context()
	for _, test := range []struct {
		name string
		do   func() error
	}{
		{"liveness", func() error { return s.Liveness(ctx) }},
		{"Child SA without key exchange", func() error { return s.RekeyChild(ctx, false) }},
		{"Child SA with key exchange", func() error { return s.RekeyChild(ctx, true) }},
		{"IKE SA", func() error { return s.RekeyIKE(ctx) }},
		{"liveness on the new IKE SA", func() error { return s.Liveness(ctx) }},
		{"Child SA of the new IKE SA", func() error { return s.RekeyChild(ctx, false) }},
		{"IKE SA again", func() error { return s.RekeyIKE(ctx) }},
	} {
		before := s.Child()
		if err := test.do(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if changed := s.Child().In.SPI != before.In.SPI; changed != strings.HasPrefix(test.name, "Child") {
			t.Errorf("%s: the Child SA changed: %t", test.name, changed)
		}
		w.sameChild(t, s)
	}
}

// sameChild checks that the gateway has one IKE SA with one Child SA, ours.
func (w *world) sameChild(t *testing.T, s *initiator.Session) {
	t.Helper()
	sas := w.charon.Swanctl("--list-sas")
	if strings.Count(sas, "ESTABLISHED") != 1 || strings.Count(sas, "INSTALLED") != 1 || !strings.Contains(sas, fmt.Sprintf("%08x", s.Child().Out.SPI)) {
		t.Errorf("want one IKE SA and the Child SA %08x, the gateway has:\n%s", s.Child().Out.SPI, sas)
	}
}

func TestInitiatorAnswersStrongSwan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	s := w.login(t, w.config())

	first := s.Child().In.SPI
	w.charon.Swanctl("--rekey", "--child", "net")
	lab.Eventually(t, lab.Patience, "the gateway's rekey of the Child SA", func() bool {
		return s.Child().In.SPI != first && strings.Count(w.charon.Swanctl("--list-sas"), "INSTALLED") == 1
	})
	w.sameChild(t, s)

	w.charon.Swanctl("--rekey", "--ike", "rw")
	lab.Eventually(t, lab.Patience, "the gateway's rekey of the IKE SA", func() bool {
		return strings.Contains(w.charon.Swanctl("--list-sas"), "rw: #2, ESTABLISHED")
	})
	w.sameChild(t, s)
	if err := s.Liveness(t.Context()); err != nil {
		t.Errorf("liveness on the IKE SA that the gateway made: %v", err)
	}
	if err := s.RekeyChild(t.Context(), true); err != nil {
		t.Errorf("rekey below the IKE SA that the gateway made: %v", err)
	}
	if err := s.RekeyIKE(t.Context()); err != nil {
		t.Errorf("rekey of the IKE SA that the gateway made: %v", err)
	}
	w.sameChild(t, s)

	w.charon.Swanctl("--terminate", "--ike", "rw")
	select {
	case <-s.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the session outlives the gateway's DELETE")
	}
	var deleted *initiator.DeletedError
	if !errors.As(s.Err(), &deleted) {
		t.Errorf("session ended with %v, want a *DeletedError", s.Err())
	}
}

func TestInitiatorRootsFromAnotherPoolAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	c := w.config()
	c.Roots = x509.NewCertPool()
	_, err := w.dial(t.Context(), c)
	if !hasRule(initiator.RuleAuthority)(err) {
		t.Errorf("error %v, want the rule %q", err, initiator.RuleAuthority)
	}
}

func TestLoadOnStrongSwan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	c := initiator.LoadConfig{Config: w.config(), N: 100, Workers: 4}
	c.Config.IKE = proposals(message.ProtocolIKE, "aes128gcm16-prfsha256-x25519")
	var report initiator.LoadReport
	var err error
	w.client.Do(func() { report, err = initiator.Load(t.Context(), c) })
	if err != nil || report.Logins != 100 || report.Failed != 0 || report.Rate <= 0 || report.Login.P50 > report.Login.P99 || report.Logout.Max == 0 {
		t.Errorf("%+v, error %v", report, err)
	}
	if sas := w.charon.Swanctl("--list-sas"); sas != "" {
		t.Errorf("after 100 logouts the gateway still has:\n%s", sas)
	}
	t.Logf("%.0f logins/s, p50 %.1f ms, p99 %.1f ms", report.Rate, report.Login.P50, report.Login.P99)
}

func TestLoadHoldsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	established := 0
	c := initiator.LoadConfig{
		Config: w.config(), N: 20, Workers: 3, Hold: true,
		Each: func(n int, c *initiator.Config) {
			c.Identity = &message.ID{Kind: message.IDFQDN, Data: fmt.Appendf(nil, "device-%d", n)}
		},
		Held: func(initiator.LoadReport) {
			established = strings.Count(w.charon.Swanctl("--list-sas"), "ESTABLISHED")
			cancel()
		},
	}
	var report initiator.LoadReport
	w.client.Do(func() { report, _ = initiator.Load(ctx, c) })
	if established != 20 || report.Logins != 20 || report.Logout.Max == 0 {
		t.Errorf("the gateway held %d sessions; report %+v", established, report)
	}
}

func TestProbeOfStrongSwan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	var r initiator.ProbeReport
	w.client.Do(func() { r = initiator.Probe(t.Context(), w.config()) })
	if r.Verdict != initiator.VerdictOK || r.Err != nil || len(r.Steps) != 7 || r.Total <= 0 || r.Logout <= 0 {
		t.Errorf("%+v", r)
	}
	if r.Suite != "aes256-sha256-modp2048" || r.EAP != "MSCHAPv2" || len(r.Addresses) != 2 || len(r.DNS) != 2 || len(r.Routes) != 2 ||
		r.Cert == nil || r.Cert.Key != "RSA 2048" || r.Cert.ChainSent != 2 || !r.GatewayNAT {
		t.Errorf("%+v, certificate %+v", r, r.Cert)
	}
	c := w.config()
	c.Password = auth.Secret("wrong battery")
	w.client.Do(func() { r = initiator.Probe(t.Context(), c) })
	if r.Verdict != initiator.VerdictCredentials || r.FailedAt != initiator.StepChallenge || r.Suite == "" || r.Cert == nil || len(r.Steps) != 4 || r.Steps[3].Step != initiator.StepIdentity {
		t.Errorf("with a wrong password %+v", r)
	}
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), "battery") || !strings.Contains(string(text), `"verdict":"wrong-user-or-password"`) {
		t.Errorf("JSON %s, error %v", text, err)
	}
}
