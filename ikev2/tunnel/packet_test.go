package tunnel

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"bridgehead/ikev2/inetsum"
)

var (
	here4, there4 = netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.2.0.2")
	here6, there6 = netip.MustParseAddr("fd01::1"), netip.MustParseAddr("fd02::2")
)

// ipPacket builds a packet with a valid header.
func ipPacket(from, to netip.Addr, protocol uint8, payload []byte) []byte {
	if from.Is4() {
		b := make([]byte, ipv4HeaderLen, ipv4HeaderLen+len(payload))
		b[0], b[8], b[9] = 0x45, 61, protocol
		binary.BigEndian.PutUint16(b[2:], uint16(ipv4HeaderLen+len(payload)))
		copy(b[12:], from.AsSlice())
		copy(b[16:], to.AsSlice())
		binary.BigEndian.PutUint16(b[10:], inetsum.Of(0, b))
		return append(b, payload...)
	}
	b := make([]byte, ipv6HeaderLen, ipv6HeaderLen+len(payload))
	b[0], b[6], b[7] = 0x60, protocol, 61
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], from.AsSlice())
	copy(b[24:], to.AsSlice())
	return append(b, payload...)
}

// tcpSegment builds a TCP segment with options and a valid checksum.
func tcpPacket(from, to netip.Addr, flags byte, options []byte) []byte {
	options = append(bytes.Clone(options), make([]byte, (4-len(options)%4)%4)...)
	tcp := make([]byte, tcpHeaderLen, 64)
	binary.BigEndian.PutUint16(tcp, 40000)
	binary.BigEndian.PutUint16(tcp[2:], 443)
	tcp[12], tcp[13] = byte((tcpHeaderLen+len(options))/4)<<4, flags
	tcp = append(append(tcp, options...), "payload"...)
	binary.BigEndian.PutUint16(tcp[16:], transportSum(from, to, protocolTCP, tcp))
	return ipPacket(from, to, protocolTCP, tcp)
}

func transportSum(from, to netip.Addr, protocol uint8, b []byte) uint16 {
	pseudo := inetsum.Add(inetsum.Add(uint32(len(b))+uint32(protocol), from.AsSlice()), to.AsSlice())
	return inetsum.Of(pseudo, b)
}

// checkSums fails unless the packet's checksums, header's and payload's, hold.
func checkSums(t *testing.T, b []byte) {
	t.Helper()
	p, ok := parsePacket(b)
	if !ok {
		t.Fatalf("not a packet: %x", b)
	}
	if !p.v6 && inetsum.Of(0, b[:p.payload]) != 0 {
		t.Errorf("header checksum is wrong: %x", b[:p.payload])
	}
	var sum uint16
	switch addrs := [2]netip.Addr{p.source(), destinationOf(&p)}; p.protocol {
	case protocolTCP, protocolICMPv6:
		sum = transportSum(addrs[0], addrs[1], p.protocol, b[p.payload:])
	case protocolICMP:
		sum = inetsum.Of(0, b[p.payload:])
	}
	if sum != 0 {
		t.Errorf("checksum of protocol %d is wrong by %04x", p.protocol, sum)
	}
}

func destinationOf(p *packet) netip.Addr { return p.destination().addr() }

func TestParsePacket(t *testing.T) {
	p4, p6 := ipPacket(here4, there4, 17, make([]byte, 9)), ipPacket(here6, there6, 17, make([]byte, 9))
	edit := func(b []byte, f func([]byte)) []byte { b = bytes.Clone(b); f(b); return b }
	for _, tc := range []struct {
		name string
		in   []byte
		want int // length, 0 if refused
	}{
		{"IPv4", p4, 29},
		{"IPv6", p6, 49},
		{"IPv4 with padding behind", append(bytes.Clone(p4), 1, 2, 3), 29},
		{"IPv6 with padding behind", append(bytes.Clone(p6), 1, 2, 3), 49},
		{"empty", nil, 0},
		{"IPv4 cut in the header", p4[:19], 0},
		{"IPv4 cut in the payload", p4[:28], 0},
		{"IPv6 cut in the header", p6[:39], 0},
		{"IPv6 cut in the payload", p6[:48], 0},
		{"version 5", edit(p4, func(b []byte) { b[0] = 0x55 }), 0},
		{"IPv4 header of 16 octets", edit(p4, func(b []byte) { b[0] = 0x44 }), 0},
		{"IPv4 header longer than the packet", edit(p4, func(b []byte) { b[0] = 0x4f }), 0},
		{"IPv4 length less than the header", edit(p4, func(b []byte) { b[2], b[3] = 0, 19 }), 0},
	} {
		p, ok := parsePacket(tc.in)
		if ok != (tc.want != 0) || len(p.data) != tc.want {
			t.Errorf("%s: %d octets, %v, want %d", tc.name, len(p.data), ok, tc.want)
		}
	}
}

func TestClampMSS(t *testing.T) {
	const syn, synAck, ack = 0x02, 0x12, 0x10
	mss := func(n uint16) []byte { return []byte{2, 4, byte(n >> 8), byte(n)} }
	before := []byte{1, 3, 3, 7} // NOP, window scale
	odd := []byte{1}             // puts the MSS at an odd offset
	for _, tc := range []struct {
		name    string
		from    netip.Addr
		flags   byte
		options []byte
		at      int // of the MSS in options
		want    uint16
	}{
		{"SYN over IPv4", here4, syn, mss(1460), 2, 1360},
		{"SYN over IPv6", here6, syn, mss(1440), 2, 1340},
		{"SYN and ACK", here4, synAck, mss(1460), 2, 1360},
		{"after other options", here6, syn, append(before, mss(9000)...), 6, 1340},
		{"at an odd offset", here4, syn, append(odd, mss(1460)...), 3, 1360},
		{"small enough already", here4, syn, mss(536), 2, 536},
		{"not a SYN", here4, ack, mss(1460), 2, 1460},
		{"behind the end of options", here4, syn, append([]byte{0}, mss(1460)...), 3, 1460},
		{"option of length 0", here4, syn, append([]byte{9, 0}, mss(1460)...), 4, 1460},
		{"option longer than the header", here4, syn, append([]byte{9, 60}, mss(1460)...), 4, 1460},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := there4
			if tc.from.Is6() {
				to = there6
			}
			b := tcpPacket(tc.from, to, tc.flags, tc.options)
			was := bytes.Clone(b)
			p, _ := parsePacket(b)
			changed := p.clampMSS(1400)
			if got := binary.BigEndian.Uint16(b[p.payload+tcpHeaderLen+tc.at:]); got != tc.want {
				t.Errorf("MSS %d, want %d", got, tc.want)
			}
			if changed == bytes.Equal(b, was) {
				t.Errorf("changed: %v", changed)
			}
			checkSums(t, b)
		})
	}
	fragment := tcpPacket(here4, there4, syn, mss(1460))
	fragment[7] = 9 // offset
	if p, _ := parsePacket(fragment); p.clampMSS(1400) {
		t.Error("the payload of a later fragment was taken for a TCP header")
	}
}

func TestTooBig(t *testing.T) {
	for _, tc := range []struct {
		name     string
		from, to netip.Addr
		quoted   int
		mtuAt    int
	}{
		{"IPv4", here4, there4, maxICMP4 - 28, 26},
		{"IPv6", here6, there6, maxICMP6 - 48, 46},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cause := ipPacket(tc.from, tc.to, 17, bytes.Repeat([]byte{0xa5}, 1391))
			p, _ := parsePacket(cause)
			b, ok := appendTooBig(nil, &p, 1350)
			if !ok {
				t.Fatal("not answered")
			}
			checkSums(t, b)
			a, ok := parsePacket(b)
			if !ok || len(a.data) != len(b) || a.source() != tc.to || destinationOf(&a) != tc.from {
				t.Fatalf("answer from %s to %s of %d octets", a.source(), destinationOf(&a), len(a.data))
			}
			if mtu := binary.BigEndian.Uint16(b[tc.mtuAt:]); mtu != 1350 {
				t.Errorf("MTU %d", mtu)
			}
			quote := b[a.payload+icmpHeaderLen:]
			if len(quote) != tc.quoted || !bytes.Equal(quote, cause[:len(quote)]) {
				t.Errorf("quotes %d octets, want %d", len(quote), tc.quoted)
			}
			if _, ok := appendTooBig(nil, &a, 1000); ok {
				t.Error("an ICMP error was answered with an ICMP error")
			}
		})
	}
	for _, tc := range []struct{ from, to string }{
		{"0.0.0.0", "10.2.0.2"}, {"224.0.0.1", "10.2.0.2"}, {"127.0.0.1", "10.2.0.2"},
		{"10.1.0.1", "224.0.0.251"}, {"10.1.0.1", "255.255.255.255"}, {"fd01::1", "ff02::fb"},
	} {
		p, _ := parsePacket(ipPacket(netip.MustParseAddr(tc.from), netip.MustParseAddr(tc.to), 17, make([]byte, 1400)))
		if _, ok := appendTooBig(nil, &p, 1000); ok {
			t.Errorf("a packet from %s to %s was answered", tc.from, tc.to)
		}
	}
}

func TestRateLimit(t *testing.T) {
	var r rateLimit
	for second := range int64(3) {
		passed := 0
		for i := range int64(10) {
			if r.allow(second*1e9+i, 4) {
				passed++
			}
		}
		if passed != 4 {
			t.Errorf("second %d: %d passed, want 4", second, passed)
		}
	}
}

// RFC 6040 figure 4.
func TestDecapsulateECN(t *testing.T) {
	const drop = 9
	table := [4][4]uint8{ // by inner, outer
		notECT: {notECT: notECT, ect0: notECT, ect1: notECT, ce: drop},
		ect0:   {notECT: ect0, ect0: ect0, ect1: ect1, ce: ce},
		ect1:   {notECT: ect1, ect0: ect1, ect1: ect1, ce: ce},
		ce:     {notECT: ce, ect0: ce, ect1: ce, ce: ce},
	}
	for _, b := range [][]byte{ipPacket(here4, there4, 17, nil), ipPacket(here6, there6, 17, nil)} {
		for inner := range uint8(4) {
			for outer := range uint8(4) {
				p, _ := parsePacket(bytes.Clone(b))
				p.setECN(inner)
				got := uint8(drop)
				if p.decapsulateECN(outer) {
					got = p.ecn()
				}
				if want := table[inner][outer]; got != want {
					t.Errorf("inner %d, outer %d: %d, want %d", inner, outer, got, want)
				}
				checkSums(t, p.data)
			}
		}
	}
}

func TestReplaceSumIsRecomputing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 20, 60).Draw(t, "header")
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], inetsum.Of(0, b))
		at := 2 * rapid.IntRange(0, len(b)/2-1).Filter(func(i int) bool { return i != 5 }).Draw(t, "word")
		was, is := binary.BigEndian.Uint16(b[at:]), rapid.Uint16().Draw(t, "is")
		binary.BigEndian.PutUint16(b[at:], is)
		replaceSum(b[10:12], was, is)
		if rest := inetsum.Of(0, b); rest != 0 && rest != 0xffff {
			t.Fatalf("checksum is wrong by %04x", rest)
		}
	})
}

// FuzzInnerPacket: no packet, however malformed, makes the path panic, and what
// the clamp does to it stays within.
func FuzzInnerPacket(f *testing.F) {
	for _, b := range [][]byte{
		ipPacket(here4, there4, 17, make([]byte, 20)),
		ipPacket(here6, there6, 58, make([]byte, 20)),
		tcpPacket(here4, there4, 2, []byte{2, 4, 5, 0xb4}),
		tcpPacket(here6, there6, 2, []byte{1, 2, 4, 5, 0xb4}),
	} {
		f.Add(b, uint8(3), 1300)
	}
	f.Fuzz(func(t *testing.T, b []byte, outer uint8, mtu int) {
		p, ok := parsePacket(b)
		if !ok {
			return
		}
		length := len(p.data)
		if length > len(b) || p.payload > length {
			t.Fatalf("%d octets with payload at %d out of %d", length, p.payload, len(b))
		}
		p.destination()
		p.clampMSS(mtu)
		p.decapsulateECN(outer & 3)
		if again, ok := parsePacket(b); !ok || len(again.data) != length {
			t.Fatal("the packet is no longer one")
		}
		if answer, ok := appendTooBig(nil, &p, max(mtu, 68)&0xffff); ok {
			if a, ok := parsePacket(answer); !ok || len(a.data) != len(answer) || len(answer) > maxICMP6 {
				t.Fatalf("malformed answer %x", answer)
			}
		}
	})
}
