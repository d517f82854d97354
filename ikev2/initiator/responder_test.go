package initiator_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
)

const (
	gatewayName = "vpn.example.org"
	user        = "alice"
	password    = "correct horse"
)

// certificate issues one with a new key, by itself if by is nil.
func certificate(t testing.TB, template, by *x509.Certificate, key, byKey crypto.Signer) *x509.Certificate {
	t.Helper()
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if by == nil {
		by, byKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), byKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type users struct{}

func (users) Lookup(_ context.Context, name string) (auth.Account, bool, error) {
	return auth.Account{Hash: auth.HashPassword([]byte(password)), Grant: auth.Grant{Name: user}}, name == user, nil
}

// planes records the Child SAs that are installed.
type planes struct {
	esp.DataPlane
	mu       sync.Mutex
	children map[esp.ChildID]esp.Child
}

func newPlanes() *planes { return &planes{children: map[esp.ChildID]esp.Child{}} }

func (p *planes) Install(_ context.Context, c esp.Child) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.children[c.ID] = c
	return nil
}

func (p *planes) Rekey(ctx context.Context, _ esp.ChildID, c esp.Child) error {
	return p.Install(ctx, c)
}

func (p *planes) Remove(_ context.Context, id esp.ChildID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.children, id)
	return nil
}

func (p *planes) Usage(context.Context, []esp.ChildID) ([]esp.Usage, error) { return nil, nil }

// with gives the Child SA whose inbound SPI is spi; any if that is 0.
func (p *planes) with(t *testing.T, spi uint32) esp.Child {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.children {
		if c.In.SPI == spi || spi == 0 {
			return c
		}
	}
	t.Fatalf("no Child SA with the inbound SPI %08x is installed", spi)
	return esp.Child{}
}

// gateway is our own responder on loopback.
type gateway struct {
	*ikev2.Responder
	transport *transport.Transport
	plane     *planes
	root      *x509.CertPool
}

// HandleESP drops what comes: no traffic is made here.
func (*gateway) HandleESP([]transport.ESPDatagram) {}

func newGateway(t testing.TB) *gateway {
	t.Helper()
	return newGatewayOver(t, mschapv2.NewHashVerifier(users{}))
}

// newGatewayOver is a gateway whose users' answers the verifier judges.
func newGatewayOver(t testing.TB, v auth.Verifier) *gateway {
	t.Helper()
	sockets, err := transport.Listen(transport.Config{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{transport: sockets, plane: newPlanes(), root: x509.NewCertPool()}
	leaf, key := g.certificates(t)
	var ranges []lease.Range
	for _, p := range []string{"192.0.2.0/24", "2001:db8::/96"} {
		r, err := lease.ParseRange(p)
		if err != nil {
			t.Fatal(err)
		}
		ranges = append(ranges, r)
	}
	pools, err := lease.NewPools([]lease.PoolConfig{{Name: "main", Ranges: ranges}}, lease.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	g.Responder, err = ikev2.NewResponder(ikev2.Config{
		Certificates:   []ikev2.Certificate{{Chain: []*x509.Certificate{leaf}, Key: key}},
		Backend:        mschapv2.NewBackend(v, mschapv2.Options{}),
		Leases:         pools,
		Plane:          g.plane,
		DNS:            []netip.Addr{netip.MustParseAddr("192.0.2.200")},
		ForceEncapIPv4: true,
		Logger:         slog.New(slog.DiscardHandler),
		Rand:           rand.Reader,
		Now:            time.Now,
		Send:           func(ds []transport.Datagram) { _ = sockets.SendIKE(ds) }, // as lossy as the network
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running, reading sync.WaitGroup
	running.Go(func() {
		if err := g.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("responder: %v", err)
		}
	})
	reading.Go(func() { _ = sockets.Serve(context.Background(), g) }) // Close ends it
	t.Cleanup(func() {
		cancel()
		running.Wait()
		sockets.Close()
		reading.Wait()
	})
	return g
}

// certificates makes the gateway's certificate and the root it trusts.
func (g *gateway) certificates(t testing.TB) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	root := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, rootKey, nil)
	leaf := certificate(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: gatewayName}, DNSNames: []string{gatewayName}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, root, key, rootKey)
	g.root.AddCert(root)
	return leaf, key
}

func (g *gateway) client() initiator.Config {
	return initiator.Config{
		Server: "127.0.0.1", IKEPort: g.transport.IKEPort(), NATTPort: g.transport.NATTPort(),
		ServerName: gatewayName, Roots: g.root, User: user, Password: auth.Secret(password),
	}
}

func dial(t *testing.T, c initiator.Config) *initiator.Session {
	t.Helper()
	s, err := initiator.Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Close(ctx) // may have ended before
	})
	return s
}

// TestProfilesLogInToOurResponder logs in as each real client.
func TestProfilesLogInToOurResponder(t *testing.T) {
	g := newGateway(t)
	for _, test := range []struct {
		profile  *initiator.Profile
		accepted bool
	}{
		{initiator.DefaultProfile(), true},
		{initiator.Apple(), true},
		{initiator.Android(), true},
		{initiator.Windows10DH2048(), true},
		{initiator.Windows10(), false}, // it has modp1024 only
	} {
		t.Run(test.profile.Name, func(t *testing.T) {
			c, mine := g.client(), newPlanes()
			c.Profile, c.Plane, c.RequireServerAuth = test.profile, mine, true
			if !test.accepted {
				s, err := initiator.Dial(t.Context(), c)
				var e *initiator.NoProposalError
				if err == nil || !errors.As(err, &e) {
					t.Fatalf("%v, want a refusal of the proposals", s.Result())
				}
				return
			}
			s := dial(t, c)
			r := s.Result()
			if r.IKE == "" || len(r.Config.Addresses) != 2 || len(r.Config.DNS) != 1 {
				t.Errorf("%+v", r)
			}
			sameKeys(t, mine, g.plane)
			for _, withKE := range []bool{false, true} {
				if err := s.RekeyChild(t.Context(), withKE); err != nil {
					t.Errorf("rekey of the Child SA, key exchange %t: %v", withKE, err)
				}
			}
			if err := s.RekeyIKE(t.Context()); err != nil {
				t.Errorf("rekey of the IKE SA: %v", err)
			}
			if err := s.RekeyChild(t.Context(), false); err != nil {
				t.Errorf("rekey below the new IKE SA: %v", err)
			}
			sameKeys(t, mine, g.plane)
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if len(mine.children) != 0 {
				t.Errorf("%d Child SAs are left at the client", len(mine.children))
			}
		})
	}
}

// sameKeys checks that both ends agree on the client's one Child SA.
func sameKeys(t *testing.T, mine, theirs *planes) {
	t.Helper()
	if len(mine.children) != 1 {
		t.Errorf("%d Child SAs are installed at the client, want 1", len(mine.children))
	}
	client := mine.with(t, 0)
	gateway := theirs.with(t, client.Out.SPI)
	same := func(a, b esp.SA) bool {
		return a.SPI == b.SPI && a.Suite == b.Suite && slices.Equal(a.EncrKey, b.EncrKey) && slices.Equal(a.IntegKey, b.IntegKey)
	}
	if !same(client.In, gateway.Out) || !same(client.Out, gateway.In) || !slices.Equal(client.Local, gateway.Remote) || !slices.Equal(client.Remote, gateway.Local) {
		t.Errorf("the ends disagree: client %+v, gateway %+v", client, gateway)
	}
}

func TestOurResponderRefuses(t *testing.T) {
	g := newGateway(t)
	for _, test := range []struct {
		name    string
		change  func(*initiator.Config)
		verdict initiator.Verdict
	}{
		{"wrong password", func(c *initiator.Config) { c.Password = auth.Secret("wrong") }, initiator.VerdictCredentials},
		{"unknown user", func(c *initiator.Config) { c.User = "mallory" }, initiator.VerdictCredentials},
		{"foreign authority", func(c *initiator.Config) { c.Roots = x509.NewCertPool() }, initiator.VerdictCertificate},
		{"another name", func(c *initiator.Config) { c.ServerName = "vpn.example.net" }, initiator.VerdictCertificate},
		{"proposal", func(c *initiator.Config) {
			c.ESP = suite.Proposals{{Protocol: message.ProtocolESP, Transforms: []message.Transform{
				{Type: message.TransformENCR, ID: 3}, {Type: message.TransformINTEG, ID: suite.IntegHMACSHA1_96}, {Type: message.TransformESN},
			}}}
		}, initiator.VerdictNoProposal},
	} {
		c := g.client()
		test.change(&c)
		_, err := initiator.Dial(t.Context(), c)
		var f initiator.Failure
		if !errors.As(err, &f) || f.Verdict() != test.verdict {
			t.Errorf("%s: %v, want %s", test.name, err, test.verdict)
		}
	}
	dial(t, g.client())
}

func TestOurResponderDisconnects(t *testing.T) {
	g := newGateway(t)
	s := dial(t, g.client())
	if n, err := g.Disconnect(t.Context(), ikev2.Selector{User: user}); n != 1 || err != nil {
		t.Fatalf("disconnected %d, %v", n, err)
	}
	select {
	case <-s.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the session outlives the gateway's DELETE")
	}
	var deleted *initiator.DeletedError
	if !errors.As(s.Err(), &deleted) {
		t.Errorf("ended with %v", s.Err())
	}
}

func TestInterruptedDial(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _, _ = silent.ReadFrom(make([]byte, 2048)) // the first request is there
		cancel()
	}()
	_, err = initiator.Dial(ctx, initiator.Config{
		Server: "127.0.0.1", IKEPort: silent.LocalAddr().(*net.UDPAddr).AddrPort().Port(), User: user, Password: auth.Secret(password),
	})
	var e *initiator.InterruptedError
	if !errors.As(err, &e) || e.At() != initiator.StepInit || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A caller with less patience than the retransmission schedule learns what was
// not answered, not that it had no patience.
func TestDialOutOfTimeNamesWhatWasNotAnswered(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = initiator.Dial(ctx, initiator.Config{
		Server: "127.0.0.1", IKEPort: silent.LocalAddr().(*net.UDPAddr).AddrPort().Port(), User: user, Password: auth.Secret(password),
	})
	var e *initiator.TimeoutError
	if !errors.As(err, &e) || e.At() != initiator.StepInit || e.Sent != 1 || e.Answers || e.Verdict() != initiator.VerdictNoAnswer {
		t.Errorf("%v", err)
	}
}

func TestWhatCannotBeSentIsNamed(t *testing.T) {
	c := initiator.Config{Server: "127.0.0.1", IKEPort: 1, NATTPort: 2, User: user, Password: auth.Secret(password)}
	c.Retransmit.First, c.Retransmit.Factor = time.Millisecond, 1
	// An IKE_SA_INIT beyond what UDP carries is refused by the kernel.
	p := *initiator.DefaultProfile()
	p.VendorIDs = [][]byte{make([]byte, 65000), make([]byte, 1000)}
	p.InitOrder = append(slices.Clone(p.InitOrder), initiator.Element{Payload: message.TypeVendorID})
	c.Profile = &p
	_, err := initiator.Dial(t.Context(), c)
	var e *initiator.TimeoutError
	var unsent *transport.SendError
	if !errors.As(err, &e) || !errors.As(err, &unsent) {
		t.Errorf("%v, want a *TimeoutError with a *SendError", err)
	}
}

func TestLoadOnOurResponder(t *testing.T) {
	g := newGateway(t)
	r, err := initiator.Load(t.Context(), initiator.LoadConfig{Config: g.client(), N: 40, Workers: 4})
	if err != nil || r.Logins != 40 || r.Failed != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	c := g.client()
	c.Password = auth.Secret("wrong")
	r, err = initiator.Load(t.Context(), initiator.LoadConfig{Config: c, N: 3, Workers: 1})
	if err != nil || r.Failed != 3 || r.Failures["wrong-user-or-password at EAP challenge"] != 3 || r.Error == "" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestLoadHolds(t *testing.T) {
	g := newGateway(t)
	ctx, cancel := context.WithCancel(t.Context())
	held := 0
	r, err := initiator.Load(ctx, initiator.LoadConfig{
		Config: g.client(), N: 30, Workers: 3, Hold: true,
		Each: func(n int, c *initiator.Config) {
			c.Identity = &message.ID{Kind: message.IDKeyID, Data: []byte{byte(n)}}
		},
		Held: func(initiator.LoadReport) {
			sessions, err := g.Sessions(t.Context())
			if err != nil {
				t.Error(err)
			}
			held = len(sessions)
			cancel()
		},
	})
	if held != 30 || r.Logins != 30 || r.Failed != 0 || r.Logout.Max == 0 || err != nil {
		t.Errorf("%d sessions were held; %+v, %v", held, r, err)
	}
	if sessions, err := g.Sessions(t.Context()); len(sessions) != 0 || err != nil {
		t.Errorf("%d sessions are left, %v", len(sessions), err)
	}
}

func TestProbeOfOurResponder(t *testing.T) {
	g := newGateway(t)
	r := initiator.Probe(t.Context(), g.client())
	if r.Verdict != initiator.VerdictOK || r.Err != nil || len(r.Steps) != 7 || r.Cert == nil || r.Cert.DaysLeft != 0 || len(r.Addresses) != 2 || r.Logout <= 0 {
		t.Errorf("%+v", r)
	}
	for _, test := range []struct {
		change  func(*initiator.Config)
		verdict initiator.Verdict
		step    initiator.Step
	}{
		{func(c *initiator.Config) { c.Server = "no-such-host.invalid" }, initiator.VerdictUnresolved, initiator.StepResolve},
		{func(c *initiator.Config) { c.Password = auth.Secret("wrong") }, initiator.VerdictCredentials, initiator.StepChallenge},
		{func(c *initiator.Config) { c.IKE = suite.Proposals{} }, initiator.VerdictLocalFault, initiator.StepInit},
	} {
		c := g.client()
		test.change(&c)
		if r := initiator.Probe(t.Context(), c); r.Verdict != test.verdict || r.FailedAt != test.step || r.Error == "" {
			t.Errorf("%+v, want %s", r, test.verdict)
		}
	}
}

func BenchmarkLoginAndLogout(b *testing.B) {
	g := newGateway(b)
	sockets, err := transport.Listen(transport.Config{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Readers: 1})
	if err != nil {
		b.Fatal(err)
	}
	client := initiator.NewClient(sockets, nil)
	var reading sync.WaitGroup
	reading.Go(func() { _ = sockets.Serve(context.Background(), client) }) // Close ends it
	defer reading.Wait()
	defer sockets.Close()
	b.ReportAllocs()
	for b.Loop() {
		s, err := client.Dial(b.Context(), g.client())
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
