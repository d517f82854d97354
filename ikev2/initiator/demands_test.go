package initiator

import (
	"crypto/x509"
	"encoding/binary"
	"net/netip"
	"testing"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// demanding logs a profile in to a gateway that takes what it offers first,
// with changes to configuration and gateway.
func demanding(t *testing.T, p *Profile, change func(*Config, *gateway)) *conn {
	t.Helper()
	cfg := testConfig()
	cfg.Profile = p
	g := &gateway{rsa: true}
	change(&cfg, g)
	c := newConn(t, 70, cfg)
	c.gateway.ike = parse(t, message.ProtocolIKE, "aes256-sha256-modp4096,aes256gcm16-prfsha256-ecp256,aes256-sha256-modp2048")
	c.gateway.esp = parse(t, message.ProtocolESP, "aes256gcm16,aes256-sha1")
	c.gateway.rsa, c.gateway.pss, c.gateway.forge, c.gateway.onAuth, c.gateway.onFinal = g.rsa, g.pss, g.forge, g.onAuth, g.onFinal
	return c
}

func TestDemands(t *testing.T) {
	addToReply := func(as ...message.CPAttribute) func(*Config, *gateway) {
		return func(_ *Config, g *gateway) {
			g.onFinal = func(answer []message.Payload) []message.Payload {
				cp := message.Find[*message.CP](answer)
				cp.Attributes = append(cp.Attributes, as...)
				return answer
			}
		}
	}
	mask := message.CPAttribute{Type: message.InternalIP4Netmask, Value: []byte{255, 255, 255, 0}}
	for _, test := range []struct {
		what    string
		profile *Profile
		change  func(*Config, *gateway)
		verdict Verdict // none: it logs in
	}{
		{"Android and an ECDSA certificate", Android(), func(_ *Config, g *gateway) { g.rsa = false }, VerdictCertificate},
		{"iOS and an ECDSA certificate", Apple(), func(_ *Config, g *gateway) { g.rsa = false }, VerdictCertificate},
		{"ours and an ECDSA certificate", DefaultProfile(), func(_ *Config, g *gateway) { g.rsa = false }, ""},
		{"Android and RSASSA-PSS", Android(), func(_ *Config, g *gateway) { g.pss = true }, VerdictSignature},
		{"ours and RSASSA-PSS", DefaultProfile(), func(_ *Config, g *gateway) { g.pss = true }, ""},
		{"Android and another IDr", Android(), func(c *Config, g *gateway) {
			g.forge = func(_ *message.ID, nonce []byte) (*message.ID, []byte) {
				return &message.ID{Responder: true, Kind: message.IDDERASN1DN, Data: chain().rsaLeaf.RawSubject}, nonce
			}
		}, VerdictProtocol},
		{"Android and a CERT payload of another encoding", Android(), func(_ *Config, g *gateway) {
			g.onAuth = func(answer []message.Payload) []message.Payload {
				return append(answer, &message.Cert{Encoding: 7, Data: []byte{1}})
			}
		}, VerdictProtocol},
		{"Windows and a CERT payload of another encoding", Windows10DH2048(), func(_ *Config, g *gateway) {
			g.onAuth = func(answer []message.Payload) []message.Payload {
				return append(answer, &message.Cert{Encoding: 7, Data: []byte{1}})
			}
		}, ""},
		{"Android and a netmask", Android(), addToReply(mask), ""},
		{"Android and two netmasks", Android(), addToReply(mask, mask), VerdictProtocol},
		{"Windows and two netmasks", Windows10DH2048(), addToReply(mask, mask), ""},
		{"Android and an address of 3 octets", Android(), addToReply(message.CPAttribute{Type: message.InternalIP4DNS, Value: []byte{1, 2, 3}}), VerdictProtocol},
		{"Android and an attribute it does not know", Android(), addToReply(message.CPAttribute{Type: message.InternalDNSDomain, Value: []byte("x")}), ""},
	} {
		c := demanding(t, test.profile, test.change)
		if c.login(); test.verdict == "" {
			c.established()
		} else if got := c.failure().Verdict(); got != test.verdict {
			t.Errorf("%s: %v, want %s", test.what, c.failure(), test.verdict)
		}
	}
}

// TestAndroidAndNATOverIPv6: NAT detection that does not fit ends its login
// over IPv6 and no other.
func TestAndroidAndNATOverIPv6(t *testing.T) {
	v6 := Endpoints{
		LocalIKE: netip.MustParseAddrPort("[2001:db8::2]:500"), RemoteIKE: netip.MustParseAddrPort("[2001:db8::1]:500"),
		LocalNATT: netip.MustParseAddrPort("[2001:db8::2]:4500"), RemoteNATT: netip.MustParseAddrPort("[2001:db8::1]:4500"),
	}
	for _, test := range []struct {
		profile   *Profile
		endpoints Endpoints
		nat, in   bool
	}{
		{Android(), v6, false, true}, {Android(), v6, true, false}, {Android(), testEndpoints, true, true}, {Apple(), v6, true, true},
	} {
		c := demanding(t, test.profile, func(cfg *Config, _ *gateway) { cfg.ForceEncap = test.nat })
		c.handle(Start{test.endpoints})
		if _, in := notice[Established](c); in != test.in {
			t.Errorf("%s over %s, NAT %t: logged in %t", test.profile.Name, test.endpoints.LocalIKE, test.nat, in)
		}
	}
}

// TestSignatureMethods: RFC 7427 is for those that announce it.
func TestSignatureMethods(t *testing.T) {
	d := Demands{}
	if d.onSignature(&message.Auth{Method: message.AuthSignature}, true) != nil || d.onSignature(&message.Auth{Method: message.AuthRSASHA1}, false) != nil {
		t.Error("a good method is refused")
	}
	if d.onSignature(&message.Auth{Method: message.AuthSignature}, false) == nil {
		t.Error("method 14 is taken by a client that did not announce it")
	}
}

func TestExactNames(t *testing.T) {
	leaf := &x509.Certificate{DNSNames: []string{"*.example.org", "vpn.example.com"}}
	android, apple := &Android().Demands, &AppleProfile().Demands
	apple.RSA, android.RSA = false, false
	for name, want := range map[string]bool{"vpn.example.org": false, "VPN.example.com": true} {
		if got := android.onCertificate(nil, leaf, name) == nil; got != want {
			t.Errorf("Android takes the certificate for %s: %t", name, got)
		}
		if apple.onCertificate(nil, leaf, name) != nil {
			t.Errorf("Apple refuses the certificate for %s, which others check", name)
		}
	}
}

// TestWindowsRefusesRekeysItsWay: by status notification 12345 with an error
// code.
func TestWindowsRefusesRekeysItsWay(t *testing.T) {
	const none = 0
	for _, test := range []struct {
		what string
		nat  bool
		ike  suite.Group // of a rekey of the IKE SA; none: of the Child SA
		ke   suite.Group
		code uint32
	}{
		{"Child SA behind a NAT", true, none, none, 13863},
		{"Child SA with a key exchange", false, none, suite.MODP2048, 13816},
		{"Child SA", false, none, none, none},
		{"IKE SA with ecp256", true, suite.ECP256, none, 13816},
		{"IKE SA with modp2048", true, suite.MODP2048, none, none},
	} {
		c := demanding(t, Windows10DH2048(), func(cfg *Config, _ *gateway) { cfg.ForceEncap = test.nat })
		c.login()
		c.established()
		child, _ := c.sa.Child()
		var ps []message.Payload
		if test.ike != none {
			pair, err := test.ike.Generate(c.gateway.rand)
			c.gateway.must(err)
			ps = []message.Payload{&message.SA{Proposals: suite.Proposals{c.sa.ike.suite.Proposal()}.Offer(c.gateway.octets(8))},
				&message.Nonce{Data: c.gateway.octets(32)}, &message.KE{Group: uint16(test.ike), Data: pair.Public()}}
		} else {
			ps = []message.Payload{
				&message.Notify{Protocol: message.ProtocolESP, SPI: binary.BigEndian.AppendUint32(nil, child.Out.SPI), Kind: message.RekeySA},
				&message.SA{Proposals: suite.Proposals{child.In.Suite.Proposal()}.Offer(c.gateway.octets(4))}, &message.Nonce{Data: c.gateway.octets(32)},
				&message.TS{Selectors: child.Remote}, &message.TS{Responder: true, Selectors: child.Local}}
			if test.ke != none {
				ps = append(ps, &message.KE{Group: uint16(test.ke), Data: make([]byte, test.ke.PublicLen())})
			}
		}
		g := c.gateway.latest()
		c.deliver(c.gateway.request(g, message.ExchangeCreateChildSA, ps...))
		n := message.FindNotify(g.answered[0], windowsStatus)
		if (n != nil) != (test.code != none) || n != nil && binary.BigEndian.Uint32(n.Data) != test.code {
			t.Errorf("%s: answered with %s, notification %+v, want code %d", test.what, order(g.answered[0]), n, test.code)
		}
		if n == nil && message.Find[*message.SA](g.answered[0]) == nil {
			t.Errorf("%s: refused with %s", test.what, order(g.answered[0]))
		}
	}
}
