package ikev2

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// scripted is a Backend that says what a test wants, step by step, whatever
// the client sends.
type scripted struct {
	begin  error
	none   bool // no conversation, no error
	steps  []auth.Step
	errs   []error
	said   int
	closed int
}

func (b *scripted) Begin(context.Context, auth.Peer) (auth.Conversation, error) {
	if b.none {
		return nil, nil
	}
	return b, b.begin
}

func (b *scripted) Close() { b.closed++ }

func (b *scripted) Next(context.Context, []byte) (auth.Step, error) {
	i := b.said
	b.said++
	if i < len(b.errs) && b.errs[i] != nil {
		return auth.Step{}, b.errs[i]
	}
	return b.steps[min(i, len(b.steps)-1)], nil
}

func grant(msk int) *auth.Grant { return &auth.Grant{Name: "carol", MSK: make(auth.Secret, msk)} }

// Whatever a backend does, only Accept with a session key leads on, and only
// after the client has said something.
func TestBackendThatMisbehaves(t *testing.T) {
	request := auth.Step{Packet: []byte{1, 7, 0, 5, 1}}
	success := []byte{3, 7, 0, 4}
	for _, c := range []struct {
		name   string
		b      scripted
		cause  Cause
		atOnce bool // refused in the first answer
	}{
		{"cannot be asked", scripted{begin: errors.New("down")}, CauseAuthUnavailable, true},
		{"fails at once", scripted{errs: []error{errors.New("down")}}, CauseAuthUnavailable, true},
		{"accepts before a word was said", scripted{steps: []auth.Step{{Verdict: auth.Accept, Packet: success, Grant: grant(64)}}}, CauseNoMSK, true},
		{"sends nothing", scripted{steps: []auth.Step{{}}}, CauseNoMSK, true},
		{"accepts without a grant", scripted{steps: []auth.Step{request, {Verdict: auth.Accept, Packet: success}}}, CauseNoMSK, false},
		{"accepts without a key", scripted{steps: []auth.Step{request, {Verdict: auth.Accept, Packet: success, Grant: grant(0)}}}, CauseNoMSK, false},
		{"accepts with a short key", scripted{steps: []auth.Step{request, {Verdict: auth.Accept, Packet: success, Grant: grant(16)}}}, CauseNoMSK, false},
		{"accepts nobody", scripted{steps: []auth.Step{request, {Verdict: auth.Accept, Grant: &auth.Grant{MSK: make(auth.Secret, 64)}}}}, CauseNoMSK, false},
		{"fails midway", scripted{steps: []auth.Step{request}, errs: []error{nil, errors.New("down")}}, CauseAuthUnavailable, false},
		{"rejects without a reason", scripted{steps: []auth.Step{request, {Verdict: auth.Reject}}}, CauseAuthRejected, false},
		{"rejects with a reason", scripted{steps: []auth.Step{request, {Verdict: auth.Reject, Reason: auth.Reason{Cause: "locked-out"}}}}, "locked-out", false},
		{"is unavailable", scripted{steps: []auth.Step{request, {Verdict: auth.Unavailable}}}, CauseAuthUnavailable, false},
		{"succeeds early", scripted{steps: []auth.Step{request, {Packet: success}}}, CauseAuthUnavailable, false},
		{"succeeds and rejects", scripted{steps: []auth.Step{request, {Verdict: auth.Reject, Packet: success}}}, CauseAuthUnavailable, false},
		{"fails and accepts", scripted{steps: []auth.Step{request, {Verdict: auth.Accept, Packet: []byte{4, 7, 0, 4}, Grant: grant(64)}}}, CauseAuthUnavailable, false},
		{"begins nothing", scripted{none: true}, CauseAuthUnavailable, true},
		{"never ends", scripted{steps: []auth.Step{request}}, CauseTooManyRounds, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.Backend, cfg.Limits.EAPRounds = &c.b, 20 })
			p := w.newPeer().init()
			answer := p.identify()
			for i := 0; !c.atOnce && i < 100 && p.sa().State() == StateAwaitEAP; i++ {
				answer = p.request(message.ExchangeAuth, &message.EAP{Packet: []byte{2, 7, 0, 5, 1}})
			}
			p.wantState(c.name, StateRefused)
			e := message.Find[*message.EAP](answer)
			switch {
			case c.cause == CauseAuthUnavailable:
				if e != nil || message.FindNotify(answer, message.TemporaryFailure) == nil {
					t.Errorf("the answer %s does not tell an outage", describe(answer))
				}
			case !c.atOnce && c.cause != CauseTooManyRounds && (e == nil || e.Packet[0] != 4):
				t.Errorf("the answer %s is no EAP-Failure", describe(answer))
			}
			if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != c.cause {
				t.Errorf("refusals %s, expected %s", describeRefusals(rs), c.cause)
			}
			w.run(time.Minute, nil)
			if c.b.begin == nil && !c.b.none && c.b.closed != 1 {
				t.Errorf("the conversation was closed %d times", c.b.closed)
			}
			w.mustBeEmpty()
		})
	}
}

// Session keys of 32 and 64 octets work with every PRF.
func TestSessionKeyLengths(t *testing.T) {
	for _, n := range []int{32, 64, 128} {
		b := &scripted{steps: []auth.Step{{Packet: []byte{1, 7, 0, 5, 1}}, {Verdict: auth.Accept, Packet: []byte{3, 7, 0, 4}, Grant: grant(n)}}}
		w := newWorld(t, 1, func(cfg *Config) { cfg.Backend = b })
		p := w.newPeer().init()
		p.identify()
		p.request(message.ExchangeAuth, &message.EAP{Packet: []byte{2, 7, 0, 5, 1}})
		a := p.proofOver(make([]byte, n))
		if answer := p.request(message.ExchangeAuth, a); message.FindTS(answer, false) == nil {
			t.Errorf("key of %d octets: %s", n, describe(answer))
		}
		if s := w.gateway.sessions(); len(s) != 1 || s[0].User != "carol" {
			t.Errorf("sessions %+v: the user must be the one the backend verified", s)
		}
	}
}

// A login ends while a job of its runs: what the job brings is given back.
func TestJobsThatComeTooLate(t *testing.T) {
	for _, stage := range []string{"EAP", "lease", "install"} {
		w := newWorld(t, 1, nil)
		p := w.newPeer().init()
		var last message.Payload
		if stage == "EAP" {
			p.identify()
			response, err := p.eap.Respond(p.challenge)
			if err != nil {
				t.Fatal(err)
			}
			last = &message.EAP{Packet: response}
		} else {
			p.throughEAP()
			last = p.proof()
		}
		p.deliver(true, datagram(p, p.seal(message.ExchangeAuth, 0, p.id, []message.Payload{last}, 0)[0]))
		w.run(time.Hour, func() bool {
			switch p.sa().work.job.(type) {
			case *eapStep:
				return stage == "EAP"
			case *claimLease:
				return stage == "lease"
			case *installChild:
				return stage == "install"
			}
			return false
		})
		w.gateway.disconnect(w.now, CauseOperator, Selector{All: true}.matches)
		w.flush()
		w.run(time.Minute, nil)
		w.mustBeEmpty()
	}
}

// brittle is a source of random octets that ends after a number of reads.
type brittle struct {
	io.Reader
	reads int
}

func (b *brittle) Read(p []byte) (int, error) {
	if b.reads--; b.reads < 0 {
		return 0, errors.New("no more randomness")
	}
	return b.Reader.Read(p)
}

// Wherever in a login and a rekey the gateway itself fails, it says so, keeps
// nothing, and counts no session that did not come up.
func TestGatewayFaultAtEveryPoint(t *testing.T) {
	for reads := range 60 {
		w := newWorld(t, 1, nil)
		broken := &brittle{w.octets, reads}
		w.gateway.reg.rand, w.works.rand = broken, broken
		d := w.newDevice(func(c *initiator.Config) {
			c.IKE, _ = suite.ParseProposals(message.ProtocolIKE, "aes256-sha256-modp2048")
		})
		d.login()
		if d.up {
			if err := d.command(initiator.RekeyIKE{}); err == nil {
				_ = d.command(initiator.Delete{}) // may fail like all else
			}
		} else if w.count(EventUp) != 0 {
			t.Errorf("%d reads: up at the gateway alone", reads)
		}
		w.run(3*time.Hour, nil)
		w.mustBeEmpty()
		if w.count(EventUp) != w.count(EventDown) {
			t.Errorf("%d reads: %d up, %d down", reads, w.count(EventUp), w.count(EventDown))
		}
		if !d.up && w.count(EventRefused)+w.count(EventSilent) == 0 && w.counter(JobsFailed) == 0 {
			t.Errorf("%d reads: no word of the failure", reads)
		}
	}
}
