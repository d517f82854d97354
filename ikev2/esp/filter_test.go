package esp

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"bridgehead/auth"
)

func filterOf(t testing.TB, rules ...string) *Filter {
	t.Helper()
	f, err := auth.ParseFilter(rules)
	if err != nil {
		t.Fatal(err)
	}
	return NewFilter(f)
}

// inner is an IP packet with a header of its upper layer's own.
func inner(from, to string, protocol uint8, header []byte) []byte {
	a, b := netip.MustParseAddr(from), netip.MustParseAddr(to)
	p := make([]byte, ipv4HeaderLen, 80)
	if a.Is4() {
		p[0], p[9] = 0x45, protocol
		copy(p[12:], append(a.AsSlice(), b.AsSlice()...))
	} else {
		p = p[:ipv6HeaderLen]
		p[0], p[6] = 0x60, protocol
		copy(p[8:], append(a.AsSlice(), b.AsSlice()...))
	}
	return append(p, header...)
}

// segment is a TCP header.
func segment(source, destination uint16, flags byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, source)
	binary.BigEndian.PutUint16(b[2:], destination)
	b[12], b[tcpFlagsOffset] = 5<<4, flags
	return b
}

const (
	client4, client6 = "10.1.0.7", "2001:db8:1::7"
	server4, server6 = "192.0.2.9", "2001:db8:2::9"
)

func TestFilter(t *testing.T) {
	at := func(p []byte, offset byte) []byte { // a fragment of IPv4, in units of 8 octets
		p[7] = offset
		return p
	}
	syn, ack := segment(4000, 25, tcpSYN), segment(25, 4000, tcpACK)
	fragment6 := func(offset uint16, header []byte) []byte {
		h := []byte{protocolTCP, 0, byte(offset >> 5), byte(offset << 3), 0, 0, 0, 1}
		return inner(client6, server6, ipv6Fragment, append(h, header...))
	}
	afterOptions := func(header []byte) []byte { // the first of several, with options before the header
		h := []byte{ipv6Destination, 0, 0, 1, 0, 0, 0, 1, protocolTCP, 1, 1, 12, 15: 0, 23: 0}
		return inner(client6, server6, ipv6Fragment, append(h, header...))
	}
	for _, c := range []struct {
		name   string
		rules  []string
		out    bool
		packet []byte
		passes bool
	}{
		{"no rules", nil, false, inner(client4, server4, protocolTCP, syn), true},
		{"permitted", []string{"permit in ip from any to 192.0.2.0/24"}, false, inner(client4, server4, protocolTCP, syn), true},
		{"beyond the prefix", []string{"permit in ip from any to 192.0.2.0/29"}, false, inner(client4, server4, protocolTCP, syn), false},
		{"rules of the other direction", []string{"permit in ip from any to 192.0.2.0/29"}, true, inner(server4, client4, protocolTCP, ack), true},
		{"of another family", []string{"permit in ip from any to 0.0.0.0/0"}, false, inner(client6, server6, protocolTCP, syn), false},
		{"IPv6", []string{"permit in ip from 2001:db8:1::/48 to 2001:db8:2::9"}, false, inner(client6, server6, protocolTCP, syn), true},
		{"IPv6 beyond the prefix", []string{"permit in ip from any to 2001:db8:2::8"}, false, inner(client6, server6, protocolTCP, syn), false},
		{"IPv6 prefix of less than 64 bits", []string{"permit in ip from any to 2001:db8::/47"}, false, inner(client6, server6, protocolTCP, syn), false},
		{"any of IPv6", []string{"permit in ip from any to ::/0"}, false, inner(client6, server6, protocolTCP, syn), true},
		{"what a deny leaves passes", []string{"deny in tcp from any to any 80"}, false, inner(client4, server4, protocolTCP, syn), true},
		{"denied port", []string{"deny in tcp from any to any 20-25,80"}, false, inner(client4, server4, protocolTCP, syn), false},
		{"denied source port", []string{"deny out tcp from any 25 to any"}, true, inner(server4, client4, protocolTCP, ack), false},
		{"other protocol", []string{"deny in tcp from any to any 25"}, false, inner(client4, server4, protocolUDP, syn), true},
		{"the first rule counts", []string{"deny in ip from any to 192.0.2.9", "permit in ip from any to any"}, false, inner(client4, server4, protocolTCP, syn), false},
		{"the second does for others", []string{"deny in ip from any to 192.0.2.8", "permit in ip from any to any"}, false, inner(client4, server4, protocolTCP, syn), true},
		{"not that network", []string{"permit in ip from any to !192.0.2.0/24"}, false, inner(client4, server4, protocolTCP, syn), false},
		{"not that network, another", []string{"permit in ip from any to !192.0.2.0/24"}, false, inner(client4, "198.51.100.1", protocolTCP, syn), true},
		{"not that network, another family", []string{"permit in ip from any to !192.0.2.0/24"}, false, inner(client6, server6, protocolTCP, syn), false},
		{"assigned to nobody", []string{"permit in ip from assigned to any"}, false, inner(client4, server4, protocolTCP, syn), false},
		{"established", []string{"permit out tcp from any to any established"}, true, inner(server4, client4, protocolTCP, ack), true},
		{"not established", []string{"permit out tcp from any to any established"}, true, inner(server4, client4, protocolTCP, syn), false},
		{"reset", []string{"permit out tcp from any to any established"}, true, inner(server4, client4, protocolTCP, segment(1, 2, tcpRST)), true},
		{"setup", []string{"permit out tcp from any to any setup"}, true, inner(server4, client4, protocolTCP, syn), true},
		{"setup answered", []string{"permit out tcp from any to any setup"}, true, inner(server4, client4, protocolTCP, segment(1, 2, tcpSYN|tcpACK)), false},
		{"protocol by number", []string{"permit in 47 from any to any"}, false, inner(client4, server4, 47, nil), true},
		{"a later fragment has no port", []string{"permit in tcp from any to any 25"}, false, at(inner(client4, server4, protocolTCP, syn), 8), false},
		{"a later fragment and rules without ports", []string{"permit in tcp from any to any"}, false, at(inner(client4, server4, protocolTCP, syn), 8), true},
		{"a fragment over the header", []string{"permit in tcp from any to any"}, false, at(inner(client4, server4, protocolTCP, syn), 1), false},
		{"IPv6 fragment, the first", []string{"deny in tcp from any to any 25"}, false, fragment6(0, syn), false},
		{"IPv6 fragment, a later one", []string{"deny in tcp from any to any 25"}, false, fragment6(8, syn), true},
		{"IPv6 fragment over the header", []string{"deny in tcp from any to any 25"}, false, fragment6(1, syn), false},
		{"IPv6 fragment that hides the header", []string{"deny in tcp from any to any 25"}, false, fragment6(0, nil), false},
		{"IPv6 with a chain cut off", []string{"deny in tcp from any to any 25"}, false, inner(client6, server6, ipv6HopByHop, []byte{protocolTCP, 9}), false},
		{"IPv6 fragment that hides the flags", []string{"deny in tcp from any to any setup"}, false, afterOptions(syn[:8]), false},
		{"IPv6 fragment that shows the flags", []string{"deny in tcp from any to any setup"}, false, afterOptions(ack), true},
		{"TCP without flags", []string{"deny in tcp from any to any 80"}, false, inner(client4, server4, protocolTCP, syn[:8]), false},
		{"TCP without ports", []string{"deny in tcp from any to any 25"}, false, inner(client4, server4, protocolTCP, syn[:3]), false},
		{"no IP packet", []string{"deny in tcp from any to any 25"}, false, []byte{0x45}, false},
	} {
		f := filterOf(t, c.rules...)
		check := f.In
		if c.out {
			check = f.Out
		}
		if err := check(c.packet); (err == nil) != c.passes {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestFilterAgainstNaiveComparison compiles prefixes of any length.
func TestFilterAgainstNaiveComparison(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		addr := func(name string) netip.Addr {
			b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xff}), 16, 16).Draw(rt, name)
			if rapid.Bool().Draw(rt, name+" is IPv4") {
				return netip.AddrFrom4([4]byte(b))
			}
			return netip.AddrFrom16([16]byte(b))
		}
		in := addr("prefix")
		prefix := netip.PrefixFrom(in, rapid.IntRange(0, in.BitLen()).Draw(rt, "bits")).Masked()
		not := rapid.Bool().Draw(rt, "not")
		to := addr("destination")
		if to.Is4In6() || prefix.Addr().Is4In6() {
			return
		}
		from := server6
		if to.Is4() {
			from = server4
		}
		f := NewFilter([]auth.FilterRule{{To: auth.FilterEnd{Prefix: prefix, Not: not}}})
		want := to.Is4() == prefix.Addr().Is4() && prefix.Contains(to) != not
		if err := f.In(inner(from, to.String(), protocolUDP, make([]byte, 8))); (err == nil) != want {
			rt.Fatalf("%v to %v (not %v): %v", prefix, to, not, err)
		}
	})
}

func FuzzFilter(f *testing.F) {
	f.Add("permit in tcp from any to 192.0.2.0/24 25 established", inner(client4, server4, protocolTCP, segment(1, 25, tcpACK)))
	f.Add("deny out udp from !2001:db8::/32 53 to any", inner(server6, client6, protocolUDP, make([]byte, 8)))
	f.Fuzz(func(t *testing.T, rule string, packet []byte) {
		r, err := auth.ParseFilterRule(rule)
		if err != nil {
			return
		}
		opposite := r
		opposite.Deny = !r.Deny
		one, other := NewFilter([]auth.FilterRule{r}), NewFilter([]auth.FilterRule{opposite})
		check, against := one.In, other.In
		if r.Out {
			check, against = one.Out, other.Out
		}
		if check(packet) == nil && against(packet) == nil {
			t.Fatalf("a rule and its opposite both pass %x", packet)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	rules := make([]string, 0, 16)
	for range 15 {
		rules = append(rules, "deny in tcp from any to 198.51.100.0/24 25")
	}
	f := filterOf(b, append(rules, "permit in ip from any to any")...)
	p := inner(client4, server4, protocolTCP, segment(1, 2, tcpACK))
	b.ReportAllocs()
	for b.Loop() {
		if err := f.In(p); err != nil {
			b.Fatal(err)
		}
	}
}
