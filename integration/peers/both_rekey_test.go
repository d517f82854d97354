package peers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/integration/lab"
)

// TestBothEndsRekey has gateway and client replace the same SAs, by lifetimes
// so short that they often do it at once, under traffic, until both have done
// it often enough.
func TestBothEndsRekey(t *testing.T) {
	t.Parallel()
	const lifetimes = "[ike]\nencap = []\nrekey_time = \"10s\"\n[esp]\nrekey_time = \"5s\"\n"
	t.Run("our own client", func(t *testing.T) {
		t.Parallel()
		s := newSeedSite(t)
		s.serveSeed(t, lifetimes)
		c := s.newClient(t, "own")
		session := s.seedTunnel(t, c.Namespace, seedGateway4)
		in := s.oneSession(t)
		c.meets(t, in.Addresses...)
		pings := c.endlessBoth(t)
		var rekeying sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for life, rekey := range map[time.Duration]func() error{
			5 * time.Second:  func() error { return session.RekeyChild(ctx, false) },
			10 * time.Second: func() error { return session.RekeyIKE(ctx) },
		} {
			rekeying.Go(func() { rekeyOften(t, ctx, life, rekey) })
		}
		s.awaitRekeys(t, in.ID)
		for host, p := range pings {
			if sent, lost := p.end(); len(lost) > 0 || sent < 100 {
				t.Errorf("of %d pings to %s these were lost: %q", sent, host, lost)
			}
		}
		stop()
		rekeying.Wait()
		c.visits(t, "afterwards", seedHost4, in.Addresses...)
		c.visits(t, "afterwards", seedHost6, in.Addresses...)
		s.asked(t, "disconnect", seedUser)
		s.nobodyIn(t)
	})
	t.Run("strongSwan", func(t *testing.T) {
		t.Parallel()
		s := newSeedSite(t)
		s.serveSeed(t, lifetimes)
		c := s.newClient(t, "swan")
		c.settings, c.tries = lab.FullTunnel, 8
		s.swanctl(t, c, pageConnection(seedGateway4,
			"version = 2", "version = 2\n  rekey_time = 16s\n  rand_time = 4s", // the gateway is first
			"::/0 }", "::/0\n  rekey_time = 6s\n  rand_time = 2s }"))
		c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		in := s.oneSession(t)
		c.meets(t, in.Addresses...)
		pings := c.endlessBoth(t)
		c.charon.Swanctl("--rekey", "--child", "home") // this one surely is strongSwan's
		s.awaitRekeys(t, in.ID)
		for host, p := range pings {
			sent, lost := p.end()
			t.Logf("of %d pings to %s strongSwan lost %d", sent, host, len(lost))
			if len(lost) > sent/100 || sent < 100 {
				t.Errorf("of %d pings to %s these were lost: %q", sent, host, lost)
			}
		}
		if now := s.oneSession(t); now.ID != in.ID {
			t.Errorf("session %s was %s", now.ID, in.ID)
		}
		c.visits(t, "afterwards", seedHost4, in.Addresses...)
		c.visits(t, "afterwards", seedHost6, in.Addresses...)
		c.charon.Swanctl("--terminate", "--ike", "home")
		s.nobodyIn(t)
	})
}

// endlessBoth pings the host behind the gateway by both families.
func (c *client) endlessBoth(t *testing.T) map[string]endlessPing {
	t.Helper()
	return map[string]endlessPing{seedHost4: c.endless(t, seedHost4), seedHost6: c.endless(t, seedHost6)}
}

// TestSimultaneousRekeys keeps the gateway's request, and its answers, from
// strongSwan until that has begun to rekey the same SA (RFC 7296 §2.8.1,
// §2.8.2). Then it hears again, the request first and then the answer, so that
// both ends see the collision, or, in the last round, the answer first.
func TestSimultaneousRekeys(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kind, more, collision string }{
		{"child", "[esp]\nrekey_time = \"5s\"\n", "detected CHILD_REKEY collision with "},
		{"ike", "rekey_time = \"5s\"\n", "detected IKE_REKEY collision with "},
	} {
		t.Run(test.kind, func(t *testing.T) {
			t.Parallel()
			const rounds = 4 // the nonces decide who wins
			s := newSeedSite(t)
			s.serveSeed(t, "[ike]\nencap = []\n"+test.more)
			c := s.newClient(t, "swan")
			c.settings, c.tries = lab.FullTunnel, 8 // it hears nothing for seconds
			s.swanctl(t, c, pageConnection(seedGateway4))
			c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
			in := s.oneSession(t)
			for round := range rounds {
				log := len(c.charon.Log())
				c.deafTo(t, requests, responses)
				lab.Eventually(t, lab.Patience, "the gateway's request", func() bool { return c.unheard(t, requests) })
				c.charon.Swanctl("--rekey", "--"+test.kind, "home")
				lab.Eventually(t, lab.Patience, "the gateway's answer", func() bool { return c.unheard(t, responses) })
				last, heard := responses, "parsed CREATE_CHILD_SA request"
				if round == rounds-1 {
					last, heard = requests, "parsed CREATE_CHILD_SA response"
				}
				before := strings.Count(c.charon.Log(), heard)
				c.deafTo(t, last)
				lab.Eventually(t, lab.Patience, "what strongSwan may hear first", func() bool { return strings.Count(c.charon.Log(), heard) > before })
				c.Run("nft", "delete", "table", "ip", "deaf")
				lab.Eventually(t, lab.Patience, "one SA of each kind to be left", func() bool {
					sas := c.charon.Swanctl("--list-sas")
					return len(anyIKE.FindAllString(sas, -1)) == 1 && strings.Contains(sas, ", ESTABLISHED") &&
						len(installed.FindAllString(sas, -1)) == 1 && !strings.Contains(sas, "REKEY")
				})
				c.visits(t, "afterwards", seedHost4, in.Addresses...)
				c.visits(t, "afterwards", seedHost6, in.Addresses...)
				// With the rekey, or with the DELETE of the gateway that has won.
				if seen := strings.Contains(c.charon.Log()[log:], test.collision); seen != (round < rounds-1) {
					t.Errorf("round %d: strongSwan saw a collision: %v", round+1, seen)
				}
			}
			if now := s.oneSession(t); now.ID != in.ID {
				t.Errorf("session %s was %s", now.ID, in.ID)
			}
			c.charon.Swanctl("--terminate", "--ike", "home")
			s.nobodyIn(t)
		})
	}
}

var anyIKE = regexp.MustCompile(`(?m)^home: #\d+, `)

// Which CREATE_CHILD_SA messages, by the flag of responses (RFC 7296 §3.1).
const requests, responses = "requests", "responses"

var responseFlag = map[string]string{requests: "0", responses: "0x20"}

// deafTo keeps the gateway's CREATE_CHILD_SA messages of these kinds from
// strongSwan. All else it hears: the exchanges by which it tells of its
// addresses and deletes SAs come when they may, and one that got no answer
// would have its rekey wait (RFC 7296 §2.3).
func (c *client) deafTo(t *testing.T, kinds ...string) {
	t.Helper()
	var counters, rules strings.Builder
	for _, kind := range kinds {
		fmt.Fprintf(&counters, "counter %s { }\n", kind)
		// Offsets in UDP 4500: the non-ESP marker (RFC 3948 §2.2), the exchange
		// type, the flags.
		fmt.Fprintf(&rules, "ip saddr %s udp sport 4500 @th,64,32 0 @th,240,8 %d @th,248,8 & 0x20 == %s counter name %s drop;\n",
			seedGateway4, message.ExchangeCreateChildSA, responseFlag[kind], kind)
	}
	c.Rules("table ip deaf\ndelete table ip deaf\ntable ip deaf {\n" + counters.String() +
		"chain input {\ntype filter hook input priority filter;\n" + rules.String() + "}\n}\n")
}

// unheard tells whether a message of a kind was kept from strongSwan.
func (c *client) unheard(t *testing.T, kind string) bool {
	t.Helper()
	return c.Octets(t, "ip", "deaf", kind) > 0
}

// rekeyOften rekeys long before a lifetime is over, about when the gateway does,
// and when that has done it, in turn. What the gateway has begun itself it may
// refuse for a moment.
func rekeyOften(t *testing.T, ctx context.Context, life time.Duration, rekey func() error) {
	for n := 0; ; n++ {
		after := []float64{1.3, 0.5, 1 - rand.Float64()*0.15}[n%3]
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(after * float64(life))):
		}
		var refused *initiator.RefusedError
		err := rekey()
		if err != nil && ctx.Err() == nil && !(errors.As(err, &refused) && (refused.Notify == message.TemporaryFailure || refused.Notify == message.ChildSANotFound)) {
			t.Error(err)
		}
	}
}

// awaitRekeys waits until SAs of both kinds were rekeyed often, and by both
// ends.
func (s *site) awaitRekeys(t *testing.T, session string) {
	t.Helper()
	const atLeast = 8
	var all, ike, ours int
	lab.Eventually(t, 2*lab.Patience, "rekeys of both kinds by both ends", func() bool {
		all, ike, ours = 0, 0, 0
		for line := range strings.Lines(s.asked(t, "events", "--json")) {
			if _, what, ok := strings.Cut(line, "has new keys: "); ok && strings.Contains(line, session) {
				all++
				if strings.HasPrefix(what, "IKE SA") {
					ike++
				}
				if strings.Contains(what, "begun by the gateway") {
					ours++
				}
			}
		}
		return all >= atLeast && ike > 0 && ike < all && ours > 0 && ours < all
	})
	t.Logf("%d rekeys, %d of them of the IKE SA, %d begun by the gateway", all, ike, ours)
}
