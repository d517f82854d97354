package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkChange brings a link up with an MTU.
type linkChange struct {
	Device string `json:"device"`
	MTU    int    `json:"mtu"` // octets
	WasUp  bool   `json:"was_up"`
	OldMTU int    `json:"old_mtu"`
}

func (c *linkChange) String() string { return fmt.Sprintf("%s up, MTU %d", c.Device, c.MTU) }

func (c *linkChange) apply() error {
	link, err := findLink(c.Device)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetMTU(link, c.MTU); err != nil {
		return failed(err, "set the MTU of %s to %d", c.Device, c.MTU)
	}
	return failed(netlink.LinkSetUp(link), "bring %s up", c.Device)
}

func (c *linkChange) undo() error {
	link, err := netlink.LinkByName(c.Device)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return failed(err, "find the link %s", c.Device)
	}
	var errs []error
	if link.Attrs().MTU == c.MTU {
		errs = append(errs, failed(netlink.LinkSetMTU(link, c.OldMTU), "set the MTU of %s back to %d", c.Device, c.OldMTU))
	}
	if !c.WasUp {
		errs = append(errs, failed(netlink.LinkSetDown(link), "take %s down", c.Device))
	}
	return errors.Join(errs...)
}

func planLink(plan []entry, device string, mtu int) ([]entry, error) {
	link, err := findLink(device)
	if err != nil {
		return nil, err
	}
	a := link.Attrs()
	return append(plan, entry{Link: &linkChange{
		Device: device, MTU: mtu, OldMTU: a.MTU, WasUp: a.Flags&net.FlagUp != 0,
	}}), nil
}

func findLink(device string) (netlink.Link, error) {
	link, err := netlink.LinkByName(device)
	return link, failed(err, "find the link %s", device)
}

// isGone tells whether what was to be undone is not there any more.
func isGone(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ESRCH) ||
		errors.Is(err, syscall.EADDRNOTAVAIL)
}

// addressChange gives a link an address of its own, without a prefix route.
type addressChange struct {
	Device  string     `json:"device"`
	Address netip.Addr `json:"address"`
}

func (c *addressChange) String() string { return fmt.Sprintf("address %v on %s", c.Address, c.Device) }

func (c *addressChange) apply() error {
	link, err := findLink(c.Device)
	if err != nil {
		return err
	}
	return failed(netlink.AddrAdd(link, c.netlink()), "give %s the address %v", c.Device, c.Address)
}

func (c *addressChange) undo() error {
	link, err := netlink.LinkByName(c.Device)
	if err == nil {
		err = netlink.AddrDel(link, c.netlink())
	}
	if isGone(err) {
		return nil
	}
	return failed(err, "take the address %v from %s", c.Address, c.Device)
}

// planAddress plans an address that the link does not have yet.
func planAddress(plan []entry, device string, a netip.Addr) ([]entry, error) {
	link, err := findLink(device)
	if err != nil {
		return nil, err
	}
	existing, err := netlink.AddrList(link, familyOf(a).netlink())
	if err != nil {
		return nil, failed(err, "list the addresses of %s", device)
	}
	for _, e := range existing {
		if e.IP.Equal(a.AsSlice()) {
			return plan, nil
		}
	}
	return append(plan, entry{Address: &addressChange{Device: device, Address: a}}), nil
}

// netlink has no duplicate address detection: nobody else is on the link.
func (c *addressChange) netlink() *netlink.Addr {
	a := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(c.Address, c.Address.BitLen()))}
	if c.Address.Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

// routeChange adds a route to the main table.
type routeChange struct {
	Destination netip.Prefix `json:"destination"`
	Device      string       `json:"device"`
	Via         netip.Addr   `json:"via,omitzero"` // zero: on the link itself
}

func (c *routeChange) String() string {
	if c.Via.IsValid() {
		return fmt.Sprintf("route %v via %v dev %s", c.Destination, c.Via, c.Device)
	}
	return fmt.Sprintf("route %v dev %s", c.Destination, c.Device)
}

func (c *routeChange) apply() error {
	route, err := c.netlink()
	if err == nil {
		err = netlink.RouteAdd(route)
	}
	return failed(err, "add the %v", c)
}

func (c *routeChange) undo() error {
	route, err := c.netlink()
	if err == nil {
		err = netlink.RouteDel(route)
	}
	if isGone(err) {
		return nil
	}
	return failed(err, "delete the %v", c)
}

func (c *routeChange) netlink() (*netlink.Route, error) {
	link, err := netlink.LinkByName(c.Device)
	if err != nil {
		return nil, err
	}
	r := &netlink.Route{
		Dst: ipNet(c.Destination), LinkIndex: link.Attrs().Index,
		Protocol: unix.RTPROT_STATIC, Scope: netlink.SCOPE_LINK,
	}
	if c.Via.IsValid() {
		r.Gw, r.Scope = c.Via.AsSlice(), netlink.SCOPE_UNIVERSE
	}
	return r, nil
}

// planRoute plans a route to p over device, unless there is one already: that
// is somebody else's, and not ours to delete.
func planRoute(plan []entry, p netip.Prefix, device string, via netip.Addr) ([]entry, error) {
	link, err := findLink(device)
	if err != nil {
		return nil, err
	}
	existing, err := netlink.RouteListFiltered(familyOf(p.Addr()).netlink(),
		&netlink.Route{Dst: ipNet(p), LinkIndex: link.Attrs().Index}, netlink.RT_FILTER_DST|netlink.RT_FILTER_OIF)
	if err != nil {
		return nil, failed(err, "list the routes to %v", p)
	}
	if len(existing) > 0 {
		return plan, nil
	}
	return append(plan, entry{Route: &routeChange{Destination: p, Device: device, Via: via}}), nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
