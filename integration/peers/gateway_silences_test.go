package peers

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"bridgehead/integration/lab"
)

// TestSilencesAreExplained puts what networks do to logins between client and
// gateway. Nothing is refused then, the client just falls silent: "why" names
// what it looks like from here, and once the network lets the client through,
// the same client logs in.
func TestSilencesAreExplained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve(t, "[ike]\nlogin_timeout = \"5s\"\n")
	// The offsets count bits from the UDP header: 8 octets, 4 of the non-ESP
	// marker, then the IKE header, whose next payload is 53 for SKF, and after
	// it the payload's header and the fragment's number (RFC 7383 §2.5).
	cases := []struct {
		name, rule string // %s: the client's address
		cause      string
		evidence   string
		client     *client
	}{
		{"port 4500 closed", "ip saddr %s udp dport 4500 drop", "never-continued", "", nil},
		{"all but the first fragment lost", "ip saddr %s udp dport 4500 @th,224,8 53 @th,352,16 != 1 drop", "fragments-missing", "2", nil},
		{"answers lost on port 500", "ip daddr %s udp sport 500 drop", "answers-lost", "", nil},
		{"answers lost on port 4500", "ip daddr %s udp sport 4500 drop", "answers-lost", "", nil},
	}
	var rules []string
	for i := range cases {
		c := s.newClient(t, fmt.Sprint("client", i))
		c.settings = "fragment_size = 300" // else its messages fit into one
		// One user on four machines: none may claim to be the only one.
		s.swanctl(t, c, connection{server: s.outside.IPv4.String(), more: "unique = never"}.String())
		rules = append(rules, fmt.Sprintf(cases[i].rule, c.uplink.IPv4))
		cases[i].client = c
	}
	s.internet.Rules("table ip weather {\nchain forward {\ntype filter hook forward priority filter;\n" + strings.Join(rules, "\n") + "\n}\n}\n")
	var initiated sync.WaitGroup
	for _, c := range cases {
		initiated.Go(func() { _, _ = c.client.charon.TrySwanctl("--initiate", "--child", "home", "--timeout", "7") })
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			address := c.client.uplink.IPv4.String()
			var list []refusal
			lab.Eventually(t, lab.Patience, "an explanation of the silence", func() bool {
				list = decode[struct{ Refusals []refusal }](t, s.ask(t, "why", address, "--json").out).Refusals
				return len(list) > 0
			})
			r := list[0]
			if len(list) != 1 || r.Cause != c.cause || !r.Silent || r.Advice == "" || !r.shows(c.evidence) {
				t.Errorf("explained as %+v, want one silence for %s with %q in its evidence", list, c.cause, c.evidence)
			}
			if len(r.Likely) == 0 && c.cause != "fragments-missing" {
				t.Errorf("no likely causes in %+v", r)
			}
		})
	}
	initiated.Wait()
	s.internet.Run("nft", "delete", "table", "ip", "weather")
	for _, c := range cases {
		_, _ = c.client.charon.TrySwanctl("--terminate", "--ike", "home", "--force", "--timeout", "1") // if it has not given up itself
		c.client.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		c.client.visits(t, "after "+c.name, behind4, s.sessionFrom(t, c.client).Addresses...)
	}
	if now := s.status(t); now.Sessions != len(cases) || now.Logins.Silent != uint64(len(cases)) || now.HalfOpen != 0 {
		t.Errorf("%+v", now)
	}
}
