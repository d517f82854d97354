package initiator

import (
	"errors"
	"testing"
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// leisure is a client of habits h, logged in, with a data plane.
func leisure(t *testing.T, h Habits, rekey []message.Proposal) *conn {
	t.Helper()
	p := *DefaultProfile()
	p.Habits, p.RekeyESP = h, rekey
	cfg := testConfig()
	cfg.Profile, cfg.Plane = &p, plane{}
	c := newConn(t, 60, cfg)
	c.login()
	c.handle(Installed{})
	c.established()
	c.notices = nil
	return c
}

// until lets time pass, deadline by deadline, and ends at a point in time.
func (c *conn) until(end time.Time) {
	c.t.Helper()
	for !c.out.Deadline.IsZero() && !c.out.Deadline.After(end) {
		c.pass()
	}
	c.now = end
}

// rekeys counts those that are complete.
func (c *conn) rekeys(s Step) (n int) {
	for _, notice := range c.notices {
		if r, ok := notice.(Rekeyed); ok && r.Step == s {
			n++
		}
	}
	return n
}

func TestHabitsByTime(t *testing.T) {
	c := leisure(t, Habits{RekeyChild: 24 * time.Minute, RekeyIKE: 48 * time.Minute, Liveness: 10 * time.Minute}, nil)
	c.gateway.asked = nil
	c.until(epoch.Add(24*time.Hour + time.Second))
	if child, ike := c.rekeys(StepRekeyChild), c.rekeys(StepRekeyIKE); child != 60 || ike != 30 {
		t.Errorf("%d rekeys of the Child SA and %d of the IKE SA in a day, want 60 and 30", child, ike)
	}
	if _, told := notice[Done](c); told {
		t.Error("a habit reports the end of a command that nobody gave")
	}
	asked := 0
	for _, h := range c.gateway.asked {
		if h.Exchange == message.ExchangeInformational {
			asked++
		}
	}
	// Two deletions in each 24 or 48 minutes, and two checks between rekeys.
	if want := 60 + 30 + 120; asked != want {
		t.Errorf("%d INFORMATIONAL requests, want %d", asked, want)
	}
}

func TestHabitByTraffic(t *testing.T) {
	c := leisure(t, Habits{RekeyChildOctets: 200 << 20, Liveness: time.Minute}, nil)
	carried := func(octets uint64) {
		child, _ := c.sa.Child()
		c.handle(Traffic{Child: child.ID, Octets: octets, Heard: c.now})
	}
	before, _ := c.sa.Child()
	carried(200<<20 - 1)
	if c.rekeys(StepRekeyChild) != 0 {
		t.Error("rekeyed too early")
	}
	carried(200 << 20)
	carried(1)
	c.handle(Traffic{Child: before.ID, Octets: 1 << 40})
	if c.rekeys(StepRekeyChild) != 1 {
		t.Errorf("%d rekeys, want 1: the old SA's octets are not the new one's", c.rekeys(StepRekeyChild))
	}
	asked := len(c.gateway.asked)
	for range 10 {
		c.now = c.now.Add(50 * time.Second)
		carried(2)
	}
	if len(c.gateway.asked) != asked {
		t.Error("asks for signs of life while packets come")
	}
	c.until(c.now.Add(time.Minute))
	if len(c.gateway.asked) != asked+1 {
		t.Errorf("%d checks after a minute of silence, want 1", len(c.gateway.asked)-asked)
	}
}

// TestHabitKeyExchange: the profile's proposals for rekeys say whether there
// is one.
func TestHabitKeyExchange(t *testing.T) {
	gcm := []message.Transform{encr(suite.EncrAESGCM16, 128)}
	for _, test := range []struct {
		rekey []message.Proposal
		ke    bool
	}{
		{nil, false},
		{offer(message.ProtocolESP, append(gcm, noESN)), false},
		{offer(message.ProtocolESP, append(gcm, group(suite.ECP256), noESN)), true},
	} {
		c := leisure(t, Habits{RekeyChild: time.Hour}, test.rekey)
		c.gateway.onChild = func(request, answer []message.Payload) []message.Payload {
			if ke := message.Find[*message.KE](request) != nil; ke != test.ke {
				t.Errorf("%s: KE payload %t, want %t", suite.Describe(test.rekey), ke, test.ke)
			}
			return answer
		}
		c.until(epoch.Add(time.Hour))
		if c.rekeys(StepRekeyChild) != 1 {
			t.Errorf("%s: %d rekeys", suite.Describe(test.rekey), c.rekeys(StepRekeyChild))
		}
	}
}

func TestHabitsWhenRefused(t *testing.T) {
	for _, test := range []struct {
		what    string
		habits  Habits
		refusal message.NotifyType
		until   time.Duration // when the session ends; 0: it does not within a day
	}{
		{"tries again while it lives", Habits{ChildLife: 2 * time.Hour}, message.NoProposalChosen, 2 * time.Hour},
		{"gives up", Habits{ChildLife: 2 * time.Hour, GiveUp: true}, message.NoProposalChosen, time.Hour},
		{"is patient", Habits{ChildLife: 2 * time.Hour, GiveUp: true, Patience: 5 * time.Minute}, message.TemporaryFailure, time.Hour + 5*time.Minute},
		{"for ever", Habits{GiveUp: true}, message.TemporaryFailure, 0},
	} {
		test.habits.RekeyChild = time.Hour
		c := leisure(t, test.habits, nil)
		c.gateway.onChild = func([]message.Payload, []message.Payload) []message.Payload { return notification(test.refusal, nil) }
		c.until(epoch.Add(24 * time.Hour))
		closed, over := notice[Closed](c)
		if over != (test.until > 0) {
			t.Errorf("%s: ended %t, %v", test.what, over, closed.Err)
			continue
		}
		var f Failure
		if over && (!errors.As(closed.Err, &f) || f.At() != StepRekeyChild) {
			t.Errorf("%s: ended with %v", test.what, closed.Err)
		}
		if over && c.closed != epoch.Add(test.until) {
			t.Errorf("%s: ended after %s, want %s", test.what, c.closed.Sub(epoch), test.until)
		}
	}
}

// TestHabitJitter: rekeys come early by the jitter at most, and not in step.
func TestHabitJitter(t *testing.T) {
	c := leisure(t, Habits{RekeyIKE: time.Hour, Jitter: 0.1}, nil)
	seen := map[time.Duration]bool{}
	for range 10 {
		began, n := c.now, c.rekeys(StepRekeyIKE)
		for c.rekeys(StepRekeyIKE) == n {
			c.pass()
		}
		after := c.now.Sub(began)
		if after < 54*time.Minute || after > time.Hour {
			t.Errorf("rekeyed after %s", after)
		}
		seen[after] = true
	}
	if len(seen) < 5 {
		t.Errorf("only %d different times in 10", len(seen))
	}
}

// TestAppleKeepsTheProposalsNumber: its rekeys of the IKE SA carry the
// proposal chosen, under the number it had.
func TestAppleKeepsTheProposalsNumber(t *testing.T) {
	cfg := testConfig()
	cfg.Profile = Apple()
	c := newConn(t, 61, cfg)
	c.gateway.ike = parse(t, message.ProtocolIKE, "aes256-sha256-ecp256")
	c.login()
	c.established()
	var numbers []uint8
	c.gateway.onChild = func(request, answer []message.Payload) []message.Payload {
		for _, p := range message.Find[*message.SA](request).Proposals {
			if p.Protocol == message.ProtocolIKE {
				numbers = append(numbers, p.Number)
			}
		}
		return answer
	}
	for range 2 {
		c.handle(RekeyIKE{})
	}
	if len(numbers) != 2 || numbers[0] != 3 || numbers[1] != 3 {
		t.Errorf("proposals numbered %v, want 3 and 3", numbers)
	}
	if got := c.rekeys(StepRekeyIKE); got != 2 {
		t.Errorf("%d rekeys, want 2", got)
	}
}
