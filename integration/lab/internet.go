package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// Internet is a router that gives each machine that joins it a network of its
// own, IPv4 and IPv6, and a way to all the others.
type Internet struct {
	*Namespace
	joined int
}

// Internet makes one.
func (l *Lab) Internet() *Internet {
	l.t.Helper()
	i := &Internet{Namespace: l.Namespace("net")}
	i.Forward()
	return i
}

// Uplink is a machine's place in the internet.
type Uplink struct {
	IPv4, IPv6 netip.Addr
	Link       string // the machine's interface
	RouterLink string // the internet's end of it
}

// Join gives a machine addresses and default routes.
func (i *Internet) Join(n *Namespace) Uplink {
	n.t.Helper()
	i.joined++
	v4 := func(host int) string { return fmt.Sprintf("10.77.%d.%d", i.joined, host) }
	v6 := func(host int) string { return fmt.Sprintf("fd00:77:%x::%x", i.joined, host) }
	router, link := n.lab.Link(i.Namespace, []string{v4(1) + "/24", v6(1) + "/64"}, n, []string{v4(2) + "/24", v6(2) + "/64"})
	n.Run("ip", "route", "add", "default", "via", v4(1))
	n.Run("ip", "-6", "route", "add", "default", "via", v6(1))
	return Uplink{netip.MustParseAddr(v4(2)), netip.MustParseAddr(v6(2)), link, router}
}

// Rules loads nftables rules, such as a table, into the machine.
func (n *Namespace) Rules(text string) {
	n.t.Helper()
	cmd := n.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("%s: nft: %v\n%s\n%s", n.Name, err, out, text)
	}
}

// Octets reads how many octets a named nftables counter has seen.
func (n *Namespace) Octets(t testing.TB, family, table, counter string) uint64 {
	t.Helper()
	text := n.Run("nft", "list", "counter", family, table, counter)
	var packets, octets uint64
	at := max(strings.Index(text, "packets "), 0)
	if _, err := fmt.Sscanf(text[at:], "packets %d bytes %d", &packets, &octets); err != nil {
		t.Fatalf("counter %s: %v in %q", counter, err, text)
	}
	return octets
}
