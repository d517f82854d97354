package esp

import (
	"encoding/binary"
	"math/big"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"bridgehead/ikev2/message"
)

func addressRange(from, to string) message.Selector {
	return message.Selector{EndPort: 65535, Start: netip.MustParseAddr(from), End: netip.MustParseAddr(to)}
}

func transportRange(from, to string, protocol uint8, first, last uint16) message.Selector {
	s := addressRange(from, to)
	s.Protocol, s.StartPort, s.EndPort = protocol, first, last
	return s
}

// everything is a full tunnel for a peer with the inner addresses given.
func everything(peer ...string) *Child {
	c := &Child{Local: []message.Selector{
		addressRange("0.0.0.0", "255.255.255.255"),
		addressRange("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	}}
	for _, a := range peer {
		c.Remote = append(c.Remote, addressRange(a, a))
	}
	return c
}

func TestPolicyHoldsBothDirectionsToTheSelectors(t *testing.T) {
	full := everything("192.0.2.1", "2001:db8::1")
	split := &Child{
		Local:  []message.Selector{addressRange("198.51.100.0", "198.51.100.6")},
		Remote: full.Remote,
	}
	dns := &Child{
		Local:  []message.Selector{transportRange("198.51.100.7", "198.51.100.7", 17, 53, 53), transportRange("2001:db8:1::", "2001:db8:1::ff", 17, 53, 53)},
		Remote: full.Remote,
	}
	ping := &Child{
		Local:  []message.Selector{transportRange("198.51.100.7", "198.51.100.7", 1, 8<<8, 8<<8|255)},
		Remote: full.Remote,
	}
	nothing := &Child{Remote: []message.Selector{{Raw: &message.RawSelector{Kind: 9}}}, Local: full.Local}

	v4, v6 := ipv4Packet(60), ipv6Packet(80)
	with := func(p []byte, edit func(p []byte)) []byte {
		p = append([]byte(nil), p...)
		edit(p)
		return p
	}
	toPort := func(p []byte, header int, port uint16) []byte {
		return with(p, func(p []byte) { binary.BigEndian.PutUint16(p[header+2:], port) })
	}
	extended := with(ipv6Packet(96), func(p []byte) {
		p[6] = 60 // destination options, then hop-by-hop again, then UDP
		copy(p[40:], []byte{0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0, 9, 9, 0, 53})
	})
	fragment := func(offset byte) []byte {
		return with(ipv6Packet(96), func(p []byte) {
			p[6] = 44
			copy(p[40:], []byte{17, 0, 0, offset, 0, 0, 0, 1, 9, 9, 0, 53})
		})
	}
	for _, c := range []struct {
		name   string
		child  *Child
		packet []byte
		want   error
	}{
		{"full tunnel, IPv4", full, v4, nil},
		{"full tunnel, IPv6", full, v6, nil},
		{"source of another client", full, with(v4, func(p []byte) { p[15] = 2 }), ErrSelector},
		{"IPv6 source of another client", full, with(v6, func(p []byte) { p[23] = 2 }), ErrSelector},
		{"destination outside a split tunnel", split, v4, ErrSelector},
		{"destination in it", split, with(v4, func(p []byte) { p[19] = 6 }), nil},
		{"family that has no selector", split, v6, ErrSelector},
		{"port allowed", dns, toPort(v4, 20, 53), nil},
		{"port not allowed", dns, toPort(v4, 20, 54), ErrSelector},
		{"protocol not allowed", dns, with(toPort(v4, 20, 53), func(p []byte) { p[9] = 6 }), ErrSelector},
		{"IPv4 options before the port", dns, with(toPort(v4, 28, 53), func(p []byte) { p[0] = 0x47 }), nil},
		{"later fragment shows no port", dns, with(toPort(v4, 20, 53), func(p []byte) { p[7] = 1 }), ErrSelector},
		{"header length lies", dns, with(toPort(v4, 20, 53), func(p []byte) { p[0] = 0x4f; p[0] = 0x44 }), ErrSelector},
		{"IPv6 port allowed", dns, toPort(v6, 40, 53), nil},
		{"IPv6 extension headers", dns, extended, nil},
		{"IPv6 first fragment", dns, fragment(1), nil},
		{"IPv6 later fragment", dns, fragment(8), ErrSelector},
		{"IPv6 chain cut off", dns, extended[:50], ErrSelector},
		{"echo request", ping, with(v4, func(p []byte) { p[9], p[20], p[21] = 1, 8, 0 }), nil},
		{"echo reply", ping, with(v4, func(p []byte) { p[9], p[20], p[21] = 1, 0, 0 }), ErrSelector},
		{"unknown selector matches nothing", nothing, v4, ErrSelector},
		{"no packet", full, nil, ErrInnerPacket},
		{"version 5", full, with(v4, func(p []byte) { p[0] = 0x55 }), ErrInnerPacket},
		{"short IPv6", full, v6[:39], ErrInnerPacket},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := NewPolicy(c.child).In(c.packet); got != c.want {
				t.Errorf("In: %v, want %v", got, c.want)
			}
			mirrored := &Child{Local: c.child.Remote, Remote: c.child.Local}
			if got := NewPolicy(mirrored).Out(c.packet); got != c.want {
				t.Errorf("Out with the ends exchanged: %v, want %v", got, c.want)
			}
		})
	}
}

func TestEndlessExtensionHeadersEnd(t *testing.T) {
	p := ipv6Packet(2000)
	p[6] = 60
	for at := 40; at < len(p); at += 8 {
		copy(p[at:], []byte{60, 0, 1, 4, 0, 0, 0, 0})
	}
	c := &Child{Local: []message.Selector{transportRange("::", "ffff::", 17, 0, 65535)}, Remote: everything("2001:db8::1").Remote}
	if err := NewPolicy(c).In(p); err != ErrSelector {
		t.Errorf("got %v", err)
	}
}

// Match against whole-number comparison of addresses.
func TestSelectorsAgainstNaiveComparison(t *testing.T) {
	number := func(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "v4") {
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 127, 255}), 4, 4).Draw(t, "a")))
		}
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 127, 255}), 16, 16).Draw(t, "a")))
	})
	rapid.Check(t, func(t *rapid.T) {
		s := message.Selector{
			Start: address.Draw(t, "start"), End: address.Draw(t, "end"),
			Protocol:  rapid.SampledFrom([]uint8{0, 6, 17}).Draw(t, "protocol"),
			StartPort: rapid.SampledFrom([]uint16{0, 53, 443}).Draw(t, "first"),
			EndPort:   rapid.SampledFrom([]uint16{53, 443, 65535}).Draw(t, "last"),
		}
		a := address.Draw(t, "packet")
		protocol := rapid.SampledFrom([]uint8{6, 17}).Draw(t, "packet protocol")
		port := rapid.SampledFrom([]uint16{0, 52, 53, 54, 443, 65535}).Draw(t, "port")
		want := s.Start.BitLen() == s.End.BitLen() && a.BitLen() == s.Start.BitLen() &&
			number(a).Cmp(number(s.Start)) >= 0 && number(a).Cmp(number(s.End)) <= 0 &&
			(s.Protocol == 0 || s.Protocol == protocol) && port >= s.StartPort && port <= s.EndPort
		if got := compileSelectors([]message.Selector{s}).match(addressOf(a), protocol, int(port)); got != want {
			t.Fatalf("%+v matches %v %d:%d: %v, want %v", s, a, protocol, port, got, want)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add(ipv4Packet(60))
	f.Add(ipv6Packet(80))
	c := &Child{
		Local:  []message.Selector{transportRange("0.0.0.0", "255.255.255.255", 17, 53, 53)},
		Remote: []message.Selector{transportRange("::", "::ffff", 1, 0, 0)},
	}
	p := NewPolicy(c)
	f.Fuzz(func(t *testing.T, packet []byte) {
		if err := p.In(packet); err == nil {
			t.Fatalf("one family's selectors at each end allowed %x", packet)
		}
		flow, err := parseFlow(packet, false)
		if err == nil && flow.source.v6 != flow.destination.v6 {
			t.Fatalf("flow of mixed families from %x", packet)
		}
	})
}
