package radius_test

import (
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
	"bridgehead/integration/lab"
	"bridgehead/radius"
)

// hasty finds a dead server soon, so that a test need not wait.
func hasty(c radius.ServerConfig) radius.ServerConfig {
	c.Retransmission = radius.Retransmission{Initial: 200 * time.Millisecond}
	c.Health = radius.Health{Interval: 500 * time.Millisecond, Probe: 300 * time.Millisecond}
	return c
}

// state waits until a server is in a state.
func state(t *testing.T, g *radius.Group, i int, want radius.State) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "a server to be "+want.String(), func() bool { return g.Figures()[i].State == want })
}

func TestWrongSecret(t *testing.T) {
	s := newScene(t, "mschapv2")
	c := hasty(s.config())
	c.Secret = auth.Secret("not " + s.secret)
	b, g := newBackend(t, radius.BackendConfig{}, c)
	step, _ := login{backend: b, peer: testPeer(), user: "alice", password: s.password, within: 2 * time.Second}.run(t)
	if step.Verdict != auth.Unavailable || step.Reason.Cause != auth.CauseBackendUnavailable || evidence(step.Reason, "server") != "campus" {
		t.Errorf("verdict %d, %+v", step.Verdict, step.Reason)
	}
	state(t, g, 0, radius.Dead)
}

func TestTheNextServerTakesOverFromARealOneThatDies(t *testing.T) {
	s := newScene(t, "mschapv2")
	second := s.start(0, "mschapv2")
	c1, c2 := hasty(s.config()), hasty(s.config())
	c2.Name, c2.Address, c2.Priority = "branch", second.Address(), 1
	b, g := newBackend(t, radius.BackendConfig{}, c1, c2)
	state(t, g, 0, radius.Alive)

	// It dies in the middle of a login, which starts over.
	ctx := t.Context()
	conv, err := b.Begin(ctx, testPeer())
	if err != nil {
		t.Fatal(err)
	}
	defer conv.Close()
	next := func(client *mschapv2.Client, step auth.Step) auth.Step {
		t.Helper()
		var response []byte
		if client != nil {
			if response, err = client.Respond(step.Packet); err != nil {
				t.Fatal(err)
			}
		}
		if step, err = conv.Next(ctx, response); err != nil {
			t.Fatal(err)
		}
		return step
	}
	client := mschapv2.NewClient("alice", []byte(s.password), rand.Reader)
	step := next(client, next(nil, auth.Step{})) // the challenge
	if err := s.radius.Stop(5 * time.Second); err != nil {
		t.Logf("FreeRADIUS ended with %v", err)
	}
	step = next(client, step)
	if p, err := eap.Parse(step.Packet); err != nil || step.Verdict != auth.Continue || p.Type != eap.TypeIdentity || step.Reason.Cause != auth.CauseBackendUnavailable {
		t.Fatalf("verdict %d, %+v, packet %x", step.Verdict, step.Reason, step.Packet)
	}
	again := mschapv2.NewClient("alice", []byte(s.password), rand.Reader)
	for step.Verdict == auth.Continue {
		step = next(again, step)
	}
	if step.Verdict != auth.Accept {
		t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
	}

	// The next logins go to the other at once, and to the first when it is back.
	state(t, g, 0, radius.Dead)
	before := g.Figures()[0].Requests - g.Figures()[0].Probes
	for range 5 {
		if step, _ := (login{backend: b, peer: testPeer(), user: "alice", password: s.password}).run(t); step.Verdict != auth.Accept {
			t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
		}
	}
	if after := g.Figures()[0].Requests - g.Figures()[0].Probes; after > before+1 { // a probe may be under way
		t.Errorf("the dead server was asked %d times", after-before)
	}
	s.start(s.radius.Port, "mschapv2")
	state(t, g, 0, radius.Alive)
}

func TestATLSConnectionThatEndsIsMadeAgain(t *testing.T) {
	s := newScene(t, "mschapv2")
	c := hasty(s.tls(s.authority.NewClient(lab.ECDSA256, "gateway.example.org")))
	b, g := newBackend(t, radius.BackendConfig{}, c)
	try := func() auth.Step {
		step, _ := login{backend: b, peer: testPeer(), user: "alice", password: s.password}.run(t)
		return step
	}
	if step := try(); step.Verdict != auth.Accept {
		t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
	}
	if err := s.radius.Stop(5 * time.Second); err != nil {
		t.Logf("FreeRADIUS ended with %v", err)
	}
	state(t, g, 0, radius.Dead)
	s.start(s.radius.Port, "mschapv2")
	state(t, g, 0, radius.Alive)
	if step := try(); step.Verdict != auth.Accept {
		t.Fatalf("after the restart: verdict %d, %+v", step.Verdict, step.Reason)
	}
}

func TestTLSTrustsOnlyWhomItShould(t *testing.T) {
	s := newScene(t, "mschapv2")
	stranger := lab.NewCA(t, "another CA", lab.ECDSA256)
	good := s.authority.NewClient(lab.ECDSA256, "gateway.example.org")
	untrusting := s.tls(good)
	untrusting.TLS.RootCAs = stranger.Pool()
	misnamed := s.tls(good)
	misnamed.TLS.ServerName = "elsewhere.example.org"
	for name, c := range map[string]radius.ServerConfig{
		"a server of another authority":  untrusting,
		"a server of another name":       misnamed,
		"a gateway of another authority": s.tls(stranger.NewClient(lab.ECDSA256, "gateway.example.org")),
	} {
		t.Run(name, func(t *testing.T) {
			b, g := newBackend(t, radius.BackendConfig{}, hasty(c))
			step, _ := login{backend: b, peer: testPeer(), user: "alice", password: s.password, within: 2 * time.Second}.run(t)
			if step.Verdict != auth.Unavailable || g.Figures()[0].Answers != 0 || !strings.Contains(evidence(step.Reason, "error"), "certificate") {
				t.Errorf("verdict %d, %+v", step.Verdict, step.Reason)
			}
		})
	}
}

// slow answers each Access-Request a time after all are there, which it is told
// by closing a channel, and Status-Server at once.
func slow(t *testing.T, all <-chan struct{}, after time.Duration, secret string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.UDPConn).SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	closed := make(chan struct{})
	wg.Go(func() {
		seen := make(map[[16]byte]bool)
		buf := make([]byte, codec.MaxPacketLength)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			q, err := codec.Parse(buf[:n], []byte(secret))
			if err != nil {
				t.Error(err)
				return
			}
			if seen[q.Authenticator] {
				continue
			}
			seen[q.Authenticator] = true
			if q.Code == codec.CodeStatusServer {
				if _, err := conn.WriteTo(sign(t, q.Response(codec.CodeAccessAccept), []byte(secret)), from); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				continue
			}
			answer := sign(t, q.Response(codec.CodeAccessReject), []byte(secret))
			wg.Go(func() {
				select {
				case <-closed:
					return
				case <-all:
				}
				select {
				case <-closed:
					return
				case <-time.After(after):
				}
				if _, err := conn.WriteTo(answer, from); err != nil && !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		close(closed)
		conn.Close()
		wg.Wait()
	})
	return conn.LocalAddr().String()
}

func TestHundredsOfUsersWaitOnASlowServer(t *testing.T) {
	const users, delay = 500, 3 * time.Second
	secret := random(t)
	all := make(chan struct{})
	g, err := radius.NewGroup("slow", []radius.ServerConfig{{Address: slow(t, all, delay, secret), Secret: auth.Secret(secret)}}, radius.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	b, err := radius.NewBackend(radius.BackendConfig{Group: g})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var wg sync.WaitGroup
	verdicts := make(chan auth.Verdict, users)
	for range users {
		wg.Go(func() {
			conv, err := b.Begin(t.Context(), testPeer())
			if err != nil {
				t.Error(err)
				return
			}
			defer conv.Close()
			step, err := conv.Next(t.Context(), nil)
			if err == nil {
				step, err = conv.Next(t.Context(), eap.Packet{Code: eap.CodeResponse, Identifier: step.Packet[1], Type: eap.TypeIdentity, Data: []byte("alice")}.Append(nil))
			}
			if err != nil {
				t.Error(err)
			}
			verdicts <- step.Verdict
		})
	}
	lab.Eventually(t, lab.Patience, "all requests to be in flight at once", func() bool { return g.Figures()[0].InFlight >= users })
	close(all)
	wg.Wait()
	close(verdicts)
	for v := range verdicts {
		if v != auth.Reject {
			t.Fatalf("verdict %d", v)
		}
	}
	f := g.Figures()[0]
	if f.Lines != 2 || f.Timeouts != 0 || f.State != radius.Alive {
		t.Errorf("figures %+v", f)
	}
	t.Logf("%d logins in %s over %d sockets, %d retransmissions", users, time.Since(began).Round(time.Millisecond), f.Lines, f.Retransmissions)
}

// BenchmarkExchange measures the client alone: a fake server on loopback.
func BenchmarkExchange(b *testing.B) {
	secret := random(b)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	go func() {
		buf := make([]byte, codec.MaxPacketLength)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			q, err := codec.Parse(buf[:n], []byte(secret))
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(sign(b, q.Response(codec.CodeAccessAccept), []byte(secret)), from)
		}
	}()
	s, err := radius.NewServer(radius.ServerConfig{Address: conn.LocalAddr().String(), Secret: auth.Secret(secret)}, radius.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	attrs := codec.Attributes{
		{Type: rfc2865.UserName_Type, Attribute: codec.Attribute("alice")},
		{Type: rfc2869.EAPMessage_Type, Attribute: codec.Attribute("\x02\x01\x00\x0aalice")},
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Exchange(b.Context(), attrs); err != nil {
				b.Fatal(err)
			}
		}
	})
}
