package ikev2

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// trial is a world in which one quirk is tried, on or off.
type trial struct {
	*testing.T
	off   []Quirk
	notes []Note
}

// world makes it.
func (q *trial) world(change func(*Config)) *world {
	w := newWorld(q, 1, func(c *Config) {
		c.WithoutQuirks = q.off
		c.IKE = suiteOf(q, message.ProtocolIKE, "aes256-aes128-sha384-sha256-sha1-modp4096-modp3072-modp2048-modp1024-x25519-ecp256")
		c.ESP = suiteOf(q, message.ProtocolESP, "aes256-aes128-sha256-sha1,aes256gcm16")
		if change != nil {
			change(c)
		}
	})
	w.notes = &q.notes
	return w
}

func suiteOf(t testing.TB, p message.Protocol, list string) suite.Proposals {
	t.Helper()
	ps, err := suite.ParseProposals(p, list)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// login is a client of a profile that logs in; how it ends is up to the trial.
func (q *trial) login(w *world, p *initiator.Profile, change func(*initiator.Config)) *device {
	d := w.newDevice(func(c *initiator.Config) {
		c.Profile = p
		if change != nil {
			change(c)
		}
	})
	d.login()
	return d
}

// outcome is how a login ended.
func (d *device) outcome() string {
	if d.up {
		return "up"
	}
	rs := d.w.refusals()
	if len(rs) == 0 {
		return "no answer"
	}
	return string(rs[len(rs)-1].Cause)
}

// onlySA is the one SA there is.
func (w *world) onlySA() *SA {
	w.Helper()
	for _, sa := range w.gateway.reg.sas {
		if len(w.gateway.reg.sas) == 1 {
			return sa
		}
	}
	w.Fatalf("%d SAs", len(w.gateway.reg.sas))
	return nil
}

// noted gives an attribute of the notes with a text, or how many there are.
func (q *trial) noted(text, attr string) string {
	n, found := 0, ""
	for _, note := range q.notes {
		if note.Text != text {
			continue
		}
		n++
		for _, a := range note.Attrs {
			if a.Key == attr {
				found = a.Value.String()
			}
		}
	}
	if attr == "" {
		return fmt.Sprint(n)
	}
	return found
}

// signature is how the gateway signs for a client where it could do so with
// ECDSA or RSA.
func (q *trial) signature(p *initiator.Profile) string {
	w := q.world(func(c *Config) { c.Certificates = []Certificate{ecdsaIdentity(), rsaIdentity()} })
	q.login(w, p, nil)
	return q.noted("client identified itself", "auth")
}

func microsoft() message.Payload {
	return &message.VendorID{Data: append(slices.Clone(vendorMicrosoft), 0, 0, 0, 9)}
}

// TestQuirks shows what each allowance changes: what is seen with it, and
// with it switched off.
func TestQuirks(t *testing.T) {
	windows, apple, android := initiator.Windows10DH2048, initiator.Apple, initiator.Android
	for _, c := range []struct {
		quirk   Quirk
		on, off string
		see     func(q *trial) string
	}{
		{QuirkW1, "starts Child rekeys: false, with KE: false", "starts Child rekeys: true, with KE: true", func(q *trial) string {
			w := q.world(nil)
			q.login(w, windows(), nil)
			return fmt.Sprintf("starts Child rekeys: %v, with KE: %v", w.onlySA().startsChildRekey(), w.onlySA().rekeysChildWithKE())
		}},
		{QuirkW2, "aes256-sha384-modp2048", "aes256-sha1-modp2048", func(q *trial) string {
			w := q.world(nil)
			q.login(w, windows(), nil)
			return w.onlySA().suite.String()
		}},
		{QuirkW3, "up", "unknown-user", func(q *trial) string {
			return q.login(q.world(nil), windows(), func(c *initiator.Config) { c.User = `CORP\alice` }).outcome()
		}},
		{QuirkW4, "it is behind a NAT", "nothing", func(q *trial) string {
			p := q.world(nil).newPeer().establish()
			p.request(message.ExchangeInformational, status(message.MSStatus, []byte{0, 0, 0x36, 0x27}))
			return cmp.Or(q.noted("client reports a Windows error", "meaning"), "nothing")
		}},
		{QuirkW5, "1 RSA", "9 ECDSA", func(q *trial) string { return q.signature(windows()) }},
		{QuirkW6, "up to 576 octets", "more", func(q *trial) string {
			w, most := q.world(nil), 0
			w.wire.tap = func(toGateway bool, data []byte) []byte {
				if !toGateway {
					most = max(most, len(data)+28)
				}
				return data
			}
			q.login(w, windows(), nil)
			if most <= 576 {
				return "up to 576 octets"
			}
			return "more"
		}},
		{QuirkW7, "0", "2", func(q *trial) string {
			q.login(q.world(nil), windows(), nil)
			return q.noted("configuration attribute not known here", "")
		}},
		{QuirkW8, "true", "false", func(q *trial) string {
			w := q.world(func(c *Config) {
				c.LocalSubnets, c.DHCPServer = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, netip.MustParseAddr("10.0.0.1")
			})
			q.login(w, windows(), nil)
			return fmt.Sprint(w.lastEvent().Session.DHCPServer.IsValid())
		}},
		{QuirkW9, "EAP code 4, Win32 code 647", "EAP code 1, no Win32 code", func(q *trial) string {
			w := q.world(func(c *Config) {
				c.Backend = mschapv2.NewBackend(mschapv2.NewHashVerifier(userFile{"alice": {Hash: users["alice"].Hash, Disabled: true}}), mschapv2.Options{})
			})
			p := w.newPeer()
			p.extensions = append(p.extensions, microsoft())
			p.init().identify()
			p.answerEAP()
			answer := p.answerEAP()
			code := "no Win32 code"
			if n := message.FindNotify(answer, message.MSStatus); n != nil {
				code = fmt.Sprintf("Win32 code %d", int(n.Data[2])<<8|int(n.Data[3]))
			}
			return fmt.Sprintf("EAP code %d, %s", message.Find[*message.EAP](answer).Packet[0], code)
		}},
		{QuirkW10, "0 answers", "1 answers", func(q *trial) string {
			p := q.world(nil).newPeer()
			v1 := make([]byte, 400)
			copy(v1, "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01\x10\x02\x00")
			v1[26], v1[27] = 400>>8, 400&0xff
			return fmt.Sprintf("%d answers", len(p.raw(v1)))
		}},
		{QuirkW11, "0 ended", "1 ended", func(q *trial) string {
			w := q.world(nil)
			w.newPeer().establish()
			w.peers = nil
			p := w.newPeer()
			p.spii[0], p.childSPI, p.from = 0xaa, []byte{0xc0, 0, 0, 7}, netip.MustParseAddrPort("198.51.100.9:500")
			p.extensions = append(p.extensions, microsoft(), &message.VendorID{Data: vendorInitialContact})
			p.establish()
			return fmt.Sprintf("%d ended", w.count(EventDown))
		}},
		{QuirkA1, "1 RSA", "9 ECDSA", func(q *trial) string { return q.signature(apple()) }},
		{QuirkA2, "1 answers with a chosen proposal", "0 answers", func(q *trial) string {
			p := q.world(nil).newPeer()
			ke, _ := p.ke(p.suite.Group)
			offer := suite.Proposals{p.suite.Proposal()}.Offer(nil)
			offer = append(offer, offer[0])
			offer[0].Number, offer[1].Number = 7, 8
			answers := p.raw(p.initMessage(offer, ke, status(message.RedirectSupported, nil)))
			if len(answers) == 1 && message.Find[*message.SA](p.parse(answers[0]).Payloads).Proposals[0].Number == 7 {
				return "1 answers with a chosen proposal"
			}
			return fmt.Sprintf("%d answers", len(answers))
		}},
		{QuirkA3, "asked after 10m0s, rekeys by time: false", "asked after 1m0s, rekeys by time: true", func(q *trial) string {
			w := q.world(func(c *Config) { c.Timers.DPD = time.Minute })
			q.login(w, apple(), nil)
			sa := w.onlySA()
			return fmt.Sprintf("asked after %v, rekeys by time: %v", sa.watchDeadline().Sub(sa.watch.heard), sa.rekeysByTime())
		}},
		{QuirkA4, "0 ended", "1 ended", func(q *trial) string {
			w := q.world(nil)
			private := &message.ID{Kind: message.IDIPv4Addr, Data: []byte{192, 168, 1, 10}}
			p := w.newPeer()
			p.idi = private
			p.establish()
			w.again(private, true).prove()
			return fmt.Sprintf("%d ended", w.count(EventDown))
		}},
		{QuirkA5, "[corp.example.org]", "[]", func(q *trial) string {
			w := q.world(func(c *Config) {
				c.LocalSubnets, c.Domains = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, []string{"corp.example.org"}
			})
			return fmt.Sprint(q.login(w, apple(), nil).sa.Result().Config.Domains)
		}},
		{QuirkD1, "14 RSA", "14 ECDSA", func(q *trial) string { return q.signature(android()) }},
		{QuirkD2, "modp2048", "x25519", func(q *trial) string {
			p := q.world(func(c *Config) {
				c.IKE = suiteOf(q, message.ProtocolIKE, "aes256-sha256-x25519-modp2048")
			}).newPeer()
			p.extensions = []message.Payload{status(message.SignatureHashAlgorithms, []byte{0, 1, 0, 2, 0, 3, 0, 4})}
			offer := suiteOf(q, message.ProtocolIKE, "aes256-sha256-modp4096-x25519-modp2048,aes128-sha1-modp4096-modp2048").Offer(nil)
			ke, _ := p.ke(suite.MODP4096)
			answers := p.raw(p.initMessage(offer, ke))
			n := wantNotify(q, "another group", p.parse(answers[0]).Payloads, message.InvalidKEPayload)
			return suite.Group(int(n.Data[0])<<8 | int(n.Data[1])).String()
		}},
		{QuirkD3, "up", "no-eap-identity", func(q *trial) string { return q.login(q.world(nil), android(), nil).outcome() }},
		{QuirkD4, "10s at most", "no limit of its own", func(q *trial) string {
			limit := "no limit of its own"
			w := q.world(func(c *Config) { c.Backend = deadlineBackend{&limit} })
			q.login(w, android(), nil)
			return limit
		}},
		{QuirkD5, "plain ESP", "ESP in UDP", func(q *trial) string {
			w := q.world(func(c *Config) { c.ForceEncapIPv6 = true })
			p := w.newPeer()
			p.from, p.to = netip.MustParseAddrPort("[2001:db8:5::1]:500"), netip.AddrPortFrom(gatewayV6, 500)
			p.extensions = []message.Payload{status(message.SignatureHashAlgorithms, []byte{0, 1, 0, 2, 0, 3, 0, 4})}
			offer := append(suite.Proposals{p.suite.Proposal()}.Offer(nil), initiator.Android().IKE...)
			ke, _ := p.ke(p.suite.Group)
			p.raw(p.initMessage(offer, ke))
			return map[bool]string{true: "ESP in UDP", false: "plain ESP"}[w.onlySA().nat.encap()]
		}},
		{QuirkD6, "bridgehead", "nothing", func(q *trial) string {
			p := q.world(nil).newPeer()
			p.asks = []message.Payload{configRequest(message.InternalIP4Address, message.ApplicationVersion)}
			answer := p.init().throughEAP().prove()
			for _, a := range message.Find[*message.CP](answer).Attributes {
				if a.Type == message.ApplicationVersion {
					return string(a.Value)
				}
			}
			return "nothing"
		}},
		{QuirkS1, "method 14", "method 1", func(q *trial) string {
			p := q.world(nil).newPeer()
			p.extensions = append(p.extensions, status(message.RedirectSupported, nil), status(message.SignatureHashAlgorithms, []byte{0, 2, 0, 3, 0, 4}))
			return fmt.Sprintf("method %d", message.Find[*message.Auth](p.init().identify()).Method)
		}},
		{QuirkS2, "ESP in UDP", "plain ESP", func(q *trial) string {
			w := q.world(func(c *Config) { c.ForceEncapIPv4 = false })
			p := w.newPeer()
			destination := exchange.NATHash(p.spii, message.SPI{}, p.to)
			p.noNATT = true
			p.extensions = append(p.extensions, &message.VendorID{Data: vendorStrongSwan},
				status(message.NATDetectionSourceIP, bytes.Repeat([]byte{7}, 20)), status(message.NATDetectionDestinationIP, destination[:]))
			p.init()
			return map[bool]string{true: "ESP in UDP", false: "plain ESP"}[w.onlySA().nat.encap()]
		}},
		{QuirkM1, "rekeyed", "INVALID_SYNTAX", func(q *trial) string {
			p := q.world(nil).newPeer().establish()
			old := p.childSPI
			p.childSPI = []byte{0xc0, 0, 0, 2}
			answer := p.request(message.ExchangeCreateChildSA, p.childMessage(old, configRequest(message.InternalIP4Address))...)
			if message.FindNotify(answer, message.InvalidSyntax) != nil {
				return "INVALID_SYNTAX"
			}
			return map[bool]string{true: "rekeyed", false: describe(answer)}[message.Find[*message.SA](answer) != nil]
		}},
	} {
		t.Run(c.quirk.String(), func(t *testing.T) {
			if got := c.see(&trial{T: t}); !strings.HasPrefix(got, c.on) {
				t.Errorf("on: %q, expected %q", got, c.on)
			}
			if got := c.see(&trial{T: t, off: []Quirk{c.quirk}}); !strings.HasPrefix(got, c.off) {
				t.Errorf("off: %q, expected %q", got, c.off)
			}
		})
	}
}

// deadlineBackend notes how long it would be given, and answers nothing.
type deadlineBackend struct{ limit *string }

func (b deadlineBackend) Begin(ctx context.Context, _ auth.Peer) (auth.Conversation, error) {
	if until, bounded := ctx.Deadline(); bounded && time.Until(until) <= androidPatience {
		*b.limit = "10s at most"
	}
	return nil, context.DeadlineExceeded
}

// What holds for every client whatever the settings: payloads in any order, and
// unknown ones; sessions that outlive their keys; a client back with another
// group under the same nonce or another one, or another SPI.
func TestRulesForAllClients(t *testing.T) {
	t.Run("G1", func(t *testing.T) {
		p := newWorld(t, 1, nil).newPeer()
		p.extensions = append(p.extensions, &message.VendorID{Data: []byte("nobody knows this")}, status(message.NotifyType(65000), nil))
		pair, err := p.suite.Group.Generate(p.octets)
		if err != nil {
			t.Fatal(err)
		}
		ke := &message.KE{Group: uint16(p.suite.Group), Data: pair.Public()}
		shuffled := p.initMessage(suite.Proposals{p.suite.Proposal()}.Offer(nil), ke, status(message.RedirectSupported, nil), &message.VendorID{Data: []byte("first")})
		if answers := p.raw(shuffled); len(answers) != 1 || message.Find[*message.SA](p.parse(answers[0]).Payloads) == nil {
			t.Errorf("%d answers", len(answers))
		}
	})
	t.Run("G2", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		d := w.newDevice(nil).mustLogin()
		w.run(30*24*time.Hour, nil)
		if d.closed || len(w.plane.children) != 1 {
			t.Error("the session has ended")
		}
	})
	t.Run("G3", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		w.newDevice(func(c *initiator.Config) { c.Profile = initiator.DefaultProfile() })
		for _, fresh := range []bool{false, true} {
			p := w.newPeer()
			offer := suiteOf(t, message.ProtocolIKE, "aes256-sha256-modp1536-x25519").Offer(nil)
			ke, _ := p.ke(suite.MODP1536)
			wantNotify(t, "the wrong group", p.parse(p.raw(p.initMessage(offer, ke))[0]).Payloads, message.InvalidKEPayload)
			if len(w.gateway.reg.sas) != 0 {
				t.Error("an SA was made")
			}
			if fresh {
				p.spii[1], p.ni = 0x77, bytes.Repeat([]byte{8}, 32)
			}
			p.establish()
			p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
			w.run(time.Minute, nil)
			w.peers = nil
		}
	})
	for _, q := range AllQuirks() {
		again, ok := ParseQuirk(strings.ToLower(q.String()))
		if !ok || again != q || q.Meaning() == "" || q.Fixed() != strings.HasPrefix(q.String(), "G") {
			t.Errorf("%s: read as %s, %v", q, again, ok)
		}
	}
}

// TestQuirksAreShown: a session lists what is allowed for it.
func TestQuirksAreShown(t *testing.T) {
	for want, p := range map[string]*initiator.Profile{
		"[W1 W2 W3 W4 W5 W6 W7 W8 W9 W11 A4]": initiator.Windows10DH2048(),
		"[A1 A2 A3 A4 A5]":                    initiator.Apple(),
		"[D1 D2 D3 D4 D5 D6]":                 initiator.Android(),
		"[S1 S2]":                             initiator.StrongSwanApp(),
	} {
		q := &trial{T: t}
		w := q.world(nil)
		if q.login(w, p, nil).outcome() != "up" {
			t.Fatalf("%s: %s", p.Name, describeRefusals(w.refusals()))
		}
		if got := fmt.Sprint(w.lastEvent().Session.Quirks); got != want {
			t.Errorf("%s: %s, expected %s", p.Name, got, want)
		}
	}
}
