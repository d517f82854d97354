package ikev2

import (
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/message"
)

// lateFailure is a backend that refuses the second packet, to be told late.
func lateFailure(d time.Duration) *scripted {
	return &scripted{steps: []auth.Step{
		{Packet: []byte{1, 7, 0, 5, 1}},
		{Verdict: auth.Reject, Packet: []byte{4, 7, 0, 4}, Delay: d, Reason: auth.Reason{Cause: auth.CauseGuessingUser}},
	}}
}

// offer sends the EAP response of a peer, and gives the octets and what came
// within a second.
func (p *peer) offer() (request []byte, heard [][]byte) {
	p.Helper()
	request = p.seal(message.ExchangeAuth, 0, p.id, []message.Payload{&message.EAP{Packet: []byte{2, 7, 0, 5, 1}}}, 0)[0]
	return request, p.raw(request)
}

func TestALateAnswerComesAtItsTime(t *testing.T) {
	for _, c := range []struct{ delay, want time.Duration }{{4 * time.Second, 4 * time.Second}, {time.Hour, maxDelay}} {
		b := lateFailure(c.delay)
		w := newWorld(t, 1, func(cfg *Config) { cfg.Backend = b })
		p := w.newPeer().init()
		p.identify()
		began := w.now
		request, heard := p.offer()
		for range 2 { // repetitions are absorbed
			heard = append(heard, p.raw(request)...)
		}
		if len(heard) != 0 || b.said != 2 || w.gateway.halfOpen.total.Load() != 1 || len(w.refusals()) != 0 {
			t.Errorf("while it is held: %d answers, %d steps, %d half open, %d refusals",
				len(heard), b.said, w.gateway.halfOpen.total.Load(), len(w.refusals()))
		}
		p.heard = nil
		if !w.run(time.Minute, func() bool { return len(p.heard) > 0 }) {
			t.Fatal("no answer came")
		}
		// The job and the wire take time, too.
		if late := w.now.Sub(began) - c.want; late < 0 || late > 50*time.Millisecond {
			t.Errorf("with a delay of %v the answer took %v more than %v", c.delay, late, c.want)
		}
		if again := p.raw(request); len(again) != 1 {
			t.Errorf("the answer is not repeated: %d", len(again))
		}
		if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != auth.CauseGuessingUser || rs[0].Advice == "" {
			t.Errorf("refusals %s", describeRefusals(rs))
		}
		w.run(time.Minute, nil)
		if b.closed != 1 {
			t.Errorf("the conversation was closed %d times", b.closed)
		}
		w.mustBeEmpty()
	}
}

func TestSuccessIsNeverLate(t *testing.T) {
	b := &scripted{steps: []auth.Step{
		{Packet: []byte{1, 7, 0, 5, 1}},
		{Verdict: auth.Accept, Packet: []byte{3, 7, 0, 4}, Grant: grant(64), Delay: time.Hour},
	}}
	w := newWorld(t, 1, func(cfg *Config) { cfg.Backend = b })
	p := w.newPeer().init()
	p.identify()
	if _, heard := p.offer(); len(heard) != 1 {
		t.Errorf("%d answers within a second", len(heard))
	}
	p.wantState("accepted", StateAwaitProof)
}

// However a login ends while its answer is held, nothing is left of it.
func TestEndsWhileAnAnswerIsHeld(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(w *world)
		cause Cause
	}{
		"by an operator": {func(w *world) { w.gateway.disconnect(w.now, CauseOperator, func(*SA) bool { return true }); w.flush() }, CauseOperator},
		"by time":        {func(w *world) { w.run(3*time.Second, nil) }, auth.CauseGuessingUser},
	} {
		t.Run(name, func(t *testing.T) {
			b := lateFailure(5 * time.Second)
			w := newWorld(t, 1, func(cfg *Config) { cfg.Backend, cfg.Timers.HalfOpen = b, 4*time.Second })
			p := w.newPeer().init()
			p.identify()
			p.offer()
			c.end(w)
			p.heard = nil
			w.run(time.Minute, nil)
			if b.closed != 1 {
				t.Errorf("the conversation was closed %d times", b.closed)
			}
			w.mustBeEmpty()
			if rs := w.refusals(); c.cause == auth.CauseGuessingUser && (len(rs) != 1 || rs[0].Cause != c.cause) {
				t.Errorf("refusals %s, expected %s", describeRefusals(rs), c.cause)
			}
		})
	}
}

// A client that leaves once it has heard is heard, too.
func TestAClientLeavesAfterALateAnswer(t *testing.T) {
	b := &scripted{steps: []auth.Step{
		{Packet: []byte{1, 7, 0, 5, 1}},
		{Packet: []byte{1, 8, 0, 5, 1}, Delay: time.Second, Reason: auth.Reason{Cause: auth.CauseWrongPassword}},
	}}
	w := newWorld(t, 1, func(cfg *Config) { cfg.Backend = b })
	p := w.newPeer().init()
	p.identify()
	request, _ := p.offer()
	p.raw(request)
	p.id++
	p.request(message.ExchangeInformational, status(message.AuthenticationFailed, nil))
	if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != auth.CauseWrongPassword || p.sa().State() != StateRefused {
		t.Errorf("refusals %s, state %s", describeRefusals(rs), p.sa().State())
	}
}
