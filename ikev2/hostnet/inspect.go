package hostnet

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// Facts is the state of the machine as far as it matters to a gateway.
type Facts struct {
	Families   []Family // that the kernel has
	Forwarding map[Family]bool

	// NotForwarding lists interfaces on which forwarding is off although the
	// machine is a router, by family.
	NotForwarding map[Family][]string
	// RouterAdvertised lists interfaces that would lose their IPv6 default
	// route if the machine became a router, because they hear router
	// advertisements only while it is none. ApplyGateway takes care of them.
	RouterAdvertised []string
	// StrictReversePath lists interfaces that drop IPv4 packets whose source
	// is routed elsewhere: there, pools must be routed to the tunnel.
	StrictReversePath []string
	// ForwardDrops lists other tables' forward chains that drop what no rule
	// of theirs accepts. An accepting rule in our own table cannot help.
	ForwardDrops []ForwardDrop
	// Segments lists the links whose neighbours ask by ARP and NDP: clients can
	// be announced there.
	Segments []string
	// NoProxyNDP lists those of them on which no IPv6 address is answered for on
	// behalf of others.
	NoProxyNDP []string
}

// ForwardDrop is a base chain of nftables, or of iptables over it, in the
// forward hook with the policy "drop". Tables of the legacy iptables are not
// seen.
type ForwardDrop struct {
	Family string // in nft's notation: "ip", "ip6", "inet"
	Table  string
	Chain  string
}

// Remedy is the commands that let the tunnel's packets through the chain. device
// is the tunnel's; empty: it is the kernel that encrypts and decrypts them.
func (d ForwardDrop) Remedy(device string) []string {
	rule := fmt.Sprintf("nft insert rule %s %s %s ", d.Family, d.Table, d.Chain)
	if device == "" {
		return []string{rule + "meta ipsec exists accept", rule + "rt ipsec exists ct state established,related accept"}
	}
	return []string{
		rule + fmt.Sprintf("iifname %q accept", device),
		rule + fmt.Sprintf("oifname %q ct state established,related accept", device),
	}
}

// ForwardingSysctl is the line for sysctl.conf(5) that makes the machine a
// router for f.
func ForwardingSysctl(f Family) string {
	return fmt.Sprintf("%v = %s", f.forwardingSwitch(), forwardingOn)
}

// LinkForwardingSysctl is the line for sysctl.conf(5) that makes a router forward
// what comes in by device.
func LinkForwardingSysctl(f Family, device string) string {
	return fmt.Sprintf("%v = %s", f.conf(device, "forwarding"), forwardingOn)
}

// AcceptRASysctl is the line for sysctl.conf(5) that keeps device listening for
// router advertisements on a router.
func AcceptRASysctl(device string) string {
	return fmt.Sprintf("%v = %s", IPv6.conf(device, "accept_ra"), acceptRAAlways)
}

// ProxyNDPSysctl is the line for sysctl.conf(5) that lets the machine answer for
// clients' IPv6 addresses on device.
func ProxyNDPSysctl(device string) string {
	return fmt.Sprintf("%v = %s", proxyNDP(device), proxyNDPOn)
}

// Inspect reads the machine's state and changes nothing. Only ForwardDrops needs
// rights: where the tables cannot be listed, there is an error and all other
// facts hold.
func Inspect() (Facts, error) {
	facts := Facts{Forwarding: map[Family]bool{}, NotForwarding: map[Family][]string{}}
	for _, f := range []Family{IPv4, IPv6} {
		if !f.Available() {
			continue
		}
		facts.Families = append(facts.Families, f)
		value, err := f.forwardingSwitch().read()
		if err != nil {
			return Facts{}, err
		}
		facts.Forwarding[f] = value != "0"
		if !facts.Forwarding[f] {
			continue
		}
		off, err := linksWith(f, "forwarding", func(_, own string) bool { return own == "0" })
		if err != nil {
			return Facts{}, err
		}
		facts.NotForwarding[f] = off
	}
	var err error
	if IPv6.Available() && !facts.Forwarding[IPv6] {
		if facts.RouterAdvertised, err = routerAdvertised(); err != nil {
			return Facts{}, err
		}
	}
	if facts.StrictReversePath, err = strictReversePath(); err != nil {
		return Facts{}, err
	}
	if facts.Segments, facts.NoProxyNDP, err = segments(); err != nil {
		return Facts{}, err
	}
	facts.ForwardDrops, err = forwardDrops()
	return facts, err
}

// strictReversePath lists the interfaces with rp_filter 1, which is the higher
// of an interface's own value and that of "all" (ip-sysctl.rst).
func strictReversePath() ([]string, error) {
	return linksWith(IPv4, "rp_filter", func(all, own string) bool { return max(all, own) == "1" })
}

// linksWith lists the links other than loopback whose setting, beside that of
// "all", is as asked for.
func linksWith(f Family, name string, wanted func(all, own string) bool) ([]string, error) {
	all, err := f.conf("all", name).read()
	if err != nil {
		return nil, err
	}
	settings, err := interfaceSysctls(f, name)
	if err != nil {
		return nil, err
	}
	values, err := readThere(settings)
	if err != nil {
		return nil, err
	}
	var links []string
	for _, s := range slices.Sorted(maps.Keys(values)) {
		switch link := s.interfaceOf(); link {
		case "all", "default", "lo":
		default:
			if wanted(all, values[s]) {
				links = append(links, link)
			}
		}
	}
	return links, nil
}

// segments lists the links that clients can be announced on, and those of them
// where proxy_ndp is off.
func segments() (all, noNDP []string, err error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, nil, failed(err, "list the links")
	}
	for _, l := range links {
		if asksNeighbours(l.Attrs()) {
			all = append(all, l.Attrs().Name)
		}
	}
	if !IPv6.Available() {
		return all, nil, nil
	}
	off, err := linksWith(IPv6, "proxy_ndp", func(everywhere, own string) bool { return everywhere == "0" && own == "0" })
	if err != nil {
		return nil, nil, err
	}
	for _, name := range all {
		if slices.Contains(off, name) {
			noNDP = append(noNDP, name)
		}
	}
	return all, noNDP, nil
}

func forwardDrops() ([]ForwardDrop, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, failed(err, "reach nftables")
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, failed(err, "list the nftables chains")
	}
	var drops []ForwardDrop
	for _, c := range chains {
		family, ok := map[nftables.TableFamily]string{
			nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
		}[c.Table.Family]
		if ok && c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward &&
			c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			drops = append(drops, ForwardDrop{Family: family, Table: c.Table.Name, Chain: c.Name})
		}
	}
	return drops, nil
}
