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
	if c.splitsIPv6() {
		problems = append(problems, c.Warn("addresses.subnets", -1, "addresses.subnets: IPv6 is among them, but not all of it", "iPhones and Macs, which set no routes then, get an IPv4 address alone; with ::/0 they get both").As(CauseAdvice))
	}
	if a.DHCPInform && !dhcp.Fits(a.Subnets) {
		problems = append(problems, c.Warn("addresses.subnets", -1, "addresses.subnets: a DHCP answer has not room for all of them", "Windows gets no route to the last ones; put neighbours together, such as two /24 into a /23"))
	}
	return problems
}

// splitsIPv6 tells that clients get addresses of both families, and some IPv6
// but not all of it goes through the tunnel.
func (c *Config) splitsIPv6() bool {
	var pools [2]bool
	for _, p := range c.AllPools() {
		for _, a := range p.Addresses {
			pools[0], pools[1] = pools[0] || a.Range.First.Is4(), pools[1] || a.Range.First.Is6()
		}
	}
	is6 := func(p netip.Prefix) bool { return p.Addr().Is6() }
	all := func(p netip.Prefix) bool { return is6(p) && p.Bits() == 0 }
	return pools[0] && pools[1] && slices.ContainsFunc(c.Addresses.Subnets, is6) && !slices.ContainsFunc(c.Addresses.Subnets, all)
}
