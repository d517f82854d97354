package config

import (
	"fmt"
	"net/netip"
	"slices"

	"bridgehead/ikev2/dhcp"
)

// validateSplit warns of split routes that leave clients without something they
// are told of.
func (c *Config) validateSplit() []Problem {
	a := &c.Addresses
	var problems []Problem
	if len(a.Domains) > 0 && len(a.DNS) == 0 {
		problems = append(problems, c.Warn("addresses.domains", -1, "addresses.domains: clients are not told of any without addresses.dns (RFC 8598 §3.2)", "set dns to a name server that knows them"))
	}
	if len(a.Subnets) == 0 {
		if len(a.Domains) > 0 {
			problems = append(problems, c.Warn("addresses.domains", -1, "addresses.domains: split DNS is for split routes, and everything goes through the tunnel", "set subnets, or leave domains out: clients then ask dns for every name"))
		}
		return problems
	}
	for i, server := range a.DNS {
		if !slices.ContainsFunc(a.Subnets, func(p netip.Prefix) bool { return p.Contains(server) }) {
			problems = append(problems, c.Warn("addresses.dns", i, fmt.Sprintf("addresses.dns: %s lies outside of addresses.subnets", server), "clients cannot reach it through the tunnel; add it to subnets"))
		}
	}
	if a.DHCPInform && !dhcp.Fits(a.Subnets) {
		problems = append(problems, c.Warn("addresses.subnets", -1, "addresses.subnets: a DHCP answer has not room for all of them", "Windows gets no route to the last ones; put neighbours together, such as two /24 into a /23"))
	}
	return problems
}
