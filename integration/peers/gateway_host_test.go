package peers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bridgehead/integration/lab"
)

// hostNetwork is all that the gateway may change at its machine, once the
// kernel is done with the interfaces' own addresses.
func (s *site) hostNetwork(t *testing.T) map[string]string {
	t.Helper()
	g := s.gateway
	lab.Eventually(t, 10*time.Second, "interfaces with carrier and link-local addresses", func() bool {
		addresses := g.Run("ip", "-o", "-6", "addr", "show", "scope", "link")
		return strings.Count(addresses, "fe80:") == 2 && !strings.Contains(addresses, "tentative") && !strings.Contains(g.Run("ip", "link"), "NO-CARRIER")
	})
	return map[string]string{
		"links":         g.Run("ip", "-o", "link"),
		"addresses":     g.Run("ip", "-o", "addr"),
		"IPv4 routes":   g.Run("ip", "-4", "route", "show", "table", "all"),
		"IPv6 routes":   withoutExpiry(g.Run("ip", "-6", "route", "show", "table", "all")),
		"rules":         g.Run("ip", "rule") + g.Run("ip", "-6", "rule"),
		"nftables":      g.Run("nft", "list", "ruleset"),
		"IPv4 settings": g.Run("sysctl", "-e", "net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding", "net.ipv4.conf.default.forwarding", "net.ipv4.conf.all.rp_filter", "net.ipv4.conf.all.accept_redirects"),
		"IPv6 settings": g.Run("sysctl", "-e", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding", "net.ipv6.conf.all.disable_ipv6"),
	}
}

// withoutExpiry leaves out what counts down and the order of what the kernel
// lists by hash.
func withoutExpiry(routes string) string {
	lines := strings.Split(routes, "\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, " expires ")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (s *site) sameHostNetwork(t *testing.T, before map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, s.hostNetwork(t)); diff != "" {
		t.Errorf("the host's network is not as it was: -before +after:\n%s", diff)
	}
}
