package ikev2

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// onlyNotify checks a stateless answer: one notification, no responder SPI,
// nothing kept, and not too long.
func (p *peer) onlyNotify(why string, request []byte, kind message.NotifyType) *message.Notify {
	p.Helper()
	answers := p.raw(request)
	if len(answers) != 1 {
		p.Fatalf("%s: %d answers", why, len(answers))
	}
	if len(answers[0]) > 3*len(request) {
		p.Errorf("%s: %d octets answered with %d", why, len(request), len(answers[0]))
	}
	m := p.parse(answers[0])
	if !m.Header.ResponderSPI.IsZero() || m.Header.InitiatorSPI != p.spii || !m.Header.IsResponse() || len(m.Payloads) != 1 {
		p.Errorf("%s: answer %+v", why, m.Header)
	}
	if n := len(p.gateway.reg.sas); n != 0 {
		p.Errorf("%s: %d SAs were made", why, n)
	}
	return wantNotify(p, why, m.Payloads, kind)
}

func TestInitAnswersWithoutState(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	offer := suite.DefaultIKE().Offer(nil)
	ke := &message.KE{Group: uint16(suite.MODP1536), Data: make([]byte, 192)}
	n := p.onlyNotify("a group of no proposal", p.initMessage(offer, ke), message.InvalidKEPayload)
	if !bytes.Equal(n.Data, []byte{0, byte(suite.X25519)}) {
		t.Errorf("INVALID_KE_PAYLOAD names %x", n.Data)
	}
	weak := suite.Proposals{{Protocol: message.ProtocolIKE, Transforms: []message.Transform{
		{Type: message.TransformENCR, ID: 3}, {Type: message.TransformINTEG, ID: 2}, {Type: message.TransformPRF, ID: 2}, {Type: message.TransformKE, ID: 2},
	}}}
	ke = &message.KE{Group: 2, Data: make([]byte, 128)}
	p.onlyNotify("nothing acceptable", p.initMessage(weak.Offer(nil), ke), message.NoProposalChosen)
	if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != CauseNoIKEProposal || rs[0].Peer != p.from {
		t.Errorf("refusals %s", describeRefusals(rs))
	}
	p.onlyNotify("a critical payload", p.initMessage(offer, ke, &message.Unknown{Kind: 199, Critical: true}), message.UnsupportedCriticalPayload)
	later := p.initMessage(offer, ke)
	later[17] = 0x30
	p.onlyNotify("IKE version 3", later, message.InvalidMajorVersion)
}

func TestInitDroppedInSilence(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	good := p.initMessage(suite.DefaultIKE().Offer(nil), &message.KE{Group: uint16(suite.X25519), Data: bytes.Repeat([]byte{5}, 32)})
	for _, c := range []struct {
		name    string
		alter   func(b []byte) []byte
		counter Counter
	}{
		{"IKEv1", func(b []byte) []byte { b[17] = 0x10; return b }, DropVersion1},
		{"AuthIP", func(b []byte) []byte { b[17], b[18] = 0x10, 243; return b }, DropAuthIP},
		{"a response", func(b []byte) []byte { b[19] |= byte(message.FlagResponse); return b }, DropForeign},
		{"not from an initiator", func(b []byte) []byte { b[19] = 0; return b }, DropForeign},
		{"message id 1", func(b []byte) []byte { b[23] = 1; return b }, DropForeign},
		{"no initiator SPI", func(b []byte) []byte { clear(b[:8]); return b }, DropForeign},
		{"an unknown responder SPI", func(b []byte) []byte { b[15] = 1; return b }, DropUnknownSPI},
		{"cut short", func(b []byte) []byte { return b[:len(b)-1] }, DropMalformed},
		{"header only", func(b []byte) []byte { return b[:28] }, DropMalformed},
		{"less than a header", func(b []byte) []byte { return b[:27] }, DropMalformed},
		{"nothing", func(b []byte) []byte { return nil }, DropMalformed},
		{"too long", func(b []byte) []byte {
			b = append(b[:28:28], append([]byte{b[16], 0, 0x20, 0}, append(make([]byte, maxInit-4), b[28:]...)...)...)
			b[16] = 43 // a vendor id before all else
			binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
			return b
		}, DropMalformed},
		{"no payloads", func(b []byte) []byte { b = b[:28]; b[16], b[26], b[27] = 0, 0, 28; return b }, DropMalformed},
		{"version 3 response", func(b []byte) []byte { b[17], b[19] = 0x30, 0x20; return b }, DropMalformed},
	} {
		before := w.counter(c.counter)
		if answers := p.raw(c.alter(bytes.Clone(good))); len(answers) != 0 {
			t.Errorf("%s was answered", c.name)
		}
		if got := w.counter(c.counter) - before; got != 1 {
			t.Errorf("%s: counter %s moved by %d", c.name, c.counter, got)
		}
	}
	if len(w.gateway.reg.sas) != 0 || w.gateway.halfOpen.total.Load() != 0 {
		t.Error("an SA was made")
	}
	w.newDevice(nil).mustLogin()
}

// From the threshold on the client must first prove its address; the cookie
// binds address, SPI and nonce, and ages with the secret.
func TestCookies(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Limits.CookieThreshold = 1 })
	w.newPeer().init()
	w.peers = nil
	p := w.newPeer()
	p.spii[0] = 0xaa
	p.from = netip.MustParseAddrPort("198.51.100.77:500")
	offer, ke := suite.DefaultIKE().Offer(nil), &message.KE{Group: uint16(suite.X25519), Data: bytes.Repeat([]byte{5}, 32)}
	ask := func() []byte {
		t.Helper()
		answers := p.raw(p.initMessage(offer, ke))
		if len(answers) != 1 {
			t.Fatalf("%d answers", len(answers))
		}
		return wantNotify(t, "no cookie", p.parse(answers[0]).Payloads, message.Cookie).Data
	}
	accepted := func(cookie []byte) bool {
		t.Helper()
		m := p.parse(p.raw(p.initMessage(offer, ke, status(message.Cookie, cookie)))[0])
		return message.FindNotify(m.Payloads, message.Cookie) == nil
	}
	cookie := ask()
	if len(w.gateway.reg.sas) != 1 {
		t.Fatal("a request without cookie made an SA")
	}
	for i := range cookie {
		bad := bytes.Clone(cookie)
		bad[i] ^= 0x40
		if accepted(bad) {
			t.Errorf("a cookie with octet %d altered was accepted", i)
		}
	}
	p.from = netip.MustParseAddrPort("198.51.100.78:500")
	if accepted(cookie) {
		t.Error("another address may use the cookie")
	}
	p.from = netip.MustParseAddrPort("198.51.100.77:1024")
	w.run(90*time.Second, nil) // the secret has rotated once, and the first login is over
	w.peers = nil
	third := w.newPeer()
	third.spii[0] = 0xbb
	third.init()
	w.peers = []*peer{p}
	if !accepted(cookie) {
		t.Error("the cookie was refused although its secret was the last one")
	}
	w.run(3*time.Minute, nil)
	w.peers = nil
	third = w.newPeer()
	third.spii[0] = 0xcc
	third.init()
	w.peers = []*peer{p}
	if accepted(cookie) {
		t.Error("a cookie of minutes ago was accepted")
	}
}

func TestLoginWithCookieAndOtherGroup(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Limits.CookieThreshold = 1 })
	w.newPeer().init()
	ecp, err := suite.ParseProposals(message.ProtocolIKE, "aes256-sha256-x25519-ecp384,aes256-sha256-modp2048")
	if err != nil {
		t.Fatal(err)
	}
	w.gateway.cfg.IKE = ecp[1:]
	w.newDevice(func(c *initiator.Config) { c.IKE = ecp }).mustLogin()
	if w.counter(SentCookie) == 0 || w.counter(SentInvalidKE) == 0 {
		t.Errorf("%d cookies, %d INVALID_KE_PAYLOAD", w.counter(SentCookie), w.counter(SentInvalidKE))
	}
}

func TestHalfOpenLimits(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Limits.HalfOpen, c.Limits.HalfOpenPerAddress = 5, 3 })
	begin := func(addr string, n byte) bool {
		p := w.newPeer()
		w.peers = []*peer{p}
		p.spii, p.from = message.SPI{n, 1}, netip.MustParseAddrPort(addr)
		pair, _ := p.ke(suite.X25519)
		return len(p.raw(p.initMessage(suite.DefaultIKE().Offer(nil), pair))) == 1
	}
	for n := range byte(3) {
		if !begin("198.51.100.1:500", n) {
			t.Errorf("login %d of the first address was dropped", n)
		}
	}
	if begin("198.51.100.1:501", 3) || w.counter(DropHalfOpenAddress) != 1 {
		t.Error("a fourth login of one address was taken")
	}
	if !begin("[2001:db8:1:2::1]:500", 4) || !begin("[2001:db8:1:2::2]:500", 5) {
		t.Error("other addresses were dropped")
	}
	if begin("198.51.100.3:500", 6) || w.counter(DropHalfOpenTotal) != 1 {
		t.Error("a sixth login was taken")
	}
	w.run(2*time.Minute, nil)
	w.mustBeEmpty()
	if !begin("198.51.100.1:500", 7) {
		t.Error("dropped although all others are over")
	}
}

// A NAT is announced by family, where that is configured; else the hashes are
// exact.
func TestNATDetection(t *testing.T) {
	for _, c := range []struct {
		name          string
		force, force6 bool
		from, to      string
		seenFrom      string // by the gateway, through a NAT
		wantAnnounce  bool
		wantEncap     bool
	}{
		{"IPv4 without NAT", false, false, "198.51.100.200:500", "203.0.113.1:500", "", false, false},
		{"IPv4 without NAT, encapsulation forced", true, false, "198.51.100.200:500", "203.0.113.1:500", "", true, true},
		{"IPv4 behind a NAT", false, false, "10.0.0.1:500", "203.0.113.1:500", "198.51.100.9:61000", false, true},
		{"IPv6 without NAT, encapsulation forced on IPv4", true, false, "[2001:db8:2::9]:500", "[2001:db8:ffff::1]:500", "", false, false},
		{"IPv6 without NAT, encapsulation forced on IPv6", false, true, "[2001:db8:2::9]:500", "[2001:db8:ffff::1]:500", "", true, true},
		{"IPv4 without NAT, encapsulation forced on IPv6", false, true, "198.51.100.200:500", "203.0.113.1:500", "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, func(cfg *Config) { cfg.ForceEncapIPv4, cfg.ForceEncapIPv6 = c.force, c.force6 })
			p := w.newPeer()
			p.from, p.to = netip.MustParseAddrPort(c.from), netip.MustParseAddrPort(c.to)
			pair, _ := p.ke(suite.X25519)
			request := p.initMessage(suite.DefaultIKE().Offer(nil), pair)
			if c.seenFrom != "" {
				p.from = netip.MustParseAddrPort(c.seenFrom)
			}
			m := p.parse(p.raw(request)[0])
			spir := m.Header.ResponderSPI
			source, destination := exchange.NATHash(p.spii, spir, p.to), exchange.NATHash(p.spii, spir, p.from)
			fits := bytes.Equal(wantNotify(t, "answer", m.Payloads, message.NATDetectionSourceIP).Data, source[:])
			if fits == c.wantAnnounce {
				t.Errorf("source hash fits: %v", fits)
			}
			if !bytes.Equal(wantNotify(t, "answer", m.Payloads, message.NATDetectionDestinationIP).Data, destination[:]) {
				t.Error("the destination hash does not fit")
			}
			if got := w.gateway.reg.sas[spir].nat.encap(); got != c.wantEncap {
				t.Errorf("encapsulation %v, expected %v", got, c.wantEncap)
			}
		})
	}
}

// A login over IPv6 without NAT uses plain ESP and no NAT is announced.
func TestLoginOverIPv6(t *testing.T) {
	w := newWorld(t, 1, nil)
	d := w.newDevice(func(c *initiator.Config) { c.Profile = initiator.Android() })
	d.addr = netip.MustParseAddr("2001:db8:2::9")
	d.mustLogin()
	if path := w.plane.only(t).Path; path.Encap || !path.Remote.Addr().Is6() {
		t.Errorf("path %+v, expected plain ESP", path)
	}
}

// Whoever holds the keys may still point our chain of certificates at a
// victim: another address than that of IKE_SA_INIT gets three times what came
// from it, and more only once an answer has arrived there.
func TestAnswersToAnAddressNotProven(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().init()
	p.from = netip.MustParseAddrPort("198.51.100.66:4500")
	request := p.seal(message.ExchangeAuth, 0, 1, append([]message.Payload{p.idi}, append(p.asks, p.child()...)...), 0)[0]
	in, out, rounds := 0, 0, 0
	for ; out == 0 && rounds < 10; rounds++ {
		in += len(request)
		for _, d := range p.raw(request) {
			out += len(d)
		}
		if out > 3*in {
			t.Fatalf("%d octets went out for %d", out, in)
		}
	}
	if rounds == 1 || out == 0 {
		t.Errorf("answered with %d octets after %d requests of %d", out, rounds, len(request))
	}
	p.hear(p.open(p.heard, message.FlagResponse, 1))
	p.id = 2
	for range 3 {
		p.answerEAP()
	}
	if _, err := p.eap.Respond(p.challenge); err != nil {
		t.Fatal(err)
	}
	if answer := p.prove(); message.FindTS(answer, true) == nil {
		t.Errorf("the login does not go on from the proven address: %s", describe(answer))
	}
}

// A flood of requests that are refused without state fills no log.
func TestReportsOfStrangersAreRationed(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	weak := []message.Proposal{{Number: 1, Protocol: message.ProtocolIKE, Transforms: []message.Transform{{Type: message.TransformENCR, ID: 3}}}}
	request := p.initMessage(weak, &message.KE{Group: 2, Data: make([]byte, 128)})
	for range 1000 {
		hostile(t, w, p, request)
	}
	if got := w.counter(LoginsRefused); got != 1000 {
		t.Errorf("%d refusals were counted", got)
	}
	w.run(10*time.Second, nil)
	p.raw(request)
	if n := len(w.refusals()); n != 1 {
		t.Errorf("%d reports after the flood, expected the one of later", n)
	}
	if got := w.gateway.gate.reports.left; got < 10*rationStrangers.perSecond-2 || got > rationStrangers.burst {
		t.Errorf("%v reports are left", got)
	}
}

// A public value that is not valid costs what a good one does, and counts as
// a login under way as long.
func TestInvalidPublicValue(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	request := p.initMessage(suite.DefaultIKE().Offer(nil), &message.KE{Group: uint16(suite.X25519), Data: make([]byte, 32)})
	if answers := p.raw(request); len(answers) != 0 {
		t.Errorf("%d answers", len(answers))
	}
	if rs := w.refusals(); len(rs) != 1 || rs[0].Cause != CausePublicValue || rs[0].Session == "" {
		t.Errorf("refusals %s", describeRefusals(rs))
	}
	p.raw(request)
	if begun, counted := w.counter(LoginsBegun), w.gateway.halfOpen.total.Load(); begun != 1 || counted != 1 {
		t.Errorf("%d logins begun, %d count as under way, expected one", begun, counted)
	}
	w.run(2*time.Minute, nil)
	w.mustBeEmpty()
}
