package xfrm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"bridgehead/ikev2/esp"
	wire "bridgehead/ikev2/message"
)

func ports(start, end uint16, from, to string) wire.Selector {
	return wire.Selector{StartPort: start, EndPort: end, Start: netip.MustParseAddr(from), End: netip.MustParseAddr(to)}
}

func TestCompile(t *testing.T) {
	all4, all6 := ports(0, 65535, "0.0.0.0", "255.255.255.255"), ports(0, 65535, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	host4, host6 := ports(0, 65535, "10.91.0.1", "10.91.0.1"), ports(0, 65535, "fd91::1", "fd91::1")
	udp := ports(5000, 5000, "10.91.0.1", "10.91.0.1")
	udp.Protocol = 17
	echo := ports(0x0800, 0x0800, "10.91.0.1", "10.91.0.1")
	echo.Protocol = 1
	opaque := ports(65535, 0, "10.91.0.1", "10.91.0.1")
	for _, tc := range []struct {
		name          string
		local, remote []wire.Selector
		want          string
	}{
		{"a road warrior", []wire.Selector{all4, all6}, []wire.Selector{host4, host6}, "[0.0.0.0/0 to 10.91.0.1/32 ::/0 to fd91::1/128]"},
		{"a range", []wire.Selector{ports(0, 65535, "10.0.0.1", "10.0.0.4")}, []wire.Selector{host4},
			"[10.0.0.1/32 to 10.91.0.1/32 10.0.0.2/31 to 10.91.0.1/32 10.0.0.4/32 to 10.91.0.1/32]"},
		{"a port", []wire.Selector{all4}, []wire.Selector{udp}, "[0.0.0.0/0 to 10.91.0.1/32 protocol 17 ports any to 5000]"},
		{"an ICMP type and code", []wire.Selector{all4}, []wire.Selector{echo}, "[0.0.0.0/0 to 10.91.0.1/32 protocol 1 ports 8 to 0]"},
		{"opaque ports beside", []wire.Selector{all4}, []wire.Selector{opaque, udp}, "[0.0.0.0/0 to 10.91.0.1/32 protocol 17 ports any to 5000]"},
	} {
		got, err := compile(tc.local, tc.remote)
		if err != nil || fmt.Sprint(got) != tc.want {
			t.Errorf("%s: %v, %v; want %s", tc.name, got, err, tc.want)
		}
	}
	odd := ports(1, 65534, "0.0.0.1", "255.255.255.254")
	if _, err := compile([]wire.Selector{odd}, []wire.Selector{odd}); !errors.Is(err, errTooManySelectors) {
		t.Errorf("62 x 62 prefixes and 30 x 30 ports: %v", err)
	}
	if _, err := compile([]wire.Selector{all4}, []wire.Selector{host6, opaque}); !errors.Is(err, errNoSelectors) {
		t.Errorf("no family in common: %v", err)
	}
}

// TestCompiledMatchesTheSame: the kernel's form matches exactly the packets
// that package esp's does.
func TestCompiledMatchesTheSame(t *testing.T) {
	protocols := rapid.SampledFrom([]uint8{0, 6, 17})
	end := rapid.Custom(func(t *rapid.T) wire.Selector {
		s := wire.Selector{Protocol: protocols.Draw(t, "protocol"), EndPort: 65535}
		a, b := rapid.Byte().Draw(t, "first"), rapid.Byte().Draw(t, "last")
		s.Start, s.End = netip.AddrFrom4([4]byte{10, 0, 0, min(a, b)}), netip.AddrFrom4([4]byte{10, 0, 0, max(a, b)})
		if s.Protocol != 0 && rapid.Bool().Draw(t, "ports") {
			c, d := rapid.Uint16Max(40).Draw(t, "port"), rapid.Uint16Max(40).Draw(t, "port")
			s.StartPort, s.EndPort = min(c, d), max(c, d)
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		l, r := end.Draw(t, "local"), end.Draw(t, "remote")
		compiled, err := compile([]wire.Selector{l}, []wire.Selector{r})
		if errors.Is(err, errTooManySelectors) {
			return
		}
		policy := esp.NewPolicy(&esp.Child{Local: []wire.Selector{l}, Remote: []wire.Selector{r}})
		for range 50 {
			source, destination := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "source")}), netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "destination")})
			protocol := rapid.SampledFrom([]uint8{6, 17}).Draw(t, "of")
			sport, dport := rapid.Uint16Max(45).Draw(t, "sport"), rapid.Uint16Max(45).Draw(t, "dport")
			want := policy.Out(packet(source, destination, protocol, sport, dport)) == nil
			matches := 0
			for _, s := range compiled {
				if s.source.Contains(source) && s.destination.Contains(destination) && (s.protocol == 0 || s.protocol == protocol) &&
					sport&s.sourcePort.mask == s.sourcePort.port && dport&s.destinationPort.mask == s.destinationPort.port {
					matches++
				}
			}
			if matches > 1 || (matches == 1) != want {
				t.Fatalf("%v:%d to %v:%d protocol %d matches %d of %v, want %v", source, sport, destination, dport, protocol, matches, compiled, want)
			}
		}
	})
}

// packet is an IPv4 packet with ports, its header's checksum valid.
func packet(source, destination netip.Addr, protocol uint8, sport, dport uint16) []byte {
	b := make([]byte, 40)
	b[0], b[3], b[8], b[9] = 0x45, 40, 64, protocol
	copy(b[12:], source.AsSlice())
	copy(b[16:], destination.AsSlice())
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	binary.BigEndian.PutUint16(b[20:], sport)
	binary.BigEndian.PutUint16(b[22:], dport)
	return b
}
