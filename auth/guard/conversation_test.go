package guard

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
)

var sesame = auth.HashPassword([]byte("sesame"))

// store knows alice, and dora whose account is disabled.
type store struct{ err error }

func (s store) Lookup(_ context.Context, name string) (auth.Account, bool, error) {
	a := auth.Account{Hash: sesame, Grant: auth.Grant{Name: name}, Disabled: name == "dora"}
	return a, name == "alice" || name == "dora", s.err
}

func seeded() io.Reader { return rand.NewChaCha8([32]byte{1}) }

// before gives the file backend behind a guard.
func before(g *Guard, s store) auth.Backend {
	b := mschapv2.NewBackend(mschapv2.NewHashVerifier(s), mschapv2.Options{Rand: seeded()})
	return g.Wrap(b, func() time.Time { return start }, seeded())
}

func from(a netip.Addr) auth.Peer { return auth.Peer{Remote: netip.AddrPortFrom(a, 4500)} }

// guesser answers whatever is asked with wrong passwords, until the end.
func guesser(t testing.TB, b auth.Backend, peer auth.Peer, user string) []auth.Step {
	t.Helper()
	c, err := b.Begin(context.Background(), peer)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var response []byte
	var steps []auth.Step
	for range 20 {
		step, err := c.Next(context.Background(), response)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
		if step.Verdict != auth.Continue {
			return steps
		}
		p, err := eap.Parse(step.Packet)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case p.Type == eap.TypeIdentity:
			response = eap.Packet{Code: eap.CodeResponse, Identifier: p.Identifier, Type: eap.TypeIdentity, Data: []byte(user)}.Append(nil)
		case eap.OpCode(p.Data[0]) == eap.OpChallenge, takesAnswer(step.Packet):
			response = eap.NewMSCHAPv2(p.Identifier, &eap.Response{MSID: p.Data[1], Name: user}).Append(nil)
		default:
			response = eap.NewMSCHAPv2(p.Identifier, &eap.FailureResponse{}).Append(nil)
		}
	}
	t.Fatal("the conversation has no end")
	return nil
}

// login is a client that knows a password.
func login(t testing.TB, b auth.Backend, peer auth.Peer, user, password string) auth.Step {
	t.Helper()
	c, err := b.Begin(context.Background(), peer)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client := mschapv2.NewClient(user, []byte(password), seeded())
	var response []byte
	for {
		step, err := c.Next(context.Background(), response)
		if err != nil || step.Verdict != auth.Continue {
			return step
		}
		if response, err = client.Respond(step.Packet); response == nil {
			t.Fatal(err)
		}
	}
}

var challenge = regexp.MustCompile(`C=[0-9A-Fa-f]{32}`)

// seen is what a client sees, but for the challenges.
func seen(steps []auth.Step) []string {
	var all []string
	for _, s := range steps {
		all = append(all, string(challenge.ReplaceAll(s.Packet, []byte("C="))))
	}
	return all
}

// refusedUnasked counts the answers that the guard refused by the address.
func refusedUnasked(steps []auth.Step) (n int) {
	for _, s := range steps {
		if s.Reason.Cause == auth.CauseGuessingAddress && s.Delay >= longest {
			n++
		}
	}
	return n
}

func TestRefusalsLookLikeWrongPasswords(t *testing.T) {
	for name, peer := range map[string]auth.Peer{
		"others":  from(hostile),
		"Windows": {Remote: netip.AddrPortFrom(hostile, 4500), NoFinalFailure: true},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for _, user := range []string{"alice", "nobdy"} {
				for _, skip := range []int{0, 1, 2, 3} { // wrong passwords before the guard refuses
					g := New(Settings{PerAddress: 3, Window: time.Hour})
					for range 3 - skip {
						g.admit(start, hostile, "")
					}
					steps := guesser(t, before(g, store{}), peer, user)
					if refused := refusedUnasked(steps); refused != 3-skip {
						t.Errorf("%d refused, %d expected", refused, 3-skip)
					}
					last := steps[len(steps)-1]
					if refused := last.Reason.Cause == auth.CauseGuessingAddress; refused != (skip < 3) || last.Verdict != auth.Reject {
						t.Errorf("ends with %+v", last)
					}
					// The names are as long as each other; that is all they show.
					if got := seen(steps); want == nil {
						want = got
					} else if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s, refused after %d: %s", user, skip, diff)
					}
				}
			}
		})
	}
}

func TestDelaysGrowAndAreTheSameForEverybody(t *testing.T) {
	want := []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second, 4 * time.Second}
	for _, user := range []string{"alice", "nobdy"} {
		b := before(New(Settings{PerAddress: 100, PerUser: 4, Window: time.Hour}), store{})
		var got []time.Duration
		for range 2 {
			for _, s := range guesser(t, b, from(hostile), user) {
				if p, err := eap.Parse(s.Packet); err == nil && p.Type == eap.TypeMSCHAPv2 && eap.OpCode(p.Data[0]) == eap.OpFailure {
					if s.Delay%time.Second >= spread {
						t.Errorf("late by %v", s.Delay)
					}
					got = append(got, s.Delay.Truncate(time.Second))
				} else if s.Delay != 0 {
					t.Errorf("% x is late", s.Packet)
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", user, diff)
		}
	}
}

// What comes of an answer settles what it counts.
func TestWhatCounts(t *testing.T) {
	for name, c := range map[string]struct {
		store          store
		user, password string
		counted        float64
	}{
		"right":         {store{}, "alice", "sesame", 0},
		"wrong":         {store{}, "alice", "open", 1},
		"unknown":       {store{}, "mallory", "open", 1},
		"disabled":      {store{}, "dora", "sesame", 0},
		"not its owner": {store{}, "dora", "open", 1},
		"outage":        {store{errors.New("down")}, "alice", "open", 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := New(settings)
			login(t, before(g, c.store), from(hostile), c.user, c.password)
			s := &g.settings
			if got := g.users.full(start, g.userKey(c.user), s.rate(s.PerUser)); got != c.counted {
				t.Errorf("for the user %v, expected %v", got, c.counted)
			}
			if got := g.addresses.full(start, g.placeKey(placeOf(hostile)), s.rate(s.PerAddress)); got != c.counted {
				t.Errorf("from the address %v, expected %v", got, c.counted)
			}
			if got := g.all.full(start, 1, s.rate(s.Total)); got != c.counted {
				t.Errorf("in all %v, expected %v", got, c.counted)
			}
			if known := g.known.has(start, c.user, placeOf(hostile)); known != (name == "right") {
				t.Errorf("known: %v", known)
			}
		})
	}
	g := New(settings)
	guesser(t, before(g, store{}), auth.Peer{}, "alice")
	if got := g.users.full(start, g.userKey("alice"), g.settings.rate(settings.PerUser)); got != 0 {
		t.Errorf("a login of no client counts: %v", got)
	}
}

// A client that asks for another method has tried no password.
func TestANakIsNoGuess(t *testing.T) {
	g := New(settings)
	c, err := g.Wrap(passing{auth.Step{}}, func() time.Time { return start }, seeded()).Begin(context.Background(), from(hostile))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	nak := eap.Packet{Code: eap.CodeResponse, Identifier: 2, Type: eap.TypeNak, Data: []byte{byte(eap.TypeMSCHAPv2)}}.Append(nil)
	for _, response := range [][]byte{nil, {2, 1, 0, 6, byte(eap.TypeIdentity), 'a'}, nak} {
		if _, err := c.Next(context.Background(), response); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.addresses.full(start, g.placeKey(placeOf(hostile)), g.settings.rate(settings.PerAddress)); got != 0 {
		t.Errorf("it counts %v", got)
	}
}

// passing is a backend that has some other method and gives one verdict.
type passing struct{ end auth.Step }

func (p passing) Begin(context.Context, auth.Peer) (auth.Conversation, error) {
	return &passed{end: p.end}, nil
}

type passed struct {
	end  auth.Step
	said int
}

func (p *passed) Next(context.Context, []byte) (auth.Step, error) {
	switch p.said++; p.said {
	case 1:
		return auth.Step{Packet: []byte{1, 1, 0, 5, byte(eap.TypeIdentity)}}, nil
	case 2, 3:
		return auth.Step{Packet: []byte{1, byte(p.said), 0, 6, byte(eap.TypePEAP), 0}}, nil
	}
	return p.end, nil
}

func (*passed) Close() {}

// tunnelled plays it, up to n packets.
func tunnelled(t *testing.T, b auth.Backend, identity string, n int) (last auth.Step) {
	t.Helper()
	c, err := b.Begin(context.Background(), from(hostile))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, response := range [][]byte{
		nil,
		eap.Packet{Code: eap.CodeResponse, Identifier: 1, Type: eap.TypeIdentity, Data: []byte(identity)}.Append(nil),
		{2, 2, 0, 6, byte(eap.TypePEAP), 0},
		{2, 3, 0, 6, byte(eap.TypePEAP), 0},
	} {
		if i == n || last.Verdict != auth.Continue {
			break
		}
		if last, err = c.Next(context.Background(), response); err != nil {
			t.Fatal(err)
		}
	}
	return last
}

func TestMethodsWithAnInsideCountOnceAConversation(t *testing.T) {
	reject := auth.Step{Verdict: auth.Reject, Packet: []byte{4, 3, 0, 4}, Reason: auth.Reason{Cause: auth.CauseRADIUSRefused}}
	accept := auth.Step{Verdict: auth.Accept, Packet: []byte{3, 3, 0, 4}, Grant: &auth.Grant{Name: "alice"}}
	for name, c := range map[string]struct {
		end      auth.Step
		identity string
		packets  int
		user     string
		counted  float64
		known    string
	}{
		"refused":   {reject, "alice", 4, "alice", 1, ""},
		"abandoned": {reject, "alice", 3, "alice", 1, ""},
		"accepted":  {accept, "alice@example.org", 4, "alice", 0, "alice"},
		"another":   {accept, "bob", 4, "bob", 0, "alice"}, // the name outside is not proven
		"hidden":    {reject, "anonymous@example.org", 4, "anonymous", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := New(settings)
			b := g.Wrap(passing{c.end}, func() time.Time { return start }, seeded())
			tunnelled(t, b, c.identity, c.packets)
			s := &g.settings
			if got := g.users.full(start, g.userKey(c.user), s.rate(s.PerUser)); got != c.counted {
				t.Errorf("%v, expected %v", got, c.counted)
			}
			for _, user := range []string{"alice", "bob", "anonymous"} {
				if known := g.known.has(start, user, placeOf(hostile)); known != (user == c.known) {
					t.Errorf("%s is known: %v", user, known)
				}
			}
		})
	}
	g := New(Settings{PerAddress: 1, Window: time.Hour})
	b := g.Wrap(passing{reject}, func() time.Time { return start }, seeded())
	tunnelled(t, b, "alice", 4)
	last := tunnelled(t, b, "bob", 4)
	if last.Verdict != auth.Reject || last.Reason.Cause != auth.CauseGuessingAddress || last.Delay < longest || last.Delay >= longest+spread || last.Packet[0] != byte(eap.CodeFailure) {
		t.Errorf("over the limit: %+v", last)
	}
}

// However many strangers guess, wherever they are, who logged in before from
// elsewhere does so again.
func TestNoOutsiderShutsOutAUser(t *testing.T) {
	g := New(settings)
	b := before(g, store{})
	if s := login(t, b, from(home), "alice", "sesame"); s.Verdict != auth.Accept {
		t.Fatalf("%+v", s)
	}
	for i := range 2000 {
		guesser(t, b, from(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})), "alice")
	}
	if s := login(t, b, from(home), `CORP\Alice`, "sesame"); s.Verdict == auth.Accept || s.Reason.Cause != auth.CauseUnknownUser {
		t.Errorf("asked for a name that is written otherwise: %+v", s) // the guard let it through, the file did not know it
	}
	if s := login(t, b, from(home), "alice", "sesame"); s.Verdict != auth.Accept {
		t.Errorf("at home: %+v", s)
	}
	if s := login(t, b, from(netip.MustParseAddr("203.0.113.9")), "alice", "sesame"); s.Verdict == auth.Accept {
		t.Error("from a new place, while she is guessed")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte{2, 1, 0, 6, 26, 2}, "alice")
	f.Add(eap.NewMSCHAPv2(1, &eap.Response{Name: `CORP\alice`}).Append(nil), "alice")
	f.Add([]byte{2, 1, 0, 5, 3}, "@")
	f.Fuzz(func(t *testing.T, response []byte, user string) {
		g := New(Settings{PerAddress: 1, PerUser: 1, Window: time.Hour})
		g.admit(start, hostile, "")
		b := before(g, store{})
		c, err := b.Begin(context.Background(), from(hostile))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		step, err := c.Next(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		id := eap.Packet{Code: eap.CodeResponse, Identifier: step.Packet[1], Type: eap.TypeIdentity, Data: []byte(user)}.Append(nil)
		for _, r := range [][]byte{id, response, response} {
			if step, err = c.Next(context.Background(), r); err == nil && step.Verdict == auth.Accept {
				t.Fatal("accepted over the limit")
			}
		}
		if answers := g.addresses.full(start, g.placeKey(placeOf(hostile)), rate{1, time.Hour}); answers > 1 {
			t.Errorf("counted %v", answers)
		}
	})
}
