package gateway

import (
	"bufio"
	"bytes"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Where a host says which name servers it uses. The second is the list behind
// systemd-resolved's stub, which listens on loopback alone.
var resolverFiles = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// publicResolvers are offered where the host has none that clients can reach
// (Quad9, filtering).
var publicResolvers = []netip.Addr{netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("2620:fe::fe")}

// hostResolvers gives the name servers of this host that clients can use, too:
// those of the first file that has any.
func hostResolvers(files []string) []netip.Addr {
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if list := nameservers(data); len(list) > 0 {
			return list
		}
	}
	return nil
}

// nameservers reads resolv.conf(5), leaving out addresses that mean something
// on this host alone.
func nameservers(data []byte) []netip.Addr {
	const most = 3 // MAXNS of resolv.conf(5)
	var list []netip.Addr
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan() && len(list) < most; {
		words := strings.Fields(s.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		a, err := netip.ParseAddr(words[1])
		if err != nil || a.Zone() != "" {
			continue
		}
		a = a.Unmap()
		if a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() || slices.Contains(list, a) {
			continue
		}
		list = append(list, a)
	}
	return list
}
