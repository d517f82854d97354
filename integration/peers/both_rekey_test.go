package peers

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/integration/lab"
)

// TestBothEndsRekey has gateway and client replace the same SAs, by lifetimes
// so short that they often do it at once, under traffic.
func TestBothEndsRekey(t *testing.T) {
	const (
		pings   = 2500
		rekeyed = 8 // at least, within that time
	)
	s := newSeedSite(t)
	s.serveSeed(t, "[ike]\nencap = []\nrekey_time = \"10s\"\n[esp]\nrekey_time = \"5s\"\n")
	t.Run("our own client", func(t *testing.T) {
		c := s.newClient(t, "own")
		session := s.seedTunnel(t, c.Namespace, seedGateway4)
		in := s.oneSession(t)
		c.meets(t, in.Addresses...)
		p := startPinging(c.Namespace, pings)
		var rekeying sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for life, rekey := range map[time.Duration]func() error{
			5 * time.Second:  func() error { return session.RekeyChild(ctx, false) },
			10 * time.Second: func() error { return session.RekeyIKE(ctx) },
		} {
			rekeying.Go(func() { rekeyOften(t, ctx, life, rekey) })
		}
		lost := p.lost(t)
		stop()
		rekeying.Wait()
		for host, n := range lost {
			if n > 0 {
				t.Errorf("%d of %d pings to %s were lost", n, pings, host)
			}
		}
		s.wantRekeys(t, in.ID, rekeyed)
		s.asked(t, "disconnect", seedUser)
		s.nobodyIn(t)
	})
	t.Run("strongSwan", func(t *testing.T) {
		c := s.newClient(t, "swan")
		s.swanctl(t, c, pageConnection(seedGateway4,
			"version = 2", "version = 2\n  rekey_time = 16s\n  rand_time = 4s", // the gateway is first
			"::/0 }", "::/0\n  rekey_time = 6s\n  rand_time = 2s }"))
		c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "10")
		in := s.oneSession(t)
		c.meets(t, in.Addresses...)
		p := startPinging(c.Namespace, pings)
		c.rekey(t, "child", "home") // this one surely is strongSwan's
		lost := p.lost(t)
		t.Logf("of %d pings to each host strongSwan lost %v", pings, lost)
		for host, n := range lost {
			if n > pings/100 {
				t.Errorf("%d of %d pings to %s were lost", n, pings, host)
			}
		}
		s.wantRekeys(t, in.ID, rekeyed)
		if now := s.oneSession(t); now.ID != in.ID {
			t.Errorf("session %s was %s", now.ID, in.ID)
		}
		c.visits(t, "afterwards", seedHost4, in.Addresses...)
		c.visits(t, "afterwards", seedHost6, in.Addresses...)
		c.charon.Swanctl("--terminate", "--ike", "home")
		s.nobodyIn(t)
	})
}

// TestSimultaneousRekeys keeps the gateway's request, and its answers, from
// strongSwan until that has begun to rekey the same SA (RFC 7296 §2.8.1,
// §2.8.2). Then it hears again, the request first and then the answer, so that
// both ends see the collision, or, in the last round, the answer first.
func TestSimultaneousRekeys(t *testing.T) {
	for _, test := range []struct{ kind, more, collision string }{
		{"child", "[esp]\nrekey_time = \"5s\"\n", "detected CHILD_REKEY collision with "},
		{"ike", "rekey_time = \"5s\"\n", "detected IKE_REKEY collision with "},
	} {
		t.Run(test.kind, func(t *testing.T) {
			const rounds = 4 // the nonces decide who wins
			s := newSeedSite(t)
			s.serveSeed(t, "[ike]\nencap = []\n"+test.more)
			c := s.pageClient(t, "swan", seedGateway4)
			c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "10")
			in := s.oneSession(t)
			for round := range rounds {
				log := len(c.charon.Log())
				c.deafTo(t, "")
				lab.Eventually(t, 10*time.Second, "a request of the gateway", func() bool { return c.Octets(t, "ip", "deaf", "heard") > 0 })
				c.charon.Swanctl("--rekey", "--"+test.kind, "home")
				request := c.Octets(t, "ip", "deaf", "heard")
				lab.Eventually(t, 10*time.Second, "the gateway's answer", func() bool { return c.Octets(t, "ip", "deaf", "heard") > request })
				first, heard := ikeResponses, "parsed CREATE_CHILD_SA request"
				if round == rounds-1 {
					first, heard = ikeRequests, "parsed CREATE_CHILD_SA response"
				}
				before := strings.Count(c.charon.Log(), heard)
				c.deafTo(t, first)
				lab.Eventually(t, 20*time.Second, "what strongSwan may hear first", func() bool { return strings.Count(c.charon.Log(), heard) > before })
				c.Run("nft", "delete", "table", "ip", "deaf")
				lab.Eventually(t, 20*time.Second, "one SA of each kind to be left", func() bool {
					sas := c.charon.Swanctl("--list-sas")
					return strings.Count(sas, "ESTABLISHED") == 1 && strings.Count(sas, "INSTALLED") == 1 && !strings.Contains(sas, "REKEY")
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

// Which IKE messages in UDP 4500, by the flag of responses (RFC 7296 §3.1).
const (
	ikeRequests  = "@th,248,8 & 0x20 == 0 "
	ikeResponses = "@th,248,8 & 0x20 == 0x20 "
)

// deafTo has strongSwan hear nothing of the gateway, or no IKE messages of one
// kind.
func (c *client) deafTo(t *testing.T, kind string) {
	t.Helper()
	if kind != "" {
		kind = "udp sport 4500 @th,64,32 0 " + kind // the non-ESP marker (RFC 3948 §2.2)
	}
	c.Rules("table ip deaf\ndelete table ip deaf\ntable ip deaf {\ncounter heard { }\nchain input {\ntype filter hook input priority filter; ip saddr " +
		seedGateway4 + " " + kind + "counter name heard drop;\n}\n}\n")
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

// wantRekeys checks that SAs of both kinds were rekeyed, and by both ends.
func (s *site) wantRekeys(t *testing.T, session string, atLeast int) {
	t.Helper()
	all, ike, ours := 0, 0, 0
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
	t.Logf("%d rekeys, %d of them of the IKE SA, %d begun by the gateway", all, ike, ours)
	if all < atLeast || ike == 0 || ike == all || ours == 0 || ours == all {
		t.Errorf("that is not of both kinds by both ends, %d at least", atLeast)
	}
}
