package peers

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"bridgehead/integration/lab"
)

// pinging is a stream of pings, 10 ms apart, to the host behind the gateway, one
// for each family.
type pinging struct {
	streams sync.WaitGroup
	mu      sync.Mutex
	out     map[string]string // by host
	pings   int               // each stream has
}

func startPinging(n *lab.Namespace, pings int) *pinging {
	p := &pinging{out: make(map[string]string), pings: pings}
	for _, host := range []string{seedHost4, seedHost6} {
		p.streams.Go(func() {
			out, _ := n.Try("ping", "-q", "-i", "0.01", "-c", fmt.Sprint(pings), "-W", "20", host) // loss is in what it says
			p.mu.Lock()
			defer p.mu.Unlock()
			p.out[host] = out
		})
	}
	return p
}

// meets has the hosts learn who answers for the client: a neighbour that does
// not know queues some 90 packets at most, and the kernel lets it wait for 0.8 s.
func (c *client) meets(t *testing.T, addresses ...string) {
	t.Helper()
	c.visits(t, "before", seedHost4, addresses...)
	c.visits(t, "before", seedHost6, addresses...)
}

var received = regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`)

// lost waits for both streams to end and tells how many pings had no answer.
func (p *pinging) lost(t *testing.T) map[string]int {
	t.Helper()
	p.streams.Wait()
	lost := make(map[string]int)
	for host, out := range p.out {
		var sent, back int
		found := received.FindString(out)
		if _, err := fmt.Sscanf(found, "%d packets transmitted, %d received", &sent, &back); err != nil || sent != p.pings {
			t.Fatalf("ping %s: %v\n%s", host, err, out)
		}
		lost[host] = sent - back
	}
	return lost
}

// TestSeedRekeysLoseNothing renews both SAs under traffic.
func TestSeedRekeysLoseNothing(t *testing.T) {
	t.Parallel()
	s := newSeedSite(t)
	s.serveSeed(t, "[ike]\nencap = []\n")
	for _, test := range []struct {
		name  string
		begin func(t *testing.T) (*client, func(kind string))
	}{
		{"our own client, plain ESP", func(t *testing.T) (*client, func(string)) {
			c := s.newClient(t, "own")
			session := s.seedTunnel(t, c.Namespace, seedGateway4)
			return c, func(kind string) {
				rekey := session.RekeyIKE
				if kind == "child" {
					rekey = func(ctx context.Context) error { return session.RekeyChild(ctx, true) }
				}
				for range 5 { // in a row: each has a moment in which a packet could be lost
					if err := rekey(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		}},
		{"strongSwan, ESP in UDP", func(t *testing.T) (*client, func(string)) {
			c := s.pageClient(t, "swan", seedGateway4)
			c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
			return c, func(kind string) { c.rekey(t, kind, "home") }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, rekey := test.begin(t)
			in := s.oneSession(t)
			c.meets(t, in.Addresses...)
			const pings = 400
			p := startPinging(c.Namespace, pings)
			for _, kind := range []string{"child", "ike", "child", "ike", "child"} {
				before := s.oneSession(t).BytesIn
				lab.Eventually(t, lab.Patience, "traffic before the rekey", func() bool { return s.oneSession(t).BytesIn > before })
				rekey(kind)
			}
			for host, n := range p.lost(t) {
				if n > 0 {
					t.Errorf("%d of %d pings to %s were lost", n, pings, host)
				}
			}
			s.asked(t, "disconnect", seedUser)
			s.nobodyIn(t)
		})
	}
}
