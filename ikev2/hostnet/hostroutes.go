package hostnet

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// HostRoutes leads to the device the clients' addresses that no pool's route
// leads there: fixed ones from elsewhere. Its methods are safe for concurrent
// use and concern the network namespace of the calling thread.
//
// The routes are no journal's business: they carry a routing protocol of their
// own, by which the next OpenHostRoutes finds those of a process that crashed,
// and go with the device.
type HostRoutes struct {
	device string
	pools  []netip.Prefix
}

// hostRouteProtocol marks the routes: one of the numbers that the kernel leaves
// to programs, which none is known to use.
const hostRouteProtocol = 0x42

// OpenHostRoutes removes the routes that are left on the device, which must
// exist. The pools have routes there.
func OpenHostRoutes(device string, pools []netip.Prefix) (*HostRoutes, error) {
	link, err := findLink(device)
	if err != nil {
		return nil, err
	}
	for _, f := range []Family{IPv4, IPv6} {
		if !f.Available() {
			continue
		}
		left, err := netlink.RouteListFiltered(f.netlink(),
			&netlink.Route{LinkIndex: link.Attrs().Index, Protocol: hostRouteProtocol}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			return nil, failed(err, "list the routes over %s", device)
		}
		for _, r := range left {
			if err := netlink.RouteDel(&r); err != nil && !isGone(err) {
				return nil, failed(err, "delete the route to %v", r.Dst)
			}
		}
	}
	return &HostRoutes{device: device, pools: slices.Clone(pools)}, nil
}

// Add leads those of the addresses to the device that lie in no pool; zero ones
// are passed over. It leads all there or none. A route to the very address that
// is somebody else's is an *Error.
func (h *HostRoutes) Add(_ context.Context, addrs []netip.Addr) error {
	for i, a := range addrs {
		if !h.outside(a) {
			continue
		}
		route, err := h.route(a)
		if err == nil {
			err = netlink.RouteAdd(route)
		}
		if err != nil {
			return errors.Join(failed(err, "lead %v to %s", a, h.device), h.remove(addrs[:i]))
		}
	}
	return nil
}

// Remove takes the routes of the addresses away; those without one are passed
// over.
func (h *HostRoutes) Remove(_ context.Context, addrs []netip.Addr) error { return h.remove(addrs) }

func (h *HostRoutes) remove(addrs []netip.Addr) error {
	var errs []error
	for _, a := range addrs {
		if !h.outside(a) {
			continue
		}
		route, err := h.route(a)
		if err == nil {
			err = netlink.RouteDel(route)
		}
		if !isGone(err) {
			errs = append(errs, failed(err, "no longer lead %v to %s", a, h.device))
		}
	}
	return errors.Join(errs...)
}

func (h *HostRoutes) outside(a netip.Addr) bool {
	return a.IsValid() && !slices.ContainsFunc(h.pools, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (h *HostRoutes) route(a netip.Addr) (*netlink.Route, error) {
	link, err := netlink.LinkByName(h.device)
	if err != nil {
		return nil, err
	}
	return &netlink.Route{
		Dst: ipNet(netip.PrefixFrom(a, a.BitLen())), LinkIndex: link.Attrs().Index,
		Protocol: hostRouteProtocol, Scope: netlink.SCOPE_LINK, Table: unix.RT_TABLE_MAIN,
	}, nil
}
