package gateway

import (
	"fmt"
	"slices"
	"strings"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2/hostnet"
)

// checkHost warns of what this host lacks and the gateway is not to see to
// itself.
func checkHost(c *config.Config) []config.Problem {
	// Without rights the firewall stays unseen; the other facts hold.
	facts, _ := hostnet.Inspect()
	var problems []config.Problem
	announce := c.Addresses.Announce
	if announce != "" && !slices.Contains(facts.Segments, announce) {
		return append(problems, c.Warn("addresses.announce", -1,
			fmt.Sprintf("addresses.announce: this host has no interface %q whose neighbours ask by ARP", announce),
			"expected one of: "+strings.Join(facts.Segments, ", ")).As(config.CauseNoInterface))
	}
	sysctl := func(setting, message, line string) {
		problems = append(problems, c.Warn(setting, -1, setting+": "+message, "put into /etc/sysctl.d/bridgehead.conf: "+line).As(config.CauseKernelSetting))
	}
	for _, f := range hostnet.Families(poolPrefixes(c)) {
		switch {
		case !facts.Forwarding[f]:
			if !c.DataPlane.Forward {
				sysctl("dataplane.forward", fmt.Sprintf("this host forwards no %v, so clients reach nothing but the gateway", f), hostnet.ForwardingSysctl(f))
			}
		case announce != "" && slices.Contains(facts.NotForwarding[f], announce):
			sysctl("addresses.announce", fmt.Sprintf("%s does not forward %v, so no client is answered for there", announce, f), hostnet.LinkForwardingSysctl(f, announce))
		}
		if f == hostnet.IPv6 && !c.DataPlane.Forward && slices.Contains(facts.NoProxyNDP, announce) {
			sysctl("addresses.announce", announce+" does not answer NDP for others", hostnet.ProxyNDPSysctl(announce))
		}
	}
	return problems
}
