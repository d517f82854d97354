package dhcp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

var (
	server = netip.MustParseAddr("10.1.0.1")
	alice  = netip.MustParseAddr("10.99.0.2")
	mallet = netip.MustParseAddr("10.99.0.66")
)

// inform is a DHCPINFORM as Windows sends it.
type inform struct {
	source, ciaddr, giaddr, destination netip.Addr
	kind                                messageType
	parameters                          []byte
	vendorClass                         string
	more                                []byte // further options
}

func windows() inform {
	return inform{
		source: alice, ciaddr: alice, giaddr: netip.IPv4Unspecified(), destination: Broadcast, kind: typeInform,
		parameters: []byte{1, 15, 3, 6, 44, 46, 47, 31, 33, 121, 249, 43, 252}, vendorClass: "MSFT 5.0",
	}
}

var chaddr = []byte{0x52, 0x41, 0x53, 0x20, 0, 1}

func (i inform) message() []byte {
	m := make([]byte, headerLen)
	m[offOp], m[offHType], m[offHLen] = bootRequest, 8, byte(len(chaddr))
	copy(m[offXID:], []byte{0xde, 0xad, 0xbe, 0xef})
	copy(m[offCIAddr:], i.ciaddr.AsSlice())
	copy(m[offGIAddr:], i.giaddr.AsSlice())
	copy(m[offCHAddr:], chaddr)
	binary.BigEndian.PutUint32(m[offCookie:], magicCookie)
	m = appendOption(m, optMessageType, byte(i.kind))
	m = appendOption(m, 61, append([]byte{1}, chaddr...)...)
	m = appendOption(m, 12, []byte("DESKTOP-1")...)
	if i.vendorClass != "" {
		m = appendOption(m, optVendorClass, []byte(i.vendorClass)...)
	}
	if i.parameters != nil {
		m = appendOption(m, optParameterList, i.parameters...)
	}
	return append(append(m, i.more...), byte(optEnd))
}

func (i inform) packet() []byte {
	b := appendHeaders(nil, i.source, i.destination)
	binary.BigEndian.PutUint16(b[20:], clientPort)
	binary.BigEndian.PutUint16(b[22:], serverPort)
	b = append(b, i.message()...)
	finish(b)
	return b
}

// answer is what a client reads out of a packet.
type answer struct {
	from, to netip.Addr
	ports    [2]uint16
	header   []byte // the fixed part
	options  map[option][]byte
	order    []option
}

// readAnswer reads a packet in its own way and checks what every packet must
// keep: lengths, checksums, and an end behind the last option.
func readAnswer(t interface{ Fatalf(string, ...any) }, b []byte) answer {
	if len(b) < 28+minLen || len(b) > largestSize || int(binary.BigEndian.Uint16(b[2:])) != len(b) || int(binary.BigEndian.Uint16(b[24:])) != len(b)-20 {
		t.Fatalf("lengths of %d octets: % x", len(b), b[:28])
	}
	ones := func(parts ...[]byte) (sum uint32) {
		for _, p := range parts {
			for i, c := range p {
				sum += uint32(c) << (8 * uint(1-i%2))
			}
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		return sum
	}
	if ones(b[:20]) != 0xffff || ones(b[12:20], []byte{0, 17}, b[24:26], b[20:]) != 0xffff {
		t.Fatalf("checksums wrong: % x", b[:28])
	}
	a := answer{
		from: netip.AddrFrom4([4]byte(b[12:])), to: netip.AddrFrom4([4]byte(b[16:])),
		ports:  [2]uint16{binary.BigEndian.Uint16(b[20:]), binary.BigEndian.Uint16(b[22:])},
		header: b[28 : 28+240], options: map[option][]byte{},
	}
	rest := b[28+240:]
	for rest[0] != 255 {
		code, value := option(rest[0]), rest[2:2+rest[1]]
		if _, twice := a.options[code]; twice {
			t.Fatalf("option %d twice", code)
		}
		a.options[code], a.order = value, append(a.order, code)
		rest = rest[2+rest[1]:]
	}
	return a
}

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newServer(sessions ...Session) (*Server, *clock) {
	c := &clock{time.Unix(1_700_000_000, 0)}
	s := NewServer(c.now)
	for _, session := range sessions {
		s.Add(session)
	}
	return s, c
}

func prefixes(list ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, p := range list {
		ps = append(ps, netip.MustParsePrefix(p))
	}
	return ps
}

func alicesSession() Session {
	return Session{
		ID: "a1", Client: alice, Server: server,
		Routes:  prefixes("10.1.0.0/16", "192.168.103.0/24", "2001:db8::/32", "172.16.0.0/12", "198.51.100.7/32"),
		DNS:     []netip.Addr{netip.MustParseAddr("10.1.0.53"), netip.MustParseAddr("2001:db8::53")},
		Domains: []string{"corp.example.org", "example.net."},
	}
}

func TestWindowsGetsItsRoutes(t *testing.T) {
	s, _ := newServer(alicesSession())
	reply, ok := s.Answer(windows().packet())
	if !ok || reply == nil {
		t.Fatalf("no answer: %v, %v", ok, s.Counts())
	}
	a := readAnswer(t, reply)
	if a.from != server || a.to != alice || a.ports != [2]uint16{67, 68} {
		t.Errorf("from %v to %v, ports %v", a.from, a.to, a.ports)
	}
	request := windows().message()
	want := make([]byte, 240)
	want[0] = 2
	copy(want[1:3], request[1:3])     // htype, hlen
	copy(want[4:8], request[4:8])     // xid
	copy(want[12:16], request[12:16]) // ciaddr
	copy(want[28:44], request[28:44]) // chaddr
	copy(want[236:], request[236:])   // and nothing in yiaddr, siaddr, giaddr, sname, file
	if !bytes.Equal(a.header, want) {
		t.Errorf("fixed part % x, want % x", a.header, want)
	}
	routes := []byte{
		16, 10, 1, 0, 0, 0, 0,
		24, 192, 168, 103, 0, 0, 0, 0,
		12, 172, 16, 0, 0, 0, 0,
		32, 198, 51, 100, 7, 0, 0, 0, 0,
	}
	options := map[option][]byte{
		optMessageType: {5}, optServerID: server.AsSlice(), optSubnetMask: {255, 255, 255, 255},
		optRoutesMS: routes, optRoutes: routes, optDNS: {10, 1, 0, 53}, optDomainName: []byte("corp.example.org"),
	}
	if diff := cmp.Diff(options, a.options); diff != "" {
		t.Errorf("options: %s", diff)
	}
	if s.Counts() != (Counts{Answered: 1}) {
		t.Errorf("counted %v", s.Counts())
	}
}

func TestAnswersOnlyWhatIsAsked(t *testing.T) {
	search := []byte("\x04corp\x07example\x03org\x00\x07example\x03net\x00")
	mandatory := []option{optMessageType, optServerID, optSubnetMask}
	for _, c := range []struct {
		name    string
		change  func(*inform, *Session)
		options []option
	}{
		{"nothing asked for means everything", func(i *inform, _ *Session) { i.parameters = nil }, []option{optRoutesMS, optDNS, optDomainName, optRoutes, optSearchList}},
		{"Windows gets its routes unasked", func(i *inform, _ *Session) { i.parameters = []byte{} }, []option{optRoutesMS}},
		{"others do not", func(i *inform, _ *Session) { i.parameters, i.vendorClass = []byte{6}, "dhcpcd" }, []option{optDNS}},
		{"everything through the tunnel", func(_ *inform, s *Session) { s.Routes = prefixes("10.0.0.0/8", "0.0.0.0/0") }, []option{optDNS, optDomainName}},
		{"IPv6 alone", func(_ *inform, s *Session) { s.Routes = prefixes("2001:db8::/32") }, []option{optDNS, optDomainName}},
		{"nothing configured", func(_ *inform, s *Session) { *s = Session{ID: "a1", Client: alice, Server: server} }, nil},
		{"a domain that DNS cannot write", func(i *inform, s *Session) { i.parameters, s.Domains = []byte{119}, []string{"a..b"} }, []option{optRoutesMS}},
		{"a label too long", func(i *inform, s *Session) {
			i.parameters, s.Domains = []byte{119}, []string{strings.Repeat("a", 64) + ".example"}
		}, []option{optRoutesMS}},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, session := windows(), alicesSession()
			c.change(&i, &session)
			s, _ := newServer(session)
			reply, _ := s.Answer(i.packet())
			if reply == nil {
				t.Fatalf("no answer: %v", s.Counts())
			}
			a := readAnswer(t, reply)
			if diff := cmp.Diff(append(slices.Clone(mandatory), c.options...), a.order, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("options: %s", diff)
			}
			if got, ok := a.options[optSearchList]; ok && !bytes.Equal(got, search) {
				t.Errorf("search list %q", got)
			}
		})
	}
}

func TestDropsWhatItMustNotAnswer(t *testing.T) {
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	set := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	const message = 28
	for _, c := range []struct {
		name   string
		change func(*inform)
		damage func([]byte) []byte
		want   Outcome
	}{
		{"DHCPDISCOVER", func(i *inform) { i.kind = 1 }, nil, NotInform},
		{"DHCPREQUEST", func(i *inform) { i.kind = 3 }, nil, NotInform},
		{"DHCPRELEASE", func(i *inform) { i.kind = 7 }, nil, NotInform},
		{"BOOTP", func(i *inform) { i.kind = 0 }, nil, NotInform},
		{"an address nobody holds", func(i *inform) { i.source, i.ciaddr = mallet, mallet }, nil, NoSession},
		{"no address at all", func(i *inform) { i.source = netip.IPv4Unspecified() }, nil, NoSession},
		{"another client's ciaddr", func(i *inform) { i.ciaddr = mallet }, nil, Foreign},
		{"another client's source", func(i *inform) { i.source = mallet }, nil, NoSession},
		{"a relay agent", func(i *inform) { i.giaddr = mallet }, nil, Foreign},
		{"an answer", nil, set(message+offOp, bootReply), Malformed},
		{"no magic cookie", nil, set(message+offCookie, 0), Malformed},
		{"a hardware address too long", nil, set(message+offHLen, 17), Malformed},
		{"cut off", nil, cut(30), Malformed},
		{"UDP longer than the packet", nil, set(24, 0xff), Malformed},
		{"UDP shorter than its header", nil, set(24, 0, 7), Malformed},
		{"a first fragment", nil, set(6, 0x20), Malformed},
		{"IP header shorter than possible", nil, func(b []byte) []byte { // the length stands where the port is looked for
			b[0], b[2], b[3] = 0x40, 0, serverPort
			return b
		}, Malformed},
		{"an option beyond the end", func(i *inform) { i.more = []byte{43, 200} }, nil, Malformed},
		{"a code without a length", func(i *inform) { i.more = []byte{43} }, func(b []byte) []byte {
			b = b[:len(b)-1]
			finish(b)
			return b
		}, Malformed},
		{"a message type of two octets", func(i *inform) { i.more = []byte{53, 2, 8, 8} }, nil, Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newServer(alicesSession())
			i := windows()
			if c.change != nil {
				c.change(&i)
			}
			b := i.packet()
			if c.damage != nil {
				b = c.damage(b)
			}
			reply, ok := s.Answer(b)
			want := Counts{}
			want[c.want] = 1
			if reply != nil || !ok || s.Counts() != want {
				t.Errorf("reply of %d octets, its own %v, counted %v, want one %v", len(reply), ok, s.Counts(), c.want)
			}
		})
	}
}

// TestLeavesOtherPacketsAlone shows what goes on to the host uncounted.
func TestLeavesOtherPacketsAlone(t *testing.T) {
	s, _ := newServer(alicesSession())
	toPort := func(p uint16) []byte {
		b := windows().packet()
		binary.BigEndian.PutUint16(b[22:], p)
		return b
	}
	later := windows().packet()
	later[7] = 1 // not the first fragment
	tcp := windows().packet()
	tcp[9] = 6
	unicast := windows()
	unicast.destination = server
	v6 := windows().packet()
	v6[0] = 0x65
	for name, b := range map[string][]byte{
		"empty": nil, "short": windows().packet()[:27], "NetBIOS": toPort(137), "later fragment": later, "TCP": tcp,
		"unicast": unicast.packet(), "IPv6": v6,
	} {
		if reply, ok := s.Answer(b); reply != nil || ok {
			t.Errorf("%s: taken", name)
		}
	}
	if s.Counts() != (Counts{}) {
		t.Errorf("counted %v", s.Counts())
	}
}

func TestFloodIsBounded(t *testing.T) {
	bob := Session{ID: "b1", Client: mallet, Server: server}
	s, clock := newServer(alicesSession(), bob)
	ask := func(i inform) bool { reply, _ := s.Answer(i.packet()); return reply != nil }
	answered := 0
	for range 1000 {
		if ask(windows()) {
			answered++
		}
	}
	if answered != burst {
		t.Errorf("%d answers to 1000, want %d", answered, burst)
	}
	other := windows()
	other.source, other.ciaddr = mallet, mallet
	if !ask(other) {
		t.Error("another session suffers")
	}
	clock.at = clock.at.Add(refill)
	if !ask(windows()) || ask(windows()) {
		t.Error("after the time of one answer there is not exactly one")
	}
	for range 4 { // what is less than the time of one is not lost
		clock.at = clock.at.Add(refill * 3 / 4)
		ask(windows())
	}
	if n := s.Counts()[Answered]; n != burst+2+3 {
		t.Errorf("%d answered after the time of three more", n)
	}
	clock.at = clock.at.Add(100 * time.Hour)
	for answered = 0; ask(windows()); answered++ {
	}
	if answered != burst {
		t.Errorf("%d answers after a long time, want %d", answered, burst)
	}
	if n := s.Counts()[TooMany]; n != 1000-burst+3 {
		t.Errorf("counted %d", n)
	}
}

func TestSessionsComeAndGo(t *testing.T) {
	s, _ := newServer(alicesSession())
	next := Session{ID: "n1", Client: alice, Server: server, DNS: []netip.Addr{server}}
	s.Add(next)           // the address is leased again
	s.Remove("a1", alice) // and only then is its last holder's end reported
	reply, _ := s.Answer(windows().packet())
	if reply == nil {
		t.Fatal("the end of the last holder took the new one's place")
	}
	if a := readAnswer(t, reply); a.options[optRoutesMS] != nil || !bytes.Equal(a.options[optDNS], server.AsSlice()) {
		t.Errorf("options %v are not the new session's", a.options)
	}
	s.Remove("n1", alice)
	if reply, _ := s.Answer(windows().packet()); reply != nil || s.Counts()[NoSession] != 1 {
		t.Error("answered after its end")
	}
}

func TestManyRoutes(t *testing.T) {
	session := alicesSession()
	session.Routes = nil
	for i := range 200 {
		session.Routes = append(session.Routes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 1, 0}), 24))
	}
	told := 0
	for Fits(session.Routes[:told+1]) {
		told++
	}
	if told < 25 {
		t.Fatalf("only %d routes fit", told)
	}
	for name, size := range map[string]int{"of the standard size": 0, "smaller than allowed": 100, "large": 1400} {
		i := windows()
		if size != 0 {
			i.more = appendOption(nil, optMaxSize, byte(size>>8), byte(size))
		}
		s, _ := newServer(session)
		reply, _ := s.Answer(i.packet())
		a := readAnswer(t, reply)
		if n := len(a.options[optRoutesMS]) / 8; n < told {
			t.Errorf("%s: %d routes told, %d fit", name, n, told)
		}
		if a.options[optDNS] == nil || a.options[optDomainName] == nil {
			t.Errorf("%s: routes crowded out the rest: %v", name, a.order)
		}
		if size < standardSize && len(reply) > standardSize || len(reply) > largestSize {
			t.Errorf("%s: answer of %d octets", name, len(reply))
		}
	}
}

// decodeRoutes reads option 249 as a client does.
func decodeRoutes(t interface{ Fatalf(string, ...any) }, b []byte) []netip.Prefix {
	var ps []netip.Prefix
	for len(b) > 0 {
		n := (int(b[0]) + 7) / 8
		if b[0] > 32 || len(b) < 1+n+4 {
			t.Fatalf("route cut off: % x", b)
		}
		var a [4]byte
		copy(a[:], b[1:1+n])
		ps = append(ps, netip.PrefixFrom(netip.AddrFrom4(a), int(b[0])))
		b = b[1+n+4:]
	}
	return ps
}

func TestRoutesSurvive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		routes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix {
			a := rapid.Uint32().Draw(t, "address")
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), rapid.IntRange(1, 32).Draw(t, "bits")).Masked()
		}), 1, 25).Draw(t, "routes")
		s, _ := newServer(Session{ID: "a1", Client: alice, Server: server, Routes: routes})
		reply, _ := s.Answer(windows().packet())
		if reply == nil {
			t.Fatalf("no answer")
		}
		if diff := cmp.Diff(routes, decodeRoutes(t, readAnswer(t, reply).options[optRoutesMS]), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Fatalf("%s", diff)
		}
	})
}

// FuzzAnswer holds every packet to: no panic, and an answer only to the one who
// asked, whole and within what it takes.
func FuzzAnswer(f *testing.F) {
	f.Add(windows().packet())
	i := windows()
	i.parameters, i.more = nil, appendOption(nil, optMaxSize, 5, 0)
	f.Add(i.packet())
	i.kind = 1
	f.Add(i.packet())
	f.Add(windows().packet()[:200])
	f.Fuzz(func(t *testing.T, b []byte) {
		given := bytes.Clone(b)
		s, _ := newServer(alicesSession())
		reply, ok := s.Answer(b)
		if !bytes.Equal(b, given) {
			t.Fatal("the packet was altered")
		}
		if n := s.Counts()[Answered]; (reply != nil) != (n == 1) || reply != nil && !ok {
			t.Fatalf("reply of %d octets, counted %v", len(reply), s.Counts())
		}
		if reply == nil {
			return
		}
		a := readAnswer(t, reply)
		if !bytes.Equal(b[12:16], alice.AsSlice()) || a.to != alice || !bytes.Equal(a.options[optMessageType], []byte{5}) || !bytes.Equal(a.header[16:28], make([]byte, 12)) {
			t.Fatalf("to %v, fixed part % x, options %v", a.to, a.header, a.options)
		}
	})
}

// BenchmarkOtherPacket is the cost for each packet of the data plane.
func BenchmarkOtherPacket(b *testing.B) {
	s, _ := newServer(alicesSession())
	i := windows()
	i.destination = server
	p := i.packet()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.Answer(p); ok {
			b.Fatal("taken")
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	s, clock := newServer(alicesSession())
	p := windows().packet()
	b.ReportAllocs()
	for b.Loop() {
		clock.at = clock.at.Add(refill)
		if reply, _ := s.Answer(p); reply == nil {
			b.Fatal("no answer")
		}
	}
}
