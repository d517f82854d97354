package mschapv2

import (
	"context"
	"math/rand/v2"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// store is a HashStore that counts.
type store struct {
	accounts map[string]auth.Account
	err      error
	lookups  int
}

func (s *store) Lookup(_ context.Context, name string) (auth.Account, bool, error) {
	s.lookups++
	a, ok := s.accounts[name]
	return a, ok, s.err
}

func newStore() *store {
	account := func(name, password string) auth.Account {
		return auth.Account{Hash: auth.HashPassword([]byte(password)), Grant: auth.Grant{Name: name, Group: "staff"}}
	}
	s := &store{accounts: map[string]auth.Account{
		"alice":     account("alice", "sesame"),
		"bob":       account("bob", "builder"),
		`CORP\carl`: account(`CORP\carl`, "full"),
		"carl":      account("carl", "bare"),
		"dora":      account("dora", "explorer"),
	}}
	dora := s.accounts["dora"]
	dora.Disabled = true
	s.accounts["dora"] = dora
	return s
}

func seeded(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// login is one conversation with a client at the other end.
type login struct {
	t      testing.TB
	conv   auth.Conversation
	client *Client
	step   auth.Step // the server's last
}

func begin(t testing.TB, v auth.Verifier, peer auth.Peer, user, password string) *login {
	t.Helper()
	conv, err := NewBackend(v, Options{Rand: seeded(1)}).Begin(context.Background(), peer)
	if err != nil {
		t.Fatal(err)
	}
	l := &login{t: t, conv: conv, client: NewClient(user, []byte(password), seeded(2))}
	l.send(nil)
	return l
}

// send gives the server a packet and keeps its step.
func (l *login) send(packet []byte) auth.Step {
	l.t.Helper()
	step, err := l.conv.Next(context.Background(), packet)
	if err != nil {
		l.t.Fatalf("Next: %v", err)
	}
	l.step = step
	return step
}

// answer lets the client answer the server's last packet; it does not send.
func (l *login) answer() ([]byte, error) { return l.client.Respond(l.step.Packet) }

// advance plays n rounds.
func (l *login) advance(n int) {
	l.t.Helper()
	for range n {
		packet, err := l.answer()
		if packet == nil {
			l.t.Fatalf("the client has no answer: %v", err)
		}
		l.send(packet)
	}
}

// finish plays to the end and tells what the client made of it.
func (l *login) finish() (auth.Step, error) {
	l.t.Helper()
	for range 10 {
		packet, err := l.answer()
		if l.step.Verdict != auth.Continue {
			return l.step, err
		}
		if packet == nil {
			l.t.Fatalf("the client has no answer: %v", err)
		}
		l.send(packet)
	}
	l.t.Fatal("ten rounds without an end")
	return auth.Step{}, nil
}

// openID is the identifier of the server's open request.
func (l *login) openID() uint8 { return l.step.Packet[1] }

// challenge is the one that the server's last packet carries.
func (l *login) challenge() [16]byte {
	l.t.Helper()
	p, err := eap.Parse(l.step.Packet)
	if err != nil {
		l.t.Fatal(err)
	}
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		l.t.Fatal(err)
	}
	switch m := m.(type) {
	case *eap.Challenge:
		return m.Challenge
	case *eap.FailureRequest:
		f, err := eap.ParseFailureMessage(m.Message)
		if err != nil {
			l.t.Fatal(err)
		}
		return [16]byte(f.Challenge)
	}
	l.t.Fatalf("%T carries no challenge", m)
	return [16]byte{}
}

// respond is a Response with the given name and password to the open request.
func (l *login) respond(name, password string) []byte {
	l.t.Helper()
	r := eap.Response{MSID: l.openID(), Name: name, PeerChallenge: [16]byte{7}}
	hash := auth.HashPassword([]byte(password))
	r.NTResponse = ChallengeResponse(ChallengeHash(r.PeerChallenge, l.challenge(), name), &hash)
	return eap.NewMSCHAPv2(l.openID(), &r).Append(nil)
}

// method is a packet of the method under the open request's identifier.
func (l *login) method(m eap.MSCHAPv2) []byte { return eap.NewMSCHAPv2(l.openID(), m).Append(nil) }

// identity is an EAP-Response/Identity to the open request.
func (l *login) identity(name string) []byte {
	return eap.Packet{Code: eap.CodeResponse, Identifier: l.openID(), Type: eap.TypeIdentity, Data: []byte(name)}.Append(nil)
}

func evidence(r auth.Reason, key string) string {
	for _, e := range r.Evidence {
		if e.Key == key {
			return e.Value
		}
	}
	return ""
}
