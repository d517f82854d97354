package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// hostAddress is an address of this host with its network.
type hostAddress struct {
	netip.Prefix
	place    place
	fleeting bool // gone tomorrow: a privacy address (RFC 8981), or a deprecated one
}

// place tells how likely clients reach an address.
type place uint8

const (
	onRealLink place = iota
	onVirtualLink
	onLoopback // or on a link that is down
)

// hostAddresses lists the addresses of this host.
func hostAddresses() ([]hostAddress, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("links of this host: %w", err)
	}
	places := make(map[int]place, len(links))
	for _, l := range links {
		places[l.Attrs().Index] = placeOf(l)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("addresses of this host: %w", err)
	}
	var list []hostAddress
	for _, a := range addrs {
		addr, ok := netip.AddrFromSlice(a.IP)
		bits, _ := a.Mask.Size()
		if !ok || bits < 0 {
			continue
		}
		list = append(list, hostAddress{
			Prefix: netip.PrefixFrom(addr.Unmap(), bits), place: places[a.LinkIndex],
			fleeting: a.Flags&(unix.IFA_F_TEMPORARY|unix.IFA_F_DEPRECATED) != 0,
		})
	}
	return list, nil
}

// placeOf judges a link. A bridge, as container engines make them, leads to
// machines inside this one.
func placeOf(l netlink.Link) place {
	flags := l.Attrs().Flags
	if flags&net.FlagLoopback != 0 || flags&net.FlagUp == 0 {
		return onLoopback
	}
	switch l.Type() {
	case "bridge", "dummy", "tun", "tuntap", "wireguard":
		return onVirtualLink
	}
	return onRealLink
}

// networks are the prefixes of the addresses.
func networks(list []hostAddress) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(list))
	for i, a := range list {
		prefixes[i] = a.Prefix
	}
	return prefixes
}

// reachable picks the addresses that clients may dial, the likeliest first:
// those the routes to the world leave by, then those of global scope by the
// kind of link, IPv4 first.
func reachable(list []hostAddress, outward []netip.Addr) []netip.Addr {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b hostAddress) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()))
	})
	var global []netip.Addr
	for _, p := range list {
		if a := p.Addr(); a.IsGlobalUnicast() && !p.fleeting && !slices.Contains(global, a) {
			global = append(global, a)
		}
	}
	var picked []netip.Addr
	for _, a := range slices.Concat(outward, global) {
		if slices.Contains(global, a) && !slices.Contains(picked, a) {
			picked = append(picked, a)
		}
	}
	return picked
}

// outward are the addresses this host uses towards the world, IPv4 first.
// Connecting a UDP socket sends nothing.
func outward() []netip.Addr {
	var list []netip.Addr
	for _, remote := range []string{"198.51.100.1:4500", "[2001:db8::1]:4500"} {
		c, err := net.Dial("udp", remote)
		if err != nil {
			continue
		}
		list = append(list, c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap())
		_ = c.Close() // nothing was sent
	}
	return list
}

// shared is what providers use between their customers and themselves
// (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// private tells whether an address means nothing in the internet.
func private(a netip.Addr) bool { return a.IsPrivate() || shared.Contains(a) }

// freePools picks an IPv4 /24 and an IPv6 /64 for clients that none of the
// host's networks touches. The IPv6 one is a unique local prefix drawn at
// random, as RFC 4193 §3.2.2 has it.
func freePools(taken []netip.Prefix, random io.Reader) (v4, v6 netip.Prefix, err error) {
	free := func(p netip.Prefix) bool {
		return !slices.ContainsFunc(taken, func(t netip.Prefix) bool { return t.Overlaps(p) })
	}
	const tries = 64
	for range tries {
		var b [7]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return v4, v6, fmt.Errorf("random octets: %w", err)
		}
		if p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, b[5], b[6], 0}), 24); !v4.IsValid() && free(p) {
			v4 = p
		}
		ula := [16]byte{0xfd, b[0], b[1], b[2], b[3], b[4]}
		if p := netip.PrefixFrom(netip.AddrFrom16(ula), 64); !v6.IsValid() && free(p) {
			v6 = p
		}
		if v4.IsValid() && v6.IsValid() {
			return v4, v6, nil
		}
	}
	return v4, v6, errors.New("all of 10.0.0.0/8 is in use on this host; choose the clients' addresses with --pool")
}
