package radius_test

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2869"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/radius"
)

// middle is a man in the middle of UDP. tamper gives what the client gets for
// each true reply; it runs on one goroutine.
type middle struct {
	t      testing.TB
	conn   net.PacketConn
	server net.Conn
	tamper func(question, reply []byte) [][]byte

	mu       sync.Mutex
	client   net.Addr
	question []byte // the last
}

func (s *scene) between(t testing.TB, tamper func(question, reply []byte) [][]byte) radius.ServerConfig {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := net.Dial("udp", s.radius.Address())
	if err != nil {
		t.Fatal(err)
	}
	m := &middle{t: t, conn: conn, server: server, tamper: tamper}
	var wg sync.WaitGroup
	wg.Go(m.forward)
	wg.Go(m.back)
	t.Cleanup(func() {
		conn.Close()
		server.Close()
		wg.Wait()
	})
	c := s.config()
	c.Address, c.NoStatusServer = conn.LocalAddr().String(), true
	c.Retransmission = radius.Retransmission{Initial: 200 * time.Millisecond, Total: 2 * time.Second}
	return c
}

func (m *middle) forward() {
	buf := make([]byte, codec.MaxPacketLength)
	for {
		n, from, err := m.conn.ReadFrom(buf)
		if err != nil {
			m.closed(err)
			return
		}
		m.mu.Lock()
		m.client, m.question = from, bytes.Clone(buf[:n])
		m.mu.Unlock()
		if _, err := m.server.Write(buf[:n]); err != nil {
			m.closed(err)
		}
	}
}

func (m *middle) back() {
	buf := make([]byte, codec.MaxPacketLength)
	for {
		n, err := m.server.Read(buf)
		if err != nil {
			m.closed(err)
			return
		}
		m.mu.Lock()
		client, question := m.client, m.question
		m.mu.Unlock()
		for _, b := range m.tamper(question, bytes.Clone(buf[:n])) {
			if _, err := m.conn.WriteTo(b, client); err != nil {
				m.closed(err)
			}
		}
	}
}

func (m *middle) closed(err error) {
	if !errors.Is(err, net.ErrClosed) {
		m.t.Error(err)
	}
}

// forge makes an Accept for a question without knowing the secret.
func forge(t testing.TB, question, secret []byte) []byte {
	p := codec.Packet{Code: codec.CodeAccessAccept, Identifier: question[1]}
	copy(p.Authenticator[:], question[4:20])
	p.Add(rfc2869.EAPMessage_Type, eap.Packet{Code: eap.CodeSuccess, Identifier: 9}.Append(nil))
	return sign(t, &p, secret)
}

// strip takes the Message-Authenticator off and makes the Response
// Authenticator right, as who breaks MD5 could (CVE-2024-3596).
func strip(t testing.TB, question, reply, secret []byte) []byte {
	p, err := codec.Parse(reply, secret)
	if err != nil {
		t.Error(err)
		return nil
	}
	p.Del(rfc2869.MessageAuthenticator_Type)
	copy(p.Authenticator[:], question[4:20])
	b, err := p.MarshalBinary()
	if err != nil {
		t.Error(err)
		return nil
	}
	seal(b, secret)
	return b
}

func TestForgedReplies(t *testing.T) {
	s := newScene(t, "mschapv2")
	secret := []byte(s.secret)
	var former []byte // a true reply, to the first request of all
	for name, tc := range map[string]struct {
		forged func(t testing.TB, question, reply []byte) []byte
		count  func(radius.Figures) uint64
	}{
		"by another secret": {
			func(t testing.TB, q, _ []byte) []byte { return forge(t, q, []byte("guessed")) },
			func(f radius.Figures) uint64 { return f.BadAuthenticators },
		},
		"no Message-Authenticator": {
			func(t testing.TB, q, r []byte) []byte { return strip(t, q, r, secret) },
			func(f radius.Figures) uint64 { return f.Unsigned },
		},
		"wrong Message-Authenticator": {
			func(_ testing.TB, q, r []byte) []byte {
				at := bytes.LastIndex(r, []byte{byte(rfc2869.MessageAuthenticator_Type), 18})
				r[at+5] ^= 1
				copy(r[4:20], q[4:20])
				seal(r, secret)
				return r
			},
			func(f radius.Figures) uint64 { return f.BadAuthenticators },
		},
		"right for another request": {
			func(t testing.TB, q, r []byte) []byte {
				old := bytes.Clone(former)
				if former == nil {
					former = bytes.Clone(r)
					old = forge(t, q, []byte("guessed"))
				}
				old[1] = q[1]
				return old
			},
			func(f radius.Figures) uint64 { return f.BadAuthenticators },
		},
		"cut short": {
			func(_ testing.TB, _, r []byte) []byte { return r[:len(r)-7] },
			func(f radius.Figures) uint64 { return f.Malformed },
		},
		"an attribute of no length": {
			func(_ testing.TB, _, r []byte) []byte { r[21] = 0; return r },
			func(f radius.Figures) uint64 { return f.Malformed },
		},
		"an attribute that lies": {
			func(_ testing.TB, _, r []byte) []byte { r[21] = 255; return r[:100] },
			func(f radius.Figures) uint64 { return f.Malformed },
		},
	} {
		t.Run(name+", then the good one", func(t *testing.T) {
			c := s.between(t, func(q, r []byte) [][]byte { return [][]byte{tc.forged(t, q, bytes.Clone(r)), r} })
			b, g := newBackend(t, radius.BackendConfig{}, c)
			step, client := login{backend: b, peer: testPeer(), user: "alice", password: s.password}.run(t)
			if step.Verdict != auth.Accept || !client.Done() {
				t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
			}
			if f := g.Figures()[0]; tc.count(f) != 3 || f.Discarded() != 3 || f.Retransmissions != 0 {
				t.Errorf("figures %+v", f)
			}
		})
		t.Run(name+", alone", func(t *testing.T) {
			c := s.between(t, func(q, r []byte) [][]byte { return [][]byte{tc.forged(t, q, r)} })
			c.Retransmission.Total = 300 * time.Millisecond
			b, g := newBackend(t, radius.BackendConfig{}, c)
			step, _ := login{backend: b, peer: testPeer(), user: "alice", password: s.password}.run(t)
			if step.Verdict != auth.Unavailable || step.Reason.Cause != radius.CauseNotAuthentic || step.Grant != nil {
				t.Errorf("verdict %d, %+v", step.Verdict, step.Reason)
			}
			if f := g.Figures()[0]; tc.count(f) == 0 || f.State != radius.Dead {
				t.Errorf("figures %+v", f)
			}
		})
	}
}

func TestHalfOfThePacketsLost(t *testing.T) {
	s := newScene(t, "mschapv2")
	n := 0
	c := s.between(t, func(_, r []byte) [][]byte {
		if n++; n%2 == 1 {
			return nil
		}
		return [][]byte{r}
	})
	b, g := newBackend(t, radius.BackendConfig{}, c)
	step, client := login{backend: b, peer: testPeer(), user: "alice", password: s.password}.run(t)
	if step.Verdict != auth.Accept || !client.Done() {
		t.Fatalf("verdict %d, %+v", step.Verdict, step.Reason)
	}
	if f := g.Figures()[0]; f.Retransmissions != 3 || f.Timeouts != 0 {
		t.Errorf("figures %+v", f)
	}
}
