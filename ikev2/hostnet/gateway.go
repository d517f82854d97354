package hostnet

import (
	"fmt"
	"net/netip"
)

// Gateway is what the machine of a gateway needs.
type Gateway struct {
	Device    string         // the TUN link, which must exist
	MTU       int            // of Device, in octets
	KernelESP bool           // clients' packets are not seen on Device: it only has the route
	Addresses []netip.Addr   // of the gateway itself on Device; may be empty
	Pools     []netip.Prefix // routed to Device

	// Forward makes the machine a router for the families of Pools, where it
	// is none yet.
	Forward bool
	// ProxyNDP lets the machine, as far as it forwards IPv6, answer on every link
	// for the neighbours that somebody else enters there, such as the site's
	// updown script.
	ProxyNDP bool
	// Table names the nftables table, family inet, for what follows.
	Table string
	// Masquerade gives the pools' packets the machine's own address, but not
	// towards other clients.
	Masquerade bool
	// ClampMSS lowers the MSS of clients' TCP connections to the MTU of Device.
	ClampMSS bool
	// Limits makes the table that a Limiter uses, LimitsTable of Table.
	Limits bool
}

// minIPv6MTU is the least MTU of a link with IPv6 (RFC 8200 §5).
const minIPv6MTU = 1280

// ApplyGateway makes the changes that g needs. If it fails, those made so far
// stay until Close.
func (h *Host) ApplyGateway(g Gateway) error {
	plan, err := g.plan()
	if err != nil {
		return err
	}
	return h.apply(plan)
}

func (g Gateway) plan() ([]entry, error) {
	families := familiesOf(g.Pools, g.Addresses)
	if err := checkFamilies(families, g.MTU); err != nil {
		return nil, err
	}
	if (g.Masquerade || g.ClampMSS || g.Limits) && g.Table == "" {
		return nil, &ConfigError{Detail: "an nftables table needs a name"}
	}
	plan, err := planDevice(nil, g.Device, g.MTU, families)
	if err != nil {
		return nil, err
	}
	for _, a := range g.Addresses {
		if plan, err = planAddress(plan, g.Device, a); err != nil {
			return nil, err
		}
	}
	for _, p := range g.Pools {
		if plan, err = planRoute(plan, p.Masked(), g.Device, netip.Addr{}); err != nil {
			return nil, err
		}
	}
	if g.Masquerade || g.ClampMSS {
		t := &tableChange{Name: g.Table, pools: g.Pools, masquerade: g.Masquerade, clampMSS: g.ClampMSS}
		if !g.KernelESP {
			t.device = g.Device
		}
		plan = append(plan, entry{Table: t})
	}
	if g.Limits {
		plan = append(plan, entry{Table: &tableChange{Name: LimitsTable(g.Table)}})
	}
	if g.ProxyNDP && IPv6.Available() {
		if plan, err = planSysctl(plan, proxyNDP("all"), proxyNDPOn); err != nil {
			return nil, err
		}
	}
	// The machine becomes a router last, when all that restrains it is there.
	if g.Forward {
		for _, f := range families {
			if plan, err = planForwarding(plan, f, g.Device); err != nil {
				return nil, err
			}
		}
	}
	return plan, nil
}

// planDevice brings the link up; IPv6 may be switched off on new links.
func planDevice(plan []entry, device string, mtu int, families []Family) ([]entry, error) {
	plan, err := planLink(plan, device, mtu)
	if err != nil {
		return nil, err
	}
	for _, f := range families {
		if f == IPv6 {
			return planSysctl(plan, f.conf(device, "disable_ipv6"), "0")
		}
	}
	return plan, nil
}

func checkFamilies(families []Family, mtu int) error {
	for _, f := range families {
		if !f.Available() {
			return &ConfigError{Detail: fmt.Sprintf(
				"this kernel has no %v: boot it without ipv6.disable=1, or leave %v addresses out of the configuration", f, f)}
		}
		if f == IPv6 && mtu < minIPv6MTU {
			return &ConfigError{Detail: fmt.Sprintf(
				"MTU %d is below the %d octets that IPv6 needs: raise it, or leave IPv6 addresses out of the configuration", mtu, minIPv6MTU)}
		}
	}
	return nil
}

// Families gives those that occur among prefixes, IPv4 first.
func Families(prefixes []netip.Prefix) []Family { return familiesOf(prefixes, nil) }

// familiesOf gives the families that occur, IPv4 first.
func familiesOf(prefixes []netip.Prefix, addrs []netip.Addr) []Family {
	var has4, has6 bool
	for _, p := range prefixes {
		addrs = append(addrs[:len(addrs):len(addrs)], p.Addr())
	}
	for _, a := range addrs {
		has4, has6 = has4 || a.Is4(), has6 || a.Is6()
	}
	var families []Family
	if has4 {
		families = append(families, IPv4)
	}
	if has6 {
		families = append(families, IPv6)
	}
	return families
}
