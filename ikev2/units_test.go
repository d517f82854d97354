package ikev2

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bridgehead/auth"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// No way leads to an established SA but by all the evidence, whatever the
// order of moves; a refused move changes nothing and is counted.
func TestMovesNeedEvidence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sa := &SA{reg: newRegistrar(0, nil)}
		refused := uint64(0)
		for range rapid.IntRange(1, 30).Draw(t, "moves") {
			sa.prove(evidence(1 << rapid.IntRange(0, 5).Draw(t, "evidence")))
			from, to := sa.state, State(rapid.IntRange(0, int(StateRefused)).Draw(t, "to"))
			if err := sa.move(to); err != nil {
				refused++
				if sa.state != from {
					t.Fatalf("a refused move changed %s to %s", from, sa.state)
				}
			}
			if sa.state == StateEstablished && sa.evidence&provedLogin != provedLogin {
				t.Fatalf("established with %s alone", sa.evidence)
			}
			if counted := sa.reg.counters[DropRefusedMove].Load(); counted != refused {
				t.Fatalf("%d refused moves counted, expected %d", counted, refused)
			}
		}
	})
	for missing := range 6 {
		sa := &SA{reg: newRegistrar(0, nil), state: StateAwaitProof, evidence: provedLogin &^ (1 << missing)}
		err := sa.move(StateEstablished)
		if err == nil || !strings.Contains(err.Error(), evidenceNames[missing]) {
			t.Errorf("without %s: %v", evidenceNames[missing], err)
		}
	}
}

// Every cause has a name in kebab case, a sentence and advice, and a
// notification that RFC 7296 counts as an error.
func TestEveryCauseIsExplained(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for c, e := range catalogue {
		if !name.MatchString(string(c)) {
			t.Errorf("%q is no name for a cause", c)
		}
		if !strings.HasSuffix(e.text, ".") || !strings.HasSuffix(e.advice, ".") {
			t.Errorf("%s: %q, %q: expected whole sentences", c, e.text, e.advice)
		}
		if n := notifyFor(c); n >= 16384 {
			t.Errorf("%s is answered with %s, which is no error", c, n)
		}
		for _, err := range []error{&PeerFault{Cause: c}, &GatewayFault{Cause: c, Err: fmt.Errorf("inner")}} {
			if got, _ := faultOf(fmt.Errorf("wrapped: %w", err)); got != c || !strings.Contains(err.Error(), e.text) {
				t.Errorf("%v: cause %s", err, got)
			}
		}
	}
	for _, c := range auth.Causes() {
		if text, advice := Explain(c); text == "" || advice == "" || text == string(c) {
			t.Errorf("%s: %q, %q", c, text, advice)
		}
	}
	if c, ev := faultOf(fmt.Errorf("something else")); c != CauseInternal || len(ev) != 1 {
		t.Errorf("an error of no type is %s %v", c, ev)
	}
}

func TestEveryCounterAndStateHasAName(t *testing.T) {
	seen := make(map[string]bool)
	for c := range counterCount {
		if s := c.String(); s == "" || seen[s] {
			t.Errorf("counter %d is named %q", c, s)
		} else {
			seen[s] = true
		}
	}
	for s := range StateDead + 1 {
		if strings.HasPrefix(s.String(), "state") {
			t.Errorf("state %d has no name", s)
		}
	}
}

func selector(s string) message.Selector {
	if start, end, isRange := strings.Cut(s, "-"); isRange {
		return message.Selector{EndPort: 65535, Start: netip.MustParseAddr(start), End: netip.MustParseAddr(end)}
	}
	return message.SelectorOf(netip.MustParsePrefix(s))
}

func selectors(ss ...string) (set []message.Selector) {
	for _, s := range ss {
		set = append(set, selector(s))
	}
	return set
}

func TestNarrow(t *testing.T) {
	port := func(s message.Selector, protocol uint8, start, end uint16) message.Selector {
		s.Protocol, s.StartPort, s.EndPort = protocol, start, end
		return s
	}
	all := selectors("0.0.0.0/0", "::/0")
	for _, c := range []struct {
		name                 string
		allowed, asked, want []message.Selector
	}{
		{"everything", all, all, all},
		{"one family", all, selectors("0.0.0.0/0"), selectors("0.0.0.0/0")},
		{"within", selectors("10.0.0.0/8"), all, selectors("10.0.0.0/8")},
		{"overlap", selectors("10.0.0.5-10.0.0.20"), selectors("10.0.0.10-10.0.0.30"), selectors("10.0.0.10-10.0.0.20")},
		{"apart", selectors("10.0.0.0/8"), selectors("172.16.0.0/12"), nil},
		{"in the order asked, without what others include", selectors("10.0.0.0/8", "192.168.0.0/16"),
			append(selectors("192.168.1.1-192.168.1.1"), all...), selectors("10.0.0.0/8", "192.168.0.0/16")},
		{"ports and protocol kept", all, []message.Selector{port(selector("10.0.0.1-10.0.0.1"), 6, 443, 443)},
			[]message.Selector{port(selector("10.0.0.1-10.0.0.1"), 6, 443, 443)}},
		{"opaque ports", all, []message.Selector{port(selector("10.0.0.1-10.0.0.1"), 6, 65535, 0)},
			[]message.Selector{port(selector("10.0.0.1-10.0.0.1"), 6, 65535, 0)}},
		{"opaque ports where only some are allowed", []message.Selector{port(selector("10.0.0.0/8"), 6, 0, 1023)},
			[]message.Selector{port(selector("10.0.0.1-10.0.0.1"), 6, 65535, 0)}, nil},
		{"an upside-down range", all, selectors("10.0.0.9-10.0.0.1"), nil},
		{"an unknown type", all, []message.Selector{{Raw: &message.RawSelector{Kind: 9}}}, nil},
	} {
		if got := narrow(c.allowed, c.asked); !cmp.Equal(got, c.want, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
			t.Errorf("%s: %v, expected %v", c.name, got, c.want)
		}
	}
}

// What a client asks for is bounded, whatever of it is allowed.
func TestNarrowingIsBounded(t *testing.T) {
	var asked []message.Selector
	for i := range 255 {
		s := selector("10.0.0.1-10.0.0.1")
		s.StartPort, s.EndPort = uint16(i), uint16(i)
		asked = append(asked, s)
	}
	if got := narrow(selectors("0.0.0.0/0"), asked); !slices.Equal(got, asked[:maxSelectors]) {
		t.Errorf("%d selectors of %d", len(got), len(asked))
	}
}

// What narrowing gives is allowed, was asked for, and is bounded.
func TestNarrowNeverWidens(t *testing.T) {
	draw := func(t *rapid.T, label string, most int) []message.Selector {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) message.Selector {
			b := rapid.SliceOfN(rapid.Byte(), 2, 2).Draw(t, "ends")
			p := rapid.SliceOfN(rapid.Uint16(), 2, 2).Draw(t, "ports")
			slices.Sort(p)
			return message.Selector{
				Protocol: rapid.SampledFrom([]uint8{0, 6, 17}).Draw(t, "protocol"), StartPort: p[0], EndPort: p[1],
				Start: netip.AddrFrom4([4]byte{10, 0, 0, min(b[0], b[1])}), End: netip.AddrFrom4([4]byte{10, 0, 0, max(b[0], b[1])}),
			}
		}), 0, most).Draw(t, label)
	}
	rapid.Check(t, func(t *rapid.T) {
		allowed, asked := draw(t, "allowed", 10), draw(t, "asked", 40)
		got := narrow(allowed, asked)
		if len(got) > maxSelectors {
			t.Fatalf("%d selectors", len(got))
		}
		for _, s := range got {
			within := func(o message.Selector) bool { return includes(o, s) }
			if !slices.ContainsFunc(allowed, within) || !slices.ContainsFunc(asked, within) {
				t.Fatalf("%v is not within %v and %v", s, allowed, asked)
			}
		}
	})
}

func TestConfigReply(t *testing.T) {
	cfg := &settings{Config: Config{
		DNS:          []netip.Addr{netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("192.0.2.201")},
		Domains:      []string{"corp.example"},
		LocalSubnets: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/20"), netip.MustParsePrefix("2001:db8:8::/48"), netip.MustParsePrefix("::/0")},
	}}
	both := lease.Lease{IPv4: netip.MustParseAddr("192.0.2.7"), IPv6: netip.MustParseAddr("2001:db8::7")}
	v6 := append(both.IPv6.AsSlice(), 128)
	dns6 := netip.MustParseAddr("2001:db8::53").AsSlice()
	type attributes = []message.CPAttribute
	for _, c := range []struct {
		name  string
		asked []message.CPAttributeType
		lease lease.Lease
		grant auth.Grant
		want  attributes
	}{
		{"windows", []message.CPAttributeType{1, 3, 4, 23456, 8, 10, 23457}, both, auth.Grant{}, attributes{
			{Type: 1, Value: []byte{192, 0, 2, 7}}, {Type: 3, Value: []byte{192, 0, 2, 200}}, {Type: 3, Value: []byte{192, 0, 2, 201}},
			{Type: 8, Value: v6}, {Type: 10, Value: dns6},
		}},
		{"apple", []message.CPAttributeType{1, 2, 6, 3, 8, 12, 10, 25}, both, auth.Grant{}, attributes{
			{Type: 1, Value: []byte{192, 0, 2, 7}}, {Type: 2, Value: []byte{255, 255, 255, 255}},
			{Type: 3, Value: []byte{192, 0, 2, 200}}, {Type: 3, Value: []byte{192, 0, 2, 201}},
			{Type: 8, Value: v6}, {Type: 10, Value: dns6}, {Type: 25, Value: []byte("corp.example")},
		}},
		{"asked twice, one netmask", []message.CPAttributeType{1, 2, 2, 1}, both, auth.Grant{}, attributes{
			{Type: 1, Value: []byte{192, 0, 2, 7}}, {Type: 2, Value: []byte{255, 255, 255, 255}},
		}},
		{"no IPv4 lease, no netmask", []message.CPAttributeType{1, 2, 3, 8}, lease.Lease{IPv6: both.IPv6}, auth.Grant{}, attributes{{Type: 8, Value: v6}}},
		{"subnets but never everything", []message.CPAttributeType{13, 15}, both, auth.Grant{}, attributes{
			{Type: 13, Value: []byte{10, 0, 0, 0, 255, 255, 240, 0}}, {Type: 15, Value: append(netip.MustParseAddr("2001:db8:8::").AsSlice(), 48)},
		}},
		{"the user's own", []message.CPAttributeType{3, 13, 25}, both, auth.Grant{
			DNS: []netip.Addr{netip.MustParseAddr("10.9.9.9")}, Routes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, Domains: []string{"a.example", "b.example"},
		}, attributes{
			{Type: 3, Value: []byte{10, 9, 9, 9}}, {Type: 13, Value: []byte{10, 1, 0, 0, 255, 255, 0, 0}},
			{Type: 25, Value: []byte("a.example")}, {Type: 25, Value: []byte("b.example")},
		}},
		{"domains without a name server", []message.CPAttributeType{1, 8, 25}, both, auth.Grant{}, attributes{
			{Type: 1, Value: []byte{192, 0, 2, 7}}, {Type: 8, Value: v6},
		}},
		{"domains with a name server of a family that is not leased", []message.CPAttributeType{1, 8, 3, 25}, lease.Lease{IPv6: both.IPv6}, auth.Grant{}, attributes{{Type: 8, Value: v6}}},
		{"domains before their name server", []message.CPAttributeType{25, 10}, lease.Lease{IPv6: both.IPv6}, auth.Grant{
			Routes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")},
		}, attributes{{Type: 25, Value: []byte("corp.example")}, {Type: 10, Value: dns6}}},
		{"domains where everything goes through the tunnel", []message.CPAttributeType{3, 25}, both, auth.Grant{
			Routes: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
		}, attributes{{Type: 3, Value: []byte{192, 0, 2, 200}}, {Type: 3, Value: []byte{192, 0, 2, 201}}}},
		{"version", []message.CPAttributeType{7, 99}, both, auth.Grant{}, attributes{{Type: 7, Value: []byte("bridgehead")}}},
	} {
		sa := &SA{cfg: cfg, session: &session{given: newGiven(&c.grant)}}
		reply := configReply(configRequest(c.asked...), c.lease, sa.given())
		if diff := cmp.Diff(c.want, reply.Attributes); diff != "" || reply.Kind != message.CPReply {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestClientsAreRecognised(t *testing.T) {
	hashes, redirect := status(message.SignatureHashAlgorithms, []byte{0, 2}), status(message.RedirectSupported, nil)
	four := status(message.SignatureHashAlgorithms, []byte{0, 1, 0, 2, 0, 3, 0, 4})
	android := &message.SA{Proposals: initiator.Android().IKE}
	small := &message.SA{Proposals: suite.DefaultIKE().Offer(nil)}
	windows := &message.VendorID{Data: append(slices.Clone(vendorMicrosoft), 0, 0, 0, 9)}
	other := &message.VendorID{Data: []byte("somebody else")}
	for want, ps := range map[client][][]message.Payload{
		clientWindows:    {{windows}, {other, windows}},
		clientStrongSwan: {{hashes, redirect}, {&message.VendorID{Data: vendorStrongSwan}}},
		clientAndroid:    {{android, four}},
		clientApple:      {{redirect}},
		clientBridgehead: {{small, hashes, &message.VendorID{Data: exchange.VendorID}}},
		clientUnknown:    {{}, {other}, {other, hashes}, {android, hashes}, {small, four}, {four}, {android, four, other}},
	} {
		for _, p := range ps {
			if got := recognise(p); got != want {
				t.Errorf("%s is taken for %q, expected %q", describe(p), got, want)
			}
		}
	}
}

func TestIdentityForEachClient(t *testing.T) {
	s, err := newSettings(newWorld(t, 1, func(c *Config) { c.Certificates = []Certificate{ecdsaIdentity(), rsaIdentity()} }).gateway.cfg.Config)
	if err != nil {
		t.Fatal(err)
	}
	asked := fqdn("vpn.example.org")
	for _, c := range []struct {
		asked   *message.ID
		rsaOnly bool
		wantRSA bool
		wantIDr message.IDKind
	}{
		{asked, true, true, message.IDFQDN},
		{asked, false, false, message.IDFQDN},
		{fqdn("other.example.org"), true, true, message.IDDERASN1DN},
		{nil, true, true, message.IDDERASN1DN},
	} {
		id, idr := s.chooseIdentity(c.asked, c.rsaOnly)
		if id.rsa != c.wantRSA || idr.Kind != c.wantIDr || !idr.Responder {
			t.Errorf("asked %v, RSA only %v: RSA %v, IDr %s", c.asked, c.rsaOnly, id.rsa, idr)
		}
		if len(id.certs) != 1 {
			t.Errorf("%d certificates are sent, expected the leaf without the root", len(id.certs))
		}
	}
	if _, err := newIdentity(Certificate{Chain: rsaIdentity().Chain, Key: ecdsaIdentity().Key}); err == nil {
		t.Error("a key that is not the certificate's was taken")
	}
}

// Nothing that could hold a secret is printed by any verb or logger.
func TestSecretsDoNotPrint(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().establish()
	sa := p.sa()
	child := w.plane.only(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, secret := range [][]byte{sa.d, child.In.EncrKey, child.Out.IntegKey} {
			text := fmt.Sprintf(verb, struct{ A, B, C any }{sa.d, child.In, child.Out})
			for _, form := range []string{string(secret), fmt.Sprintf("%x", secret), fmt.Sprint([]byte(secret))} {
				if strings.Contains(text, form) {
					t.Errorf("%s prints a secret", verb)
				}
			}
		}
	}
}

// An SA that is established keeps nothing that only its login needed.
func TestEstablishedSAKeepsLittle(t *testing.T) {
	w := newWorld(t, 1, nil)
	sa := w.newPeer().establish().sa()
	if sa.login != nil || sa.work.job != nil || !reflect.ValueOf(sa.fragments).IsZero() || len(w.gateway.gate.inits) != 1 {
		t.Errorf("login %v, job %v", sa.login, sa.work.job)
	}
	for _, kept := range w.gateway.gate.inits {
		if kept != nil {
			t.Error("the gate still holds the SA")
		}
	}
}

func TestNamesOfACertificate(t *testing.T) {
	id := &identity{Certificate: Certificate{Chain: []*x509.Certificate{{
		DNSNames: []string{"vpn.example.org", "192.0.2.9"}, IPAddresses: []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")},
		EmailAddresses: []string{"vpn@example.org"}, RawSubject: []byte("subject"),
	}}}}
	for _, c := range []struct {
		kind message.IDKind
		data string
		want bool
	}{
		{message.IDFQDN, "vpn.example.org", true},
		{message.IDFQDN, "VPN.example.org", true},
		{message.IDFQDN, "example.org", false},
		{message.IDFQDN, "vpn@example.org", false},
		{message.IDRFC822Addr, "vpn@example.org", true},
		{message.IDRFC822Addr, "x@example.org", false},
		{message.IDIPv4Addr, "\xc0\x00\x02\x01", true},
		{message.IDIPv4Addr, "\xc0\x00\x02\x09", true},
		{message.IDIPv4Addr, "\xc0\x00\x02\x02", false},
		{message.IDIPv4Addr, "\xc0", false},
		{message.IDIPv6Addr, string(netip.MustParseAddr("2001:db8::1").AsSlice()), true},
		{message.IDIPv6Addr, string(netip.MustParseAddr("2001:db8::2").AsSlice()), false},
		{message.IDDERASN1DN, "subject", true},
		{message.IDDERASN1DN, "other", false},
		{message.IDKeyID, "vpn.example.org", false},
	} {
		if got := id.has(&message.ID{Kind: c.kind, Data: []byte(c.data)}); got != c.want {
			t.Errorf("%s %q: %v", c.kind, c.data, got)
		}
	}
}

func TestWishes(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8::7")
	w := wishesOf(&message.CP{Attributes: []message.CPAttribute{
		{Type: message.InternalIP4Address, Value: []byte{192, 0, 2, 7}}, {Type: message.InternalIP4Address, Value: make([]byte, 4)},
		{Type: message.InternalIP6Address, Value: append(v6.AsSlice(), 64)}, {Type: message.InternalIP6Address, Value: []byte{1, 2, 3}},
		{Type: message.InternalIP6Address, Value: make([]byte, 17)}, {Type: message.InternalIP4DNS},
		{Type: message.InternalIP6Address, Value: netip.MustParseAddr("::ffff:192.0.2.8").AsSlice()},
	}})
	if want := []netip.Addr{netip.MustParseAddr("192.0.2.7"), v6}; !w.ipv4 || !w.ipv6 || !slices.Equal(w.addresses, want) {
		t.Errorf("wishes %+v, expected %v", w, want)
	}
}
