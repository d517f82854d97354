package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
)

// hostPrefixes lists the networks this host has an address in, those of the
// loopback interface last.
func hostPrefixes() ([]netip.Prefix, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("interfaces of this host: %w", err)
	}
	var outside, inside []netip.Prefix
	for _, i := range interfaces {
		list, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range list {
			switch p, ok := prefixOf(a); {
			case !ok:
			case i.Flags&net.FlagLoopback != 0:
				inside = append(inside, p)
			default:
				outside = append(outside, p)
			}
		}
	}
	return append(outside, inside...), nil
}

// prefixOf is an interface's address with its network.
func prefixOf(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	if addr = addr.Unmap(); addr.BitLen() < size {
		bits -= size - addr.BitLen()
	}
	return netip.PrefixFrom(addr, bits), ok
}

// reachable picks the addresses that clients may dial: those of global scope.
func reachable(prefixes []netip.Prefix) []netip.Addr {
	var list []netip.Addr
	for _, p := range prefixes {
		if a := p.Addr(); a.IsGlobalUnicast() && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// outward is the address this host would use towards the world, IPv4 first.
// Connecting a UDP socket sends nothing.
func outward() netip.Addr {
	for _, remote := range []string{"198.51.100.1:4500", "[2001:db8::1]:4500"} {
		c, err := net.Dial("udp", remote)
		if err != nil {
			continue
		}
		local := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		_ = c.Close() // nothing was sent
		if local.IsGlobalUnicast() {
			return local
		}
	}
	return netip.Addr{}
}

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
