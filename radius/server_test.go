package radius

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"bridgehead/auth"
)

// someone is a request.
func someone() codec.Attributes { return codec.Attributes{avp(rfc2865.UserName_Type, "alice")} }

// noStatus keeps Status-Server out of a test's way.
func noStatus(c *ServerConfig) { c.NoStatusServer = true }

func TestExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: honest(codec.CodeAccessAccept, avp(rfc2865.ProxyState_Type, "a"), avp(rfc2865.Class_Type, "c"))}
		s := newTestServer(t, w, nil)
		defer s.Close()
		reply, err := s.Exchange(t.Context(), someone())
		if err != nil || reply.Code != codec.CodeAccessAccept {
			t.Fatalf("%v, %v", reply, err)
		}
		for _, q := range w.packets() {
			if !authentic(q) {
				t.Errorf("%x is not signed by its first attribute", q)
			}
		}
	})
}

func TestForgedRepliesAreCountedAndTheWaitGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: func(q []byte) [][]byte {
			stranger := bytes.Clone(q)
			stranger[4]++
			late := reply(q, codec.CodeAccessAccept, signed)
			late[1] += 9
			return [][]byte{
				{}, q[:12], []byte(strings.Repeat("\xff", 40)), late,
				reply(q, codec.CodeAccessAccept, unsigned), reply(q, codec.CodeAccessAccept, wrongMAC),
				reply(stranger, codec.CodeAccessAccept, signed), reply(q, codec.CodeAccessReject, wrongAuthenticator),
				reply(q, codec.CodeAccessChallenge, signed), // the good one
				reply(q, codec.CodeAccessAccept, signed),    // a duplicate
			}
		}}
		s := newTestServer(t, w, noStatus)
		defer s.Close()
		reply, err := s.Exchange(t.Context(), someone())
		if err != nil || reply.Code != codec.CodeAccessChallenge {
			t.Fatalf("%v, %v", reply, err)
		}
		synctest.Wait()
		f := s.Figures()
		if f.Malformed != 2 || f.Unsigned != 1 || f.BadAuthenticators != 3 || f.Unexpected != 3 || f.Answers != 1 || f.InFlight != 0 {
			t.Errorf("figures %+v", f)
		}
	})
}

func TestRetransmissionsAreTheSameOctets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var times []time.Duration
		w := &wire{answer: func(q []byte) [][]byte {
			times = append(times, time.Since(began))
			return nil
		}}
		s := newTestServer(t, w, noStatus)
		defer s.Close()
		_, err := s.Exchange(t.Context(), someone())
		var silent *SilentError
		if !errors.As(err, &silent) || silent.Waited != 30*time.Second || silent.Sent != len(times) {
			t.Fatalf("%v, %+v", err, silent)
		}
		// RFC 5080 §2.2.1: each wait doubles, with a tenth of the one before as
		// jitter, up to 16 s with theirs, until the 30 s are over.
		for i := 1; i < len(times); i++ {
			low, high := 1800*time.Millisecond, 2200*time.Millisecond
			if i > 1 {
				before := times[i-1] - times[i-2]
				low, high = 2*before-before/10, 2*before+before/10
				if high > 16*time.Second {
					low, high = min(low, 14400*time.Millisecond), 17600*time.Millisecond
				}
			}
			if wait := times[i] - times[i-1]; wait < low || wait > high {
				t.Errorf("sending %d after %s, expected %s to %s", i, wait, low, high)
			}
		}
		for _, q := range w.packets() {
			if !bytes.Equal(q, w.packets()[0]) {
				t.Error("a retransmission differs")
			}
		}
		if f := s.Figures(); f.Requests != 1 || int(f.Retransmissions) != len(times)-1 || len(times) < 4 || f.Timeouts != 1 || f.State != Dead {
			t.Errorf("figures %+v", f)
		}
	})
}

func TestHundredsInFlightOverSeveralSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const users = 1000
		var mu sync.Mutex
		var held [][]byte
		w := &wire{answer: func(q []byte) [][]byte {
			mu.Lock()
			defer mu.Unlock()
			held = append(held, q)
			return nil
		}}
		s := newTestServer(t, w, noStatus)
		defer s.Close()
		var wg sync.WaitGroup
		answers := make(chan string, users)
		for i := range users {
			name := fmt.Sprint("user", i)
			wg.Go(func() {
				_, err := s.Exchange(t.Context(), codec.Attributes{avp(rfc2865.UserName_Type, name)})
				answers <- fmt.Sprint(errors.Is(err, ErrClosed))
			})
		}
		synctest.Wait()
		if f := s.Figures(); f.InFlight != users || f.Lines != 4 {
			t.Errorf("figures %+v", f)
		}
		seen := make(map[string]bool)
		for _, q := range held {
			seen[string(q[4:headerLen])] = true
		}
		if len(seen) != users {
			t.Errorf("%d different authenticators", len(seen))
		}
		s.Close()
		wg.Wait()
		for range users {
			if closed := <-answers; closed != "true" {
				t.Fatal("a request did not end with the server")
			}
		}
	})
}

func TestNoIdentifierIsUsedAgainWhileItsAnswerMayCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: silence}
		s := newTestServer(t, w, func(c *ServerConfig) { c.NoStatusServer, c.Lines = true, 1 })
		defer s.Close()
		var wg sync.WaitGroup
		for range ordinaryIDs {
			wg.Go(func() { _, _ = s.Exchange(within(t, time.Second), someone()) })
		}
		wg.Wait()
		if _, err := s.Exchange(within(t, time.Second), someone()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with every identifier in quarantine: %v", err)
		}
		began := time.Now()
		w.set(honest(codec.CodeAccessAccept))
		if _, err := s.Exchange(t.Context(), someone()); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited != 4*time.Second {
			t.Errorf("waited %s for an identifier, expected what was left of its quarantine", waited)
		}
	})
}

func TestASlowServerIsNotADeadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: onlyStatus}
		s := newTestServer(t, w, nil)
		defer s.Close()
		_, err := s.exchange(within(t, 25*time.Second), someone(), true)
		var silent *SilentError
		if !errors.As(err, &silent) || silent.Waited != 25*time.Second || s.Figures().State != Alive {
			t.Errorf("%v, %+v", err, s.Figures())
		}
	})
}

func TestASlowServerThatDiesIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: onlyStatus}
		s := newTestServer(t, w, nil)
		defer s.Close()
		time.AfterFunc(5*time.Second, func() { w.set(silence) })
		_, err := s.exchange(within(t, 25*time.Second), someone(), true)
		var silent *SilentError
		if !errors.As(err, &silent) || silent.Waited > 11*time.Second || s.Figures().State != Dead {
			t.Errorf("%v, %+v", err, s.Figures())
		}
	})
}

func TestAServerThatNoneStandsInForGetsALastChance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			name     string
			noStatus bool
			returns  time.Duration // zero: never
			waited   time.Duration // at most; zero: it answers
		}{
			{"restarted within seconds", false, 5 * time.Second, 0},
			{"gone", false, 0, 9 * time.Second}, // Android leaves after 10
			{"gone, and nobody can ask", true, 0, 45 * time.Second},
		} {
			w := &wire{answer: silence}
			s := newTestServer(t, w, func(c *ServerConfig) {
				c.NoStatusServer = test.noStatus
				c.Retransmission.Total = 45 * time.Second
			})
			if test.returns > 0 {
				time.AfterFunc(test.returns, func() { w.set(honest(codec.CodeAccessAccept)) })
			}
			_, err := s.exchange(within(t, time.Minute), someone(), false)
			var silent *SilentError
			if test.waited == 0 && err != nil || test.waited > 0 && (!errors.As(err, &silent) || silent.Waited > test.waited || silent.Waited < test.waited-5*time.Second) {
				t.Errorf("%s: %v", test.name, err)
			}
			if _, err = s.exchange(within(t, time.Minute), someone(), false); test.waited > 0 && !test.noStatus && (!errors.As(err, &silent) || silent.Waited != lastChance) {
				t.Errorf("%s, asked again: %v", test.name, err)
			}
			s.Close()
		}
	})
}

func TestALateAnswerToAProbeIsNoForgery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first []byte
		w := &wire{answer: func(q []byte) [][]byte {
			if first == nil {
				first = bytes.Clone(q)
				return nil
			}
			return [][]byte{reply(first, codec.CodeAccessAccept, unsigned), reply(q, codec.CodeAccessAccept, unsigned)}
		}}
		s := newTestServer(t, w, nil)
		defer s.Close()
		time.Sleep(time.Minute)
		if f := s.Figures(); f.Unexpected != revivals || f.Discarded() != 0 || f.ProbesLost != 1 || f.State != Alive {
			t.Errorf("figures %+v", f)
		}
	})
}

func TestADeadServerIsFoundAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: honest(codec.CodeAccessAccept)}
		s := newTestServer(t, w, nil)
		defer s.Close()
		synctest.Wait()
		if f := s.Figures(); f.State != Alive || f.Probes != 1 {
			t.Fatalf("after the first probe: %+v", f)
		}
		w.set(silence)
		_, err := s.exchange(t.Context(), someone(), true)
		var silent *SilentError
		if !errors.As(err, &silent) || silent.Waited > 6*time.Second || s.Figures().State != Dead {
			t.Fatalf("%v, %+v", err, s.Figures())
		}
		time.Sleep(2 * time.Minute)
		before := s.Figures()
		if before.State != Dead || before.ProbesLost < 3 || before.ProbesLost > 6 {
			t.Errorf("while it is dead: %+v", before)
		}
		w.set(honest(codec.CodeAccessAccept))
		time.Sleep(45 * time.Second)
		if f := s.Figures(); f.State != Alive || f.Probes-f.ProbesLost < 4 {
			t.Errorf("after it came back: %+v", f)
		}
		for _, q := range requests(w.packets(), codec.CodeStatusServer) {
			if !authentic(q) {
				t.Error("a Status-Server is not signed")
			}
		}
	})
}

func TestAConnectionIsMadeAgainAndRequestsSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: silence, down: errors.New("connection refused")}
		s := newTestServer(t, w, noStatus)
		defer s.Close()
		done := make(chan error, 1)
		go func() {
			_, err := s.Exchange(t.Context(), someone())
			done <- err
		}()
		time.Sleep(3 * time.Second)
		if f := s.Figures(); f.ConnectFailures < 3 || f.ConnectFailures > 6 || f.State != Dead {
			t.Errorf("figures %+v", f)
		}
		w.mu.Lock()
		w.down = nil
		w.mu.Unlock()
		w.set(honest(codec.CodeAccessAccept))
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(w.packets()); n != 1 {
			t.Errorf("%d packets, expected the one request", n)
		}
	})
}

func TestTimeoutNamesWhatTheNetworkSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		w := &wire{answer: silence, down: refused}
		s := newTestServer(t, w, noStatus)
		defer s.Close()
		if _, err := s.Exchange(within(t, 5*time.Second), someone()); !errors.Is(err, refused) || !strings.Contains(err.Error(), "one did not answer within 5s") {
			t.Error(err)
		}
	})
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	good := ServerConfig{Address: "192.0.2.1:1812", Secret: auth.Secret(testSecret)}
	for name, tc := range map[string]struct {
		change func(*ServerConfig)
		says   string
	}{
		"no port":             {func(c *ServerConfig) { c.Address = "192.0.2.1" }, "not host:port"},
		"no secret":           {func(c *ServerConfig) { c.Secret = nil }, "no shared secret"},
		"a secret over TLS":   {func(c *ServerConfig) { c.TLS = &tls.Config{} }, "shared secret is fixed"},
		"no certificate":      {func(c *ServerConfig) { c.TLS, c.Secret = &tls.Config{}, nil }, "certificate of its own"},
		"nothing is verified": {func(c *ServerConfig) { c.TLS, c.Secret = &tls.Config{InsecureSkipVerify: true}, nil }, "would not be checked"},
		"too many sockets":    {func(c *ServerConfig) { c.Lines = 65 }, "1 to 64"},
		"negative weight":     {func(c *ServerConfig) { c.Weight = -1 }, "not be negative"},
	} {
		c := good
		tc.change(&c)
		s, err := NewServer(c, Options{})
		var fault *ConfigError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), testSecret) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			s.Close()
		}
	}
	if _, err := NewGroup("empty", nil, Options{}); err == nil {
		t.Error("a group without a server was made")
	}
}
