package ikev2

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// quirksByClient are those that come with the kind of client; the others show
// in its messages.
var quirksByClient = map[client]quirks{
	clientWindows:    setOf(QuirkW1, QuirkW2, QuirkW3, QuirkW4, QuirkW5, QuirkW6, QuirkW8, QuirkW9, QuirkW11),
	clientApple:      setOf(QuirkA1, QuirkA2, QuirkA3),
	clientAndroid:    setOf(QuirkD1, QuirkD2, QuirkD4, QuirkD5),
	clientStrongSwan: setOf(QuirkS1),
}

// quirksOf are the allowances made for a kind of client from the first.
func (s *settings) quirksOf(c client) quirks { return quirksByClient[c] &^ s.without }

// shows notes that a client's message shows a quirk, and tells whether the
// gateway makes the allowance.
func (sa *SA) shows(q Quirk) bool {
	if sa.cfg.without.has(q) {
		return false
	}
	sa.session.quirks |= setOf(q)
	return true
}

// quirk tells whether the gateway makes this allowance for the client.
func (sa *SA) quirk(q Quirk) bool { return sa.session.quirks.has(q) }

// orderFor is whose order of proposals counts. Where it is to be the
// gateway's, Windows may still have its own if W2 is switched off.
func (s *settings) orderFor(c client) suite.Order {
	if c == clientWindows && s.without.has(QuirkW2) {
		return suite.ClientOrder
	}
	return s.Order
}

func (sa *SA) order() suite.Order { return sa.cfg.orderFor(sa.session.client) }

// numbered tells whether proposals count from one, as RFC 7296 §3.3.1 has it,
// and none repeats another. Only with A2 switched off does it matter.
func (s *settings) numbered(ps []message.Proposal) error {
	if !s.without.has(QuirkA2) {
		return nil
	}
	for i, p := range ps {
		if int(p.Number) != i+1 {
			return syntaxFault("proposals that do not count from one (RFC 7296 §3.3.1)")
		}
		repeats := func(o message.Proposal) bool {
			return o.Protocol == p.Protocol && slices.EqualFunc(o.Transforms, p.Transforms, sameTransform)
		}
		if slices.ContainsFunc(ps[:i], repeats) {
			return syntaxFault("a proposal that repeats another one")
		}
	}
	return nil
}

func sameTransform(a, b message.Transform) bool {
	return a.Type == b.Type && a.ID == b.ID && a.KeyLength == b.KeyLength
}

// groupForAll is the best choice among the groups that all proposals hold:
// Android comes back with no other (quirk D2). Without one, otherwise is it.
func (s *settings) groupForAll(offered []message.Proposal, otherwise suite.Choice) suite.Choice {
	common := slices.Clone(offered)
	for i := range common {
		common[i].Transforms = slices.DeleteFunc(slices.Clone(offered[i].Transforms), func(t message.Transform) bool {
			lacks := func(p message.Proposal) bool {
				return !slices.ContainsFunc(p.Transforms, func(o message.Transform) bool { return sameTransform(o, t) })
			}
			return t.Type == message.TransformKE && slices.ContainsFunc(offered, lacks)
		})
	}
	if choice, err := suite.Select(s.IKE, common, s.Order); err == nil {
		return choice
	}
	return otherwise
}

// announcesNAT tells whether a client that came to a local address is told of
// a NAT, one or none, so that it encapsulates ESP in UDP.
func (s *settings) announcesNAT(local netip.Addr, q quirks) bool {
	if local.Unmap().Is4() {
		return s.ForceEncapIPv4
	}
	return s.ForceEncapIPv6 && !q.has(QuirkD5)
}

// natOn is what NAT detection makes of a message that came on a path. What
// fits no address may be forged to have ESP go in UDP: the strongSwan app does
// so always (quirk S2).
func (sa *SA) natOn(m *message.Message, p path) natSituation {
	n := detectNAT(m, p.local, p.remote, sa.cfg.announcesNAT(p.local.Addr(), sa.session.quirks))
	if n.client && sa.session.client == clientStrongSwan {
		n.client = sa.shows(QuirkS2)
	}
	return n
}

// prefersRSA tells clients that get the RSA chain where there is one. Without
// RFC 7427 a client may be an iPhone set up by hand, which hangs on ECDSA
// without a word; Android knows RFC 7427 but RSA alone.
func (sa *SA) prefersRSA() bool {
	switch sa.session.client {
	case clientWindows:
		return sa.quirk(QuirkW5)
	case clientApple:
		return sa.quirk(QuirkA1)
	case clientAndroid:
		return sa.quirk(QuirkD1)
	}
	return sa.login.hashes == nil
}

// signatureHashes are those our signature may use; none means the methods
// before RFC 7427.
func (sa *SA) signatureHashes() []suite.HashAlgorithm {
	if sa.session.client == clientStrongSwan && !sa.quirk(QuirkS1) {
		return nil
	}
	return sa.login.hashes
}

// vendorInitialContact is Windows' Vid-Initial-Contact. It does not come with
// every login, and the identity beside it is an address that many have.
var vendorInitialContact = []byte{0x26, 0x24, 0x4d, 0x38, 0xed, 0xdb, 0x61, 0xb3, 0x17, 0x2a, 0x36, 0xe3, 0xd0, 0xcf, 0xb8, 0x19}

// saysInitialContact tells whether IKE_SA_INIT says so in a way that counts.
func (sa *SA) saysInitialContact(ps []message.Payload) bool {
	if !sa.cfg.without.has(QuirkW11) {
		return false
	}
	for v := range message.All[*message.VendorID](ps) {
		if bytes.Equal(v.Data, vendorInitialContact) {
			return true
		}
	}
	return false
}

// readQuirks notes what the first IKE_AUTH request shows, and takes out of its
// configuration request what is not to be answered.
func (sa *SA) readQuirks(idi *message.ID, r *childRequest, out *Outbox) {
	if _, address := idi.Addr(); address {
		sa.shows(QuirkA4)
	}
	if r.cp == nil {
		return
	}
	kept := make([]message.CPAttribute, 0, len(r.cp.Attributes))
	for _, a := range r.cp.Attributes {
		answered := true
		switch a.Type {
		case message.InternalIP4Server, message.InternalIP6Server:
			if answered = false; !sa.shows(QuirkW7) {
				sa.note(out, slog.LevelInfo, "configuration attribute not known here", slog.String("attribute", a.Type.String()))
			}
		case message.InternalDNSDomain:
			answered = sa.shows(QuirkA5)
		case message.ApplicationVersion:
			answered = sa.shows(QuirkD6)
		}
		if answered {
			kept = append(kept, a)
		}
	}
	r.cp = &message.CP{Kind: r.cp.Kind, Attributes: kept}
}

// withholdsIPv6 tells whether a client that has an IPv4 address is better off
// without an IPv6 one: iOS sets no route right, not even for IPv4, where it has
// one and may not send to all of IPv6 (quirk A5).
func (sa *SA) withholdsIPv6() bool {
	routes := sa.cfg.LocalSubnets
	if g := sa.login.grant; len(g.Routes) > 0 {
		routes = g.Routes
	}
	everything := func(p netip.Prefix) bool { return p.Bits() == 0 && p.Addr().Is6() }
	return sa.session.client == clientApple && sa.quirk(QuirkA5) && !slices.ContainsFunc(routes, everything)
}

// peerOf is what the authentication backend is told of the client.
func (sa *SA) peerOf() auth.Peer {
	return auth.Peer{
		Session: sa.session.id, IDi: sa.session.idi.String(),
		Remote: sa.path.remote, Local: sa.path.local, Client: sa.session.client.String(),
		NoFinalFailure: sa.quirk(QuirkW9),
		WholeName:      sa.session.client == clientWindows && !sa.quirk(QuirkW3),
		IdentityNeeded: sa.cfg.without.has(QuirkD3),
		Profile:        sa.login.profile(),
	}
}

// androidPatience is how long one answer may take a backend for Android: it
// gives up after 15 seconds, and must hear of the failure before.
const androidPatience = 10 * time.Second

// win32Meanings are what Windows means by the codes it sends gateways.
var win32Meanings = map[uint32]string{
	13801: "it does not accept our certificate: name, serverAuth, root in the machine's store, chain",
	13806: "it is set to a machine certificate and has none; set it to EAP",
	13816: "it refuses a Child SA rekey that holds a key exchange",
	13863: "it is behind a NAT and refuses that the gateway rekeys a Child SA",
	13868: "it has no proposal in common with the gateway",
	13899: "it got no inner address",
}

func win32Meaning(code uint32) string {
	if m, known := win32Meanings[code]; known {
		return m
	}
	return "not known here; \"net helpmsg\" on Windows tells it"
}

// backendTime bounds one call of the backend beyond Timers.Job; zero does not.
func (sa *SA) backendTime() time.Duration {
	if sa.quirk(QuirkD4) {
		return androidPatience
	}
	return 0
}

// leastAppleDPD is the shortest silence over which an iPhone is asked for a
// sign of life: it sleeps, and must not lose its session by that.
const leastAppleDPD = 10 * time.Minute

// dpd is the silence before the client is asked for a sign of life; not above
// zero: it is never asked.
func (sa *SA) dpd() time.Duration {
	if d := sa.cfg.Timers.DPD; !sa.quirk(QuirkA3) || d <= 0 {
		return d
	}
	return max(sa.cfg.Timers.DPD, leastAppleDPD)
}

// startsChildRekey tells whether the gateway may start to rekey a Child SA.
// Windows behind a NAT refuses it, and its traffic is dead then; to it a NAT
// that is only announced is one.
func (sa *SA) startsChildRekey() bool { return !sa.quirk(QuirkW1) || !sa.nat.encap() }

// rekeysChildWithKE tells whether a Child SA rekey of ours may hold a key
// exchange. Windows refuses it even where it is offered beside none.
func (sa *SA) rekeysChildWithKE() bool { return !sa.quirk(QuirkW1) }

// startsIKERekey tells whether the gateway may start to rekey the IKE SA.
// Windows takes no other group than modp2048 there, and cannot be asked twice.
func (sa *SA) startsIKERekey() bool { return !sa.quirk(QuirkW1) || sa.suite.Group == suite.MODP2048 }

// rekeysByTime tells whether the gateway's clock may start a rekey of an IKE
// or Child SA; octets and packets always may. Apple's own clock is the
// shorter, and two rekeys that meet may cost it the session.
func (sa *SA) rekeysByTime() bool { return !sa.quirk(QuirkA3) }

// judgeRekey holds a CREATE_CHILD_SA request to the letter where an allowance
// for it is switched off.
func (sa *SA) judgeRekey(x *childExchange, ps []message.Payload) error {
	if message.Find[*message.CP](ps) != nil && !sa.shows(QuirkM1) {
		return syntaxFault("a configuration payload in CREATE_CHILD_SA (RFC 7296 §1.3)")
	}
	return sa.cfg.numbered(x.child.sa.Proposals)
}
