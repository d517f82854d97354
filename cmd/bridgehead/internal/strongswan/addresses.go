package strongswan

import (
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"bridgehead/ikev2/lease"
)

// words splits a list at its commas.
func words(list string) []string {
	var ws []string
	for w := range strings.SplitSeq(list, ",") {
		if w = strings.TrimSpace(w); w != "" {
			ws = append(ws, w)
		}
	}
	return ws
}

// listed gives the words of a directive that names something. Commas alone name
// nothing: an empty list means another thing in bridgehead, often everything.
func (t *translator) listed(e *entry) []string {
	ws := words(e.value)
	if len(ws) == 0 {
		t.addEmpty(e)
	}
	return ws
}

// left is where the gateway listens.
func left(t *translator, e *entry) {
	var addresses []string
	for _, w := range t.listed(e) {
		a, err := netip.ParseAddr(w)
		switch {
		case err == nil && !a.IsUnspecified():
			addresses = append(addresses, a.String())
		case err == nil, w == "%any", w == "%defaultroute":
			e.taken("the gateway listens on every address")
			return
		default:
			e.unsupported("the gateway listens on every address: %s is no single one; name addresses in server.listen to limit it", w)
			return
		}
	}
	t.setList(e, "server.listen", addresses)
}

// localPort is the UDP port of IKE.
func localPort(t *translator, e *entry) {
	n, err := strconv.ParseUint(e.value, 10, 16)
	switch {
	case err != nil || n == 0:
		t.add(e.valueAt, "%s: expected a port from 1 to 65535", e.Name)
	case n == 500:
		e.taken("server.ike_port = 500, the default")
	default:
		t.set(e, "server.ike_port", strconv.FormatUint(n, 10))
	}
}

// leftSubnet is what clients may reach. No part of it is left out in silence:
// an empty list would mean everything.
func leftSubnet(t *translator, e *entry) {
	var prefixes []string
	everything := map[string]bool{}
	for _, w := range t.listed(e) {
		if w == "%dynamic" || w == "dynamic" {
			t.add(e.valueAt, "%s: %s is the gateway's own address; expected the prefixes that clients may reach", e.Name, w)
			return
		}
		p, err := parseSubnet(w)
		if err != nil {
			t.add(e.valueAt, "%s: expected prefixes such as 10.0.0.0/8 separated by commas, without protocols and ports: %q is none", e.Name, w)
			return
		}
		everything[p.String()] = p.Bits() == 0
		prefixes = append(prefixes, p.String())
	}
	if everything["0.0.0.0/0"] && everything["::/0"] {
		e.taken("clients may reach everything, IPv4 and IPv6, the default of addresses.subnets")
		return
	}
	t.setList(e, "addresses.subnets", prefixes)
}

// parseSubnet reads a prefix, or an address as the prefix that holds it alone.
// As in strongSwan, bits behind the length don't count.
func parseSubnet(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return a.Prefix(a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// pools is where clients' addresses come from.
func pools(t *translator, e *entry) {
	if list, ok := t.parsePools(e); ok {
		t.addList(e, "addresses.pools", list)
	}
}

// parsePools reads prefixes, ranges and single addresses.
func (t *translator) parsePools(e *entry) (list []string, ok bool) {
	for _, w := range t.listed(e) {
		if strings.HasPrefix(w, "%") {
			t.add(e.valueAt, "%s: %q takes addresses from elsewhere, which isn't supported yet; expected a prefix such as 192.0.2.0/25 or a range such as 192.0.2.10-192.0.2.99", e.Name, w)
			return nil, false
		}
		pool, err := parsePool(w)
		if err != nil {
			t.add(e.valueAt, "%s: expected a prefix such as 192.0.2.0/25 or a range such as 192.0.2.10-192.0.2.99: %v", e.Name, err)
			return nil, false
		}
		list = append(list, pool)
	}
	return list, len(list) > 0
}

// parsePool gives a pool as bridgehead writes it. A prefix with host bits is a
// pool that begins at that address and ends before the prefix's last one.
func parsePool(s string) (string, error) {
	p, err := netip.ParsePrefix(s)
	if err == nil && p != p.Masked() && !p.Addr().Is4In6() {
		whole, err := lease.RangeOf(p.Masked())
		if err != nil {
			return "", err
		}
		first := p.Addr()
		if whole.Last.Less(first) {
			whole.Last = first
		}
		return lease.Range{First: first, Last: whole.Last}.String(), nil
	}
	r, err := lease.ParseRange(s)
	if err != nil {
		return "", err
	}
	if strings.Contains(s, "/") {
		return s, nil
	}
	return r.String(), nil
}

// nameServers is the list of DNS servers.
func nameServers(t *translator, e *entry) {
	var list []string
	for _, w := range t.listed(e) {
		a, err := netip.ParseAddr(w)
		if err != nil || a.Zone() != "" {
			t.add(e.valueAt, "%s: expected addresses of name servers separated by commas: %q is none", e.Name, w)
			return
		}
		list = append(list, a.String())
	}
	t.addList(e, "addresses.dns", list)
}

// leftUpDown is the script that hears of sessions. strongSwan hands the value
// to a shell; bridgehead runs a program and nothing else.
func leftUpDown(t *translator, e *entry) {
	switch {
	case strings.HasPrefix(e.value, "ipsec _updown"), filepath.Base(e.value) == "_updown":
		e.unsupported("strongSwan's own script belongs to its data plane; let your firewall forward the pools, see dataplane.forward and nat.masquerade")
	case !filepath.IsAbs(e.value), strings.ContainsAny(e.value, " \t\n$`;|&<>\"'"):
		e.unsupported("expected a program by its whole path, without arguments: put the command into a script of its own and name that in hooks.updown")
	default:
		if asLater("leftupdown")(t, e); e.Outcome != TakenOver {
			return
		}
		e.taken("where all it does is to answer ARP and NDP for clients, addresses.announce = \"INTERFACE\" does without it")
	}
}
