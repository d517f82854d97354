package ikev2

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"bridgehead/auth"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// offerOf is an IKE proposal of a group, known or not.
func offerOf(groups ...uint16) []message.Proposal {
	p := suite.Proposal{Protocol: message.ProtocolIKE, Transforms: []message.Transform{
		{Type: message.TransformENCR, ID: uint16(suite.EncrAESCBC), KeyLength: 256}, {Type: message.TransformINTEG, ID: uint16(suite.IntegHMACSHA2_256128)},
		{Type: message.TransformPRF, ID: uint16(suite.PRFHMACSHA256)},
	}}
	for _, g := range groups {
		p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformKE, ID: g})
	}
	return suite.Proposals{p}.Offer(nil)
}

// CVE-2014-9221: a key exchange of the private group 1025, the number that
// strongSwan has for groups of its own. Others that nobody has are tried, too,
// with values of each length: in IKE_SA_INIT, and in rekeys of both kinds.
func TestCVE2014_9221_PrivateGroup(t *testing.T) {
	const x25519 = uint16(suite.X25519)
	strange := []uint16{0, 3, 4, 6, 13, 24, 26, 30, 1023, 1024, 1025, 1030, 1040, 65535}
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	for _, group := range strange {
		for _, size := range []int{0, 1, 32, 128, 2048} {
			why := fmt.Sprintf("group %d, %d octets", group, size)
			ke := &message.KE{Group: group, Data: make([]byte, size)}
			n := p.onlyNotify(why+", not offered", p.initMessage(offerOf(x25519), ke), message.InvalidKEPayload)
			if !bytes.Equal(n.Data, []byte{0, byte(x25519)}) {
				t.Errorf("%s: INVALID_KE_PAYLOAD names %x", why, n.Data)
			}
			p.onlyNotify(why+", offered first", p.initMessage(offerOf(group, x25519), ke), message.InvalidKEPayload)
			p.onlyNotify(why+", offered alone", p.initMessage(offerOf(group), ke), message.NoProposalChosen)
		}
	}
	p.establish()
	for _, group := range strange[1:] { // 0 is NONE
		ke := &message.KE{Group: group, Data: make([]byte, 32)}
		offer := offerOf(group)
		offer[0].SPI = []byte{7, 7, 7, 7, 7, 7, 7, 7}
		answer := p.request(message.ExchangeCreateChildSA, &message.SA{Proposals: offer}, &message.Nonce{Data: p.ni}, ke)
		wantNotify(t, fmt.Sprintf("IKE rekey with group %d", group), answer, message.NoProposalChosen)
		esp := p.childMessage(p.childSPI, ke)
		sa := message.Find[*message.SA](esp)
		sa.Proposals[0].Transforms = append(sa.Proposals[0].Transforms, message.Transform{Type: message.TransformKE, ID: group})
		if answer := p.request(message.ExchangeCreateChildSA, esp...); message.Find[*message.SA](answer) != nil {
			t.Errorf("Child rekey with group %d: answered with %s", group, describe(answer))
		}
		p.wantState(fmt.Sprintf("after group %d", group), StateEstablished)
	}
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	w.livesOn("private groups")
}

// CVE-2013-6075: identities whose octets are not what their type says, such as
// distinguished names cut short, as IDi and as IDr.
func TestCVE2013_6075_CraftedIdentities(t *testing.T) {
	name := []byte{0x30, 0x12, 0x31, 0x10, 0x30, 0x0e, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x07, 'e', 'x', 'a', 'm', 'p', 'l', 'e'}
	bodies := map[string][]byte{
		"nothing": {}, "one octet": {0x30}, "a name": name, "length alone": {0x30, 0x80}, "endless length": {0x30, 0x84, 0xff, 0xff, 0xff, 0xff},
		"no set": {0x30, 0x02, 0x31, 0x00}, "no value": {0x30, 0x09, 0x31, 0x07, 0x30, 0x05, 0x06, 0x03, 0x55, 0x04, 0x03},
		"value longer than all": {0x30, 0x0b, 0x31, 0x09, 0x30, 0x07, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x7f},
		"deep nest":             bytes.Repeat([]byte{0x30, 0x80}, 300), "zeros": make([]byte, 64), "control characters": []byte("a\x1b[2J\r\nb\x00"),
		"not UTF-8": {0xff, 0xfe, 0xc0, 0x80}, "long": bytes.Repeat([]byte("x"), 4000),
	}
	for n := range name {
		bodies[fmt.Sprintf("a name cut at %d", n)] = name[:n]
	}
	kinds := []message.IDKind{message.IDIPv4Addr, message.IDFQDN, message.IDIPv6Addr, message.IDDERASN1DN, message.IDDERASN1GN, message.IDKeyID, 0, 255}
	for what, body := range bodies {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			for _, kind := range kinds {
				for _, responder := range []bool{false, true} {
					w.login(&message.ID{Responder: responder, Kind: kind, Data: body})
				}
			}
			w.livesOn(what)
		})
	}
}

// login has a peer of this IDi, or asking for this IDr, log in as far as it
// gets; what is shown of it has no control characters. Then it leaves.
func (w *world) login(id *message.ID) {
	w.Helper()
	w.peers = nil
	p := w.newPeer()
	if id.Responder {
		p.asks = append(p.asks, id)
	} else {
		p.idi = id
	}
	p.init().identify()
	if p.sa().State() == StateAwaitEAP {
		for range 3 {
			p.answerEAP()
		}
		if _, err := p.eap.Respond(p.challenge); err != nil {
			w.Fatal(err)
		}
		p.prove()
		for _, s := range w.gateway.sessions() {
			if strings.ContainsFunc(s.Identity, unicode.IsControl) || s.User != "alice" {
				w.Errorf("%+v: shown as %q, the session being %s's", id, s.Identity, s.User)
			}
		}
		p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	} else {
		p.wantState(fmt.Sprintf("identity %d of %d octets", id.Kind, len(id.Data)), StateRefused)
	}
	w.run(2*time.Minute, nil)
}

// CVE-2013-6076: fragments whose numbers make no sense, sealed as they should
// be. The login goes on after each of them, unless what they add up to is
// itself nonsense.
func TestCVE2013_6076_CraftedFragments(t *testing.T) {
	type fragment struct {
		number, total uint16
		size          int
	}
	for name, fragments := range map[string][]fragment{
		"0 of 0":               {{0, 0, 8}},
		"0 of 1":               {{0, 1, 8}},
		"2 of 1":               {{2, 1, 8}},
		"65535 of 65535":       {{65535, 65535, 8}},
		"1 of 65535":           {{1, 65535, 8}},
		"nothing inside":       {{1, 2, 0}, {2, 2, 0}},
		"total shrinks":        {{1, 5, 8}, {2, 3, 8}, {1, 1, 8}},
		"total grows":          {{1, 2, 8}, {2, 3, 8}, {1, 60000, 8}},
		"the last alone":       {{9, 9, 8}},
		"the same again":       {{1, 3, 8}, {1, 3, 8}, {1, 3, 9}, {1, 3, 4}},
		"larger than allowed":  {{1, 4, 30000}, {2, 4, 30000}, {3, 4, 30000}},
		"total shrinks to fit": {{1, 3, 8}, {2, 3, 8}, {2, 2, 8}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer().init()
			sealer, err := p.suite.NewSealer(p.keys.Ei, p.keys.Ai)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fragments {
				h := message.Header{InitiatorSPI: p.spii, ResponderSPI: p.spir, Version: message.Version2, Exchange: message.ExchangeAuth, Flags: message.FlagInitiator, MessageID: 1}
				b, err := sealer.Seal(h.AppendSKF(nil, message.TypeIDi, f.number, f.total, sealer.Len(f.size)), make([]byte, f.size), p.octets)
				if err != nil {
					t.Fatal(err)
				}
				for _, cut := range []int{len(b), len(b) - 1, message.HeaderLen + 8, message.HeaderLen + 5} {
					p.raw(b[:cut])
				}
			}
			w.nobodyIsIn(name)
			w.run(2*time.Minute, nil)
			w.unharmed(name)
		})
	}
}

// strongSwan 5.6.2: a session key shorter than 64 octets, as some RADIUS
// servers give it, keys the AUTH payloads with every PRF.
func TestSessionKeyOfEachLengthWithEachPRF(t *testing.T) {
	for _, hash := range []string{"sha1", "sha256", "sha384", "sha512"} {
		for _, size := range []int{32, 64} {
			b := &scripted{steps: []auth.Step{{Packet: []byte{1, 7, 0, 5, 1}}, {Verdict: auth.Accept, Packet: []byte{3, 7, 0, 4}, Grant: grant(size)}}}
			w := newWorld(t, 1, func(cfg *Config) {
				cfg.Backend, cfg.IKE = b, proposals(t, message.ProtocolIKE, "aes256-"+hash+"-x25519")
			})
			p := w.newPeer()
			choice, err := suite.Select(w.gateway.cfg.IKE, w.gateway.cfg.IKE.Offer(nil), suite.GatewayOrder)
			if err != nil {
				t.Fatal(err)
			}
			if p.suite, err = choice.IKE(); err != nil {
				t.Fatal(err)
			}
			p.init().identify()
			p.request(message.ExchangeAuth, &message.EAP{Packet: []byte{2, 7, 0, 5, 1}})
			if answer := p.request(message.ExchangeAuth, p.proofOver(make([]byte, size))); message.FindTS(answer, false) == nil {
				t.Errorf("%s, key of %d octets: answered with %s", hash, size, describe(answer))
			}
			p.wantState(hash, StateEstablished)
		}
	}
}
