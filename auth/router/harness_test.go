package router

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
)

// What a member says of alice, who types "sesame".
const (
	accepts     = "accepts"     // knows her, the password is right
	refuses     = "refuses"     // knows her by another password
	unknown     = "unknown"     // knows nobody
	unavailable = "unavailable" // fails at once
	timesOut    = "times out"
)

var errDown = errors.New("connection refused")

// store is a member in one of these states.
type store struct {
	state string
	name  string // of the member, given back as the group
	users []string
	asked int
}

func (s *store) Lookup(_ context.Context, name string) (auth.Account, bool, error) {
	s.asked++
	switch s.state {
	case unavailable:
		return auth.Account{}, false, errDown
	case timesOut:
		return auth.Account{}, false, context.DeadlineExceeded
	case unknown:
		return auth.Account{}, false, nil
	}
	password := "sesame"
	if s.state == refuses {
		password = "another"
	}
	users := s.users
	if users == nil {
		users = []string{"alice"}
	}
	for _, u := range users {
		if u == name {
			return auth.Account{Hash: auth.HashPassword([]byte(password)), Grant: auth.Grant{Name: u, Group: s.name}}, true, nil
		}
	}
	return auth.Account{}, false, nil
}

// server is a member that can't say whom it knows.
type server struct{ *store }

func (s server) Verify(ctx context.Context, r auth.MSCHAPv2Response) (auth.Keys, error) {
	a, known, err := s.Lookup(ctx, auth.SplitName(r.Name).User)
	if err != nil {
		return auth.Keys{}, err
	}
	return mschapv2.Judge(a, known, r)
}

// member makes a member of a kind: "store", "verifier" or "backend".
func member(kind string, s *store) Member {
	m := Member{Name: s.name, Central: true}
	switch kind {
	case "store":
		m.Store = s
	case "verifier":
		m.Verifier = server{s}
	default:
		m.Backend = &passing{auth.Backend(mschapv2.NewBackend(server{s}, mschapv2.Options{})), s}
	}
	return m
}

// passing is a backend with conversations of its own, that fails at the answer
// to the identity request where its store does.
type passing struct {
	auth.Backend
	*store
}

func (p *passing) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	c, err := p.Backend.Begin(ctx, peer)
	return &passed{Conversation: c, store: p.store, peer: peer}, err
}

type passed struct {
	auth.Conversation
	*store
	peer  auth.Peer
	begun bool
	skew  uint8 // from the identifiers of the mschapv2 within
}

func (p *passed) Next(ctx context.Context, response []byte) (auth.Step, error) {
	if p.begun {
		return p.shift(p.Conversation.Next(ctx, p.back(response)))
	}
	p.begun = true
	switch p.state {
	case unavailable:
		return auth.Step{Packet: []byte{4, response[1], 0, 4}, Verdict: auth.Unavailable, Reason: auth.Reason{Cause: auth.CauseBackendUnavailable}}, nil
	case timesOut:
		return auth.Step{Packet: []byte{4, response[1], 0, 4}, Verdict: auth.Unavailable, Reason: auth.Reason{Cause: auth.CauseBackendTimeout}}, nil
	}
	step, err := p.Conversation.Next(ctx, nil)
	if err != nil {
		return step, err
	}
	p.skew = response[1] - step.Packet[1]
	return p.shift(p.Conversation.Next(ctx, p.back(response)))
}

func (p *passed) back(packet []byte) []byte {
	packet = append([]byte(nil), packet...)
	if len(packet) > 1 {
		packet[1] -= p.skew
	}
	return packet
}

func (p *passed) shift(step auth.Step, err error) (auth.Step, error) {
	if len(step.Packet) > 1 {
		step.Packet = append([]byte(nil), step.Packet...)
		step.Packet[1] += p.skew
	}
	return step, err
}

// login is a client's whole login.
type login struct {
	identity string // "-": none
	user     string
	password string
	peer     auth.Peer
}

// play logs in and gives the end, and every packet of the gateway's.
func (l login) play(t *testing.T, b auth.Backend) (auth.Step, [][]byte) {
	t.Helper()
	ctx := context.Background()
	conversation, err := b.Begin(ctx, l.peer)
	if err != nil {
		t.Fatal(err)
	}
	defer conversation.Close()
	client := mschapv2.NewClient(l.user, []byte(l.password), rand.Reader)
	switch l.identity {
	case "":
	case "-":
		client.Identity = ""
	default:
		client.Identity = l.identity
	}
	var (
		response []byte
		packets  [][]byte
	)
	for range 20 {
		step, err := conversation.Next(ctx, response)
		if err != nil {
			t.Fatalf("after %d packets: %v", len(packets), err)
		}
		packets = append(packets, step.Packet)
		if step.Verdict != auth.Continue {
			if step.Verdict == auth.Accept {
				if _, err := client.Respond(step.Packet); err != nil || string(client.MSK()) != string(step.Grant.MSK) {
					t.Fatalf("the client did not take the success: %v", err)
				}
			}
			return step, packets
		}
		if response, err = client.Respond(step.Packet); response == nil {
			t.Fatalf("after %d packets: the client has no answer: %v", len(packets), err)
		}
		var failed *mschapv2.FailedError
		if errors.As(err, &failed) && failed.Retry {
			response = eap.NewMSCHAPv2(step.Packet[1], &eap.FailureResponse{}).Append(nil)
		}
	}
	t.Fatal("the login has no end")
	return auth.Step{}, nil
}

func alice() login { return login{user: "alice", password: "sesame"} }

func newRouter(t testing.TB, c Config) *Router {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func evidence(list []auth.Evidence, key string) string {
	for _, e := range list {
		if e.Key == key {
			return e.Value
		}
	}
	return ""
}
