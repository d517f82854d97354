package ikev2

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// The tests of this file do to the gateway what once broke another one. Each
// ends with the attacked SA gone or as it was, and with a login that works.

// stages are where a login stands when the attack comes; each leads there from
// the one before.
var stages = []struct {
	name string
	run  func(p *peer)
	want State
}{
	{"after IKE_SA_INIT", func(p *peer) { p.init() }, StateAwaitAuth},
	{"after the gateway's AUTH", func(p *peer) { p.identify() }, StateAwaitEAP},
	{"after the EAP identity", func(p *peer) { p.answerEAP() }, StateAwaitEAP},
	{"after the password", func(p *peer) { p.answerEAP() }, StateAwaitEAP},
	{"between EAP-Success and AUTH", func(p *peer) { p.answerEAP() }, StateAwaitProof},
}

// unharmed checks that nobody got in and the gateway lives on.
func (w *world) unharmed(why string) {
	w.Helper()
	w.nobodyIsIn(why)
	w.livesOn(why)
}

// livesOn checks that a good client gets in, and that nothing is left when it
// has gone.
func (w *world) livesOn(why string) {
	w.Helper()
	d := w.newDevice(nil).mustLogin()
	if err := d.command(initiator.Delete{}); err != nil {
		w.Errorf("%s: a good session right after: %v", why, err)
	}
	w.run(2*time.Minute, nil)
	w.mustBeEmpty()
}

// nobodyIsIn checks that no session, Child SA or event of one has come up.
func (w *world) nobodyIsIn(why string) {
	w.Helper()
	if n := len(w.gateway.sessions()); n != 0 || len(w.plane.children) != 0 || w.count(EventUp) != 0 {
		w.Errorf("%s: %d sessions, %d Child SAs, %d events of a session", why, n, len(w.plane.children), w.count(EventUp))
	}
}

// CVE-2014-2338: an IKE SA that is rekeyed before its login is complete must
// not become an established one. At each stage the client rekeys, and goes on
// as if that had worked.
func TestCVE2014_2338_RekeyOfALoginThatIsNotComplete(t *testing.T) {
	for n, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer()
			for _, s := range stages[:n+1] {
				s.run(p)
			}
			pair, err := p.suite.Group.Generate(p.octets)
			if err != nil {
				t.Fatal(err)
			}
			spi := []byte{8, 8, 8, 8, 8, 8, 8, 8}
			answer := p.request(message.ExchangeCreateChildSA, &message.SA{Proposals: suite.Proposals{p.suite.Proposal()}.Offer(spi)},
				&message.Nonce{Data: p.ni}, &message.KE{Group: uint16(p.suite.Group), Data: pair.Public()})
			if answer != nil {
				t.Errorf("the rekey was answered with %s", describe(answer))
			}
			p.wantState("after the rekey", stage.want)
			if len(w.gateway.reg.sas) != 1 {
				t.Errorf("%d IKE SAs", len(w.gateway.reg.sas))
			}
			if answer := p.request(message.ExchangeInformational); len(answer) != 0 {
				t.Errorf("a liveness check was answered with %s", describe(answer))
			}
			p.wantState("after the liveness check", stage.want)
			w.nobodyIsIn(stage.name)
			w.run(2*time.Minute, nil) // the login times out
			w.unharmed(stage.name)
		})
	}
}

// CVE-2026-78133 and CVE-2026-78135: no Child SA comes up before the login is
// complete, whatever asks for one: a CREATE_CHILD_SA exchange, or selectors
// beside an EAP answer, right up to the moment between EAP-Success and AUTH.
func TestCVE2026_78133_ChildSABeforeTheLoginIsComplete(t *testing.T) {
	for n, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer()
			for _, s := range stages[:n+1] {
				s.run(p)
			}
			if answer := p.request(message.ExchangeCreateChildSA, append(p.child(), &message.Nonce{Data: p.ni})...); answer != nil {
				t.Errorf("CREATE_CHILD_SA was answered with %s", describe(answer))
			}
			p.wantState("after CREATE_CHILD_SA", stage.want)
			w.nobodyIsIn(stage.name)
			if n == 0 {
				w.run(2*time.Minute, nil)
				w.unharmed(stage.name)
				return
			}
			// Another IKE_AUTH with selectors, without what the stage asks for.
			answer := p.request(message.ExchangeAuth, p.child()...)
			if message.Find[*message.SA](answer) != nil || message.FindTS(answer, false) != nil {
				t.Errorf("selectors in the midst of the login were answered with %s", describe(answer))
			}
			w.nobodyIsIn(stage.name + ", selectors alone")
			w.run(2*time.Minute, nil)
			w.unharmed(stage.name)
		})
	}
}

// CVE-2026-78133, too: selectors beside each EAP answer are not looked at; what
// is installed in the end is what the first IKE_AUTH asked for.
func TestCVE2026_78133_SelectorsBesideEAP(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().init()
	p.identify()
	wide := p.childSPI
	p.childSPI = []byte{0xee, 0xee, 0xee, 0xee}
	for range 3 {
		response, err := p.eap.Respond(p.challenge)
		if err != nil {
			t.Fatal(err)
		}
		answer := p.request(message.ExchangeAuth, append(p.child(), &message.EAP{Packet: response})...)
		if message.Find[*message.SA](answer) != nil {
			t.Errorf("answered with %s", describe(answer))
		}
		p.hear(answer)
		w.nobodyIsIn("selectors beside EAP")
	}
	if _, err := p.eap.Respond(p.challenge); err != nil {
		t.Fatal(err)
	}
	if answer := p.prove(); message.FindTS(answer, false) == nil {
		t.Fatalf("the login ended with %s", describe(answer))
	}
	if c := w.plane.only(t); fmt.Sprintf("%08x", c.Out.SPI) != fmt.Sprintf("%x", wide) {
		t.Errorf("the Child SA has SPI %08x of the client, not %x of its first message", c.Out.SPI, wide)
	}
}

// CVE-2026-78134: who a session belongs to, and what it may, is by the name
// that was verified: not by IDi, and not by an EAP identity that differs.
func TestCVE2026_78134_TheVerifiedNameAloneCounts(t *testing.T) {
	for _, c := range []struct {
		name, idi, identity, user, password string
		cause                               Cause // "": the login succeeds
	}{
		{"IDi of another user", "bob", "alice", "alice", "wonderland", ""},
		{"IDi and EAP identity of others", "bob", "root", "alice", "wonderland", Cause(auth.CauseIdentityMismatch)},
		{"EAP identity of another user", "alice", "bob", "alice", "wonderland", Cause(auth.CauseIdentityMismatch)},
		{"EAP identity of another user in another case", "alice", "BOB", "alice", "wonderland", Cause(auth.CauseIdentityMismatch)},
		{"name of another user, own password", "alice", "alice", "bob", "wonderland", Cause(auth.CauseIdentityMismatch)},
		{"no EAP identity, IDi of another user", "bob", "", "alice", "wonderland", ""},
		{"a wildcard for an identity", "*", "*", "alice", "wonderland", Cause(auth.CauseIdentityMismatch)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer().init()
			p.idi, p.eap = fqdn(c.idi), mschapv2.NewClient(c.user, []byte(c.password), w.octets)
			p.identify()
			identity := eap.Packet{Code: eap.CodeResponse, Identifier: p.challenge[1], Type: eap.TypeIdentity, Data: []byte(c.identity)}
			if _, err := p.eap.Respond(p.challenge); err != nil { // our method begins, whatever identity is sent
				t.Fatal(err)
			}
			p.hear(p.request(message.ExchangeAuth, &message.EAP{Packet: identity.Append(nil)}))
			for range 2 {
				response, err := p.eap.Respond(p.challenge)
				if err != nil { // refused: it is acknowledged
					response = eap.NewMSCHAPv2(p.challenge[1], &eap.FailureResponse{}).Append(nil)
				}
				p.hear(p.request(message.ExchangeAuth, &message.EAP{Packet: response}))
			}
			if c.cause != "" {
				p.wantState(c.name, StateRefused)
				if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != c.cause {
					t.Errorf("refusals %s, expected %s", describeRefusals(rs), c.cause)
				}
				w.unharmed(c.name)
				return
			}
			if _, err := p.eap.Respond(p.challenge); err != nil {
				t.Fatal(err)
			}
			p.prove()
			s := w.gateway.sessions()
			if len(s) != 1 || s[0].User != c.user || w.lastEvent().Session.User != c.user {
				t.Fatalf("sessions %+v, expected one of %s", s, c.user)
			}
			if local := w.plane.only(t).Local; !slices.Equal(local, everything()) { // bob's routes would narrow it
				t.Errorf("the session reaches %v", local)
			}
			for user := range w.works.sessions.byUser {
				if user != c.user {
					t.Errorf("the session counts for %s", user)
				}
			}
		})
	}
}

// CVE-2021-45079: an EAP-Success before the method has ended, an Accept without
// a session key or without EAP-Success, and AUTH over no key let nobody in.
func TestCVE2021_45079_EarlyEAPSuccess(t *testing.T) {
	request, success := auth.Step{Packet: []byte{1, 7, 0, 5, 1}}, []byte{3, 7, 0, 4}
	for _, c := range []struct {
		name  string
		steps []auth.Step
	}{
		{"EAP-Success inside a challenge", []auth.Step{request, {Packet: success}}},
		{"EAP-Success as the first packet", []auth.Step{{Packet: success}}},
		{"accepted without EAP-Success", []auth.Step{request, {Verdict: auth.Accept, Packet: request.Packet, Grant: grant(64)}}},
		{"accepted with EAP-Failure", []auth.Step{request, {Verdict: auth.Accept, Packet: []byte{4, 7, 0, 4}, Grant: grant(64)}}},
		{"accepted without a session key", []auth.Step{request, {Verdict: auth.Accept, Packet: success, Grant: grant(0)}}},
		{"accepted with half a session key", []auth.Step{request, {Verdict: auth.Accept, Packet: success, Grant: grant(31)}}},
		{"accepted without a grant", []auth.Step{request, {Verdict: auth.Accept, Packet: success}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			outlet := &switchable{}
			w := newWorld(t, 1, func(cfg *Config) { outlet.Backend, cfg.Backend = cfg.Backend, outlet })
			outlet.first = &scripted{steps: c.steps}
			p := w.newPeer().init()
			p.identify()
			if p.sa().State() == StateAwaitEAP {
				p.request(message.ExchangeAuth, &message.EAP{Packet: []byte{2, 7, 0, 5, 1}})
			}
			p.wantState(c.name, StateRefused)
			for _, msk := range [][]byte{nil, make([]byte, 64)} {
				if answer := p.request(message.ExchangeAuth, p.proofOver(msk)); answer != nil {
					t.Errorf("AUTH over %d octets was answered with %s", len(msk), describe(answer))
				}
			}
			w.unharmed(c.name)
		})
	}
}

// switchable is a Backend whose first conversation is another's.
type switchable struct {
	auth.Backend
	first *scripted
}

func (b *switchable) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	if first := b.first; first != nil {
		b.first = nil
		return first, nil
	}
	return b.Backend.Begin(ctx, peer)
}

// CVE-2015-8023: the Success op-code of EAP-MSCHAPv2, sent instead of a
// Response or after a wrong one, lets nobody in. Package mschapv2 tries every
// op-code in every state; here the whole login is tried.
func TestCVE2015_8023_SuccessWithoutResponse(t *testing.T) {
	for _, wrongFirst := range []bool{false, true} {
		w := newWorld(t, 1, nil)
		p := w.newPeer().init()
		p.eap = mschapv2.NewClient("alice", []byte("guess"), w.octets)
		p.identify()
		p.answerEAP() // identity; the challenge comes
		if wrongFirst {
			p.answerEAP() // the wrong password; its Failure-Request comes
		}
		claim := eap.NewMSCHAPv2(p.challenge[1], &eap.SuccessResponse{}).Append(nil)
		answer := p.request(message.ExchangeAuth, &message.EAP{Packet: claim})
		if e := message.Find[*message.EAP](answer); e == nil || e.Packet[0] != byte(eap.CodeFailure) {
			t.Errorf("wrong first %v: answered with %s", wrongFirst, describe(answer))
		}
		p.wantState("after the Success op-code", StateRefused)
		if answer := p.request(message.ExchangeAuth, p.proofOver(make([]byte, 64))); answer != nil {
			t.Errorf("AUTH was answered with %s", describe(answer))
		}
		w.unharmed("Success op-code")
	}
}
