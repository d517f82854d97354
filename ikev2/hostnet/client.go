package hostnet

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Client is what the machine of a client needs. Name servers are the caller's
// business.
type Client struct {
	Device    string         // the TUN link, which must exist
	MTU       int            // of Device, in octets
	Addresses []netip.Addr   // the inner addresses assigned
	Routes    []netip.Prefix // what the gateway lets the client reach
	Gateway   netip.Addr     // the gateway's outer address, kept out of the tunnel
}

// ApplyClient makes the changes that c needs. If it fails, those made so far
// stay until Close.
func (h *Host) ApplyClient(c Client) error {
	plan, err := c.plan()
	if err != nil {
		return err
	}
	return h.apply(plan)
}

func (c Client) plan() ([]entry, error) {
	families := familiesOf(c.Routes, c.Addresses)
	if err := checkFamilies(families, c.MTU); err != nil {
		return nil, err
	}
	var plan []entry
	var err error
	if c.covers(c.Gateway) {
		if plan, err = planException(plan, c.Gateway); err != nil {
			return nil, err
		}
	}
	if plan, err = planDevice(plan, c.Device, c.MTU, families); err != nil {
		return nil, err
	}
	for _, a := range c.Addresses {
		if plan, err = planAddress(plan, c.Device, a); err != nil {
			return nil, err
		}
	}
	for _, p := range c.Routes {
		for _, part := range besideDefault(p.Masked()) {
			if plan, err = planRoute(plan, part, c.Device, netip.Addr{}); err != nil {
				return nil, err
			}
		}
	}
	return plan, nil
}

func (c Client) covers(a netip.Addr) bool {
	for _, p := range c.Routes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// besideDefault halves a default route, so that it wins over the machine's own
// without replacing it.
func besideDefault(p netip.Prefix) []netip.Prefix {
	if p.Bits() != 0 {
		return []netip.Prefix{p}
	}
	upper := p.Addr().AsSlice()
	upper[0] = 0x80
	second, _ := netip.AddrFromSlice(upper)
	return []netip.Prefix{netip.PrefixFrom(p.Addr(), 1), netip.PrefixFrom(second, 1)}
}

// planException plans a host route that keeps to the way that packets for a
// take now. A gateway on this very machine needs none.
func planException(plan []entry, a netip.Addr) ([]entry, error) {
	routes, err := netlink.RouteGet(a.AsSlice())
	if err != nil {
		return nil, failed(err, "find the way to the gateway %v", a)
	}
	way := routes[0]
	if way.Type != unix.RTN_UNICAST {
		return plan, nil
	}
	link, err := netlink.LinkByIndex(way.LinkIndex)
	if err != nil {
		return nil, failed(err, "find the link towards the gateway %v", a)
	}
	via, _ := netip.AddrFromSlice(way.Gw)
	return planRoute(plan, netip.PrefixFrom(a, a.BitLen()), link.Attrs().Name, via.Unmap())
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}
