package initiator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// maxRestarts bounds how often IKE_SA_INIT begins anew: a gateway that keeps
// asking for cookies or groups is not to keep us busy (RFC 7296 §2.6).
const maxRestarts = 4

// maxCookie is the longest cookie (RFC 7296 §2.6).
const maxCookie = 64

// startLogin sends the first IKE_SA_INIT request.
func (sa *SA) startLogin(now time.Time, out *Outbox) error {
	offered := sa.cfg.ikeProposals()
	g := sa.cfg.Profile.Group
	if g == suite.GroupNone || !hasGroup(offered, g, false) {
		g = firstGroup(offered)
	}
	sa.login = &login{offered: offered, group: g}
	sa.begin(now, StepInit)
	sa.login.firstSent = now
	if err := sa.newAttempt(out); err != nil {
		return err
	}
	if err := sa.advance(stateInit); err != nil {
		return err
	}
	return sa.sendInit(now, out)
}

// newAttempt takes a new SPI, nonce and key pair.
func (sa *SA) newAttempt(out *Outbox) error {
	l := sa.login
	if !l.spi.IsZero() {
		out.Notices = append(out.Notices, Unbound{l.spi})
	}
	var err error
	if l.spi, err = sa.randomSPI(); err != nil {
		return err
	}
	if l.nonce, err = sa.randomOctets(sa.cfg.Profile.nonceLen()); err != nil {
		return err
	}
	out.Notices = append(out.Notices, Bound{l.spi})
	return sa.newKeyPair()
}

func (sa *SA) newKeyPair() error {
	pair, err := sa.login.group.Generate(sa.cfg.Rand)
	if err != nil {
		return &LocalError{at{StepInit}, fmt.Errorf("ikev2: first group %s: %w", sa.login.group, err)}
	}
	sa.login.pair = pair
	return nil
}

// sendInit builds and sends the IKE_SA_INIT request as it stands now.
func (sa *SA) sendInit(now time.Time, out *Outbox) error {
	l := sa.login
	m := message.Message{Header: message.Header{
		InitiatorSPI: l.spi, Version: message.Version2, Exchange: message.ExchangeSAInit, Flags: message.FlagInitiator,
	}}
	if l.cookie != nil { // before all others (RFC 7296 §2.6)
		m.Payloads = append(m.Payloads, &message.Notify{Kind: message.Cookie, Data: l.cookie})
	}
	for _, e := range sa.cfg.Profile.InitOrder {
		m.Payloads = append(m.Payloads, sa.initElement(e)...)
	}
	l.request = m.Append(nil)
	l.requests.Restart()
	l.requests.Begin(now, [][]byte{l.request}, sa.cfg.Retransmit, sa.cfg.Rand)
	sa.send([][]byte{l.request}, out)
	return nil
}

func (sa *SA) initElement(e Element) []message.Payload {
	l, p := sa.login, sa.cfg.Profile
	switch e.Payload {
	case message.TypeSA:
		return []message.Payload{&message.SA{Proposals: l.offered}}
	case message.TypeKE:
		return []message.Payload{&message.KE{Group: uint16(l.group), Data: l.pair.Public()}}
	case message.TypeNonce:
		return []message.Payload{&message.Nonce{Data: l.nonce}}
	case message.TypeVendorID:
		var ps []message.Payload
		for _, v := range p.VendorIDs {
			ps = append(ps, &message.VendorID{Data: v})
		}
		return ps
	}
	switch e.Notify {
	case natDetection:
		return sa.natDetectionFor(l.spi, message.SPI{})
	case message.SignatureHashAlgorithms:
		return []message.Payload{&message.Notify{Kind: e.Notify, Data: suite.AppendHashAlgorithms(nil, p.HashAlgorithms...)}}
	}
	return []message.Payload{&message.Notify{Kind: e.Notify}}
}

// receiveInit takes a message while the answer to IKE_SA_INIT is awaited.
// Nothing of it is authentic yet; the gateway's signature covers it later.
func (sa *SA) receiveInit(now time.Time, m *message.Message, raw []byte, out *Outbox) error {
	h := m.Header
	if h.InitiatorSPI != sa.login.spi || !h.IsResponse() || h.FromInitiator() || h.Exchange != message.ExchangeSAInit || h.MessageID != 0 {
		sa.dropped = fmt.Errorf("ikev2: %s message that is not the answer to our IKE_SA_INIT", h.Exchange)
		return nil
	}
	if cookie := message.FindNotify(m.Payloads, message.Cookie); cookie != nil && h.ResponderSPI.IsZero() {
		return sa.retryWithCookie(now, cookie.Data, out)
	}
	if n := refusal(m.Payloads); n != nil {
		return sa.initRefused(now, n, out)
	}
	if n := message.FindNotify(m.Payloads, message.Redirect); n != nil {
		return &RefusedError{at{StepInit}, n.Kind, bytes.Clone(n.Data)}
	}
	if h.ResponderSPI.IsZero() {
		return &ProtocolError{at{StepInit}, errors.New("ikev2: the responder's SPI is zero")}
	}
	return sa.initAnswered(now, m, raw, out)
}

func (sa *SA) retryWithCookie(now time.Time, cookie []byte, out *Outbox) error {
	l := sa.login
	if len(cookie) == 0 || len(cookie) > maxCookie {
		return &ProtocolError{at{StepInit}, fmt.Errorf("ikev2: COOKIE of %d octets, expected 1 to %d", len(cookie), maxCookie)}
	}
	if bytes.Equal(cookie, l.cookie) { // the answer to an earlier transmission
		return nil
	}
	if l.restarts++; l.restarts > maxRestarts {
		return &ProtocolError{at{StepInit}, fmt.Errorf("ikev2: it asked to begin anew %d times", l.restarts)}
	}
	l.cookie = bytes.Clone(cookie)
	sa.result.Cookie = true
	return sa.sendInit(now, out)
}

// initRefused takes INVALID_KE_PAYLOAD as a wish (RFC 7296 §1.2) and any other
// error as the end.
func (sa *SA) initRefused(now time.Time, n *message.Notify, out *Outbox) error {
	l := sa.login
	switch n.Kind {
	case message.NoProposalChosen:
		return &NoProposalError{at: at{StepInit}, Protocol: message.ProtocolIKE, Offered: suite.Describe(l.offered)}
	case message.InvalidKEPayload:
	default:
		return &RefusedError{at{StepInit}, n.Kind, bytes.Clone(n.Data)}
	}
	if len(n.Data) != 2 {
		return &ProtocolError{at{StepInit}, fmt.Errorf("ikev2: INVALID_KE_PAYLOAD with %d octets of data, expected 2", len(n.Data))}
	}
	wanted := suite.Group(binary.BigEndian.Uint16(n.Data))
	if wanted == l.group { // the answer to an earlier transmission
		return nil
	}
	if !hasGroup(l.offered, wanted, sa.cfg.Profile.FreshRetry) {
		return &NoProposalError{
			at: at{StepInit}, Protocol: message.ProtocolIKE, Offered: suite.Describe(l.offered),
			Err: fmt.Errorf("the gateway asks for the group %s, which was not offered", wanted),
		}
	}
	if l.restarts++; l.restarts > maxRestarts {
		return &ProtocolError{at{StepInit}, fmt.Errorf("ikev2: it asked to begin anew %d times", l.restarts)}
	}
	l.group = wanted
	sa.result.Group = wanted.String()
	if sa.cfg.Profile.FreshRetry {
		l.cookie = nil // it was made for the old SPI and nonce
		if err := sa.newAttempt(out); err != nil {
			return err
		}
	} else if err := sa.newKeyPair(); err != nil {
		return err
	}
	return sa.sendInit(now, out)
}

// initAnswered derives the keys and goes on to IKE_AUTH.
func (sa *SA) initAnswered(now time.Time, m *message.Message, raw []byte, out *Outbox) error {
	l := sa.login
	offer, ke, nonce := message.Find[*message.SA](m.Payloads), message.Find[*message.KE](m.Payloads), message.Find[*message.Nonce](m.Payloads)
	switch {
	case offer == nil:
		return missing(StepInit, "SA")
	case ke == nil:
		return missing(StepInit, "KE")
	case nonce == nil:
		return missing(StepInit, "Nonce")
	}
	choice, err := accept(StepInit, message.ProtocolIKE, l.offered, offer)
	if err != nil {
		return err
	}
	algorithms, err := choice.IKE()
	if err != nil {
		return &NoProposalError{at{StepInit}, message.ProtocolIKE, suite.Describe(l.offered), choice.String(), err}
	}
	if algorithms.Group != l.group || ke.Group != uint16(l.group) {
		return &ProtocolError{at{StepInit}, fmt.Errorf("ikev2: KE payload of group %s and proposal with %s, expected %s in both",
			suite.Group(ke.Group), algorithms.Group, l.group)}
	}
	shared, err := l.pair.Shared(ke.Data)
	if err != nil {
		return &ProtocolError{at{StepInit}, err}
	}
	l.answer, l.peerNonce = bytes.Clone(raw), bytes.Clone(nonce.Data)
	keys := algorithms.Derive(shared, l.nonce, l.peerNonce, l.spi, m.Header.ResponderSPI)
	shared.Wipe()
	protection, err := exchange.NewProtection(algorithms, keys, true)
	if err != nil {
		return err
	}
	sa.ike = &generation{number: choice.Number, spii: l.spi, spir: m.Header.ResponderSPI, initiator: true, suite: algorithms, keys: keys, protection: protection}
	// Message id 0 was used up by IKE_SA_INIT.
	sa.ike.requests.Begin(now, [][]byte{l.request}, sa.cfg.Retransmit, sa.cfg.Rand)
	sa.ike.requests.Answered(0)
	sa.proof |= proofKeys
	sa.result.IKE = choice.String()
	sa.dropped = nil
	sa.observe(m)
	_, remote := sa.path()
	if err := sa.cfg.Profile.Demands.onNAT(sa.natLocal || sa.natRemote, remote.Addr().Is6()); err != nil {
		return err
	}
	sa.finish(now, out)
	return sa.sendAuth(now, out)
}

// observe takes from the IKE_SA_INIT answer what the gateway announces, and
// moves to port 4500 (RFC 7296 §2.23).
func (sa *SA) observe(m *message.Message) {
	sa.fragments = message.FindNotify(m.Payloads, message.IKEv2FragmentationSupported) != nil && sa.announces(message.IKEv2FragmentationSupported)
	sa.natLocal = sa.cfg.ForceEncap || !sa.matchesNATHash(m, message.NATDetectionDestinationIP, sa.endpoints.LocalIKE)
	sa.natRemote = !sa.matchesNATHash(m, message.NATDetectionSourceIP, sa.endpoints.RemoteIKE)
	sa.natt = !sa.cfg.Profile.StayUnlessNAT || sa.natLocal || sa.natRemote
	sa.result.Fragments, sa.result.NATLocal, sa.result.NATRemote = sa.fragments, sa.natLocal, sa.natRemote
}

func (sa *SA) announces(n message.NotifyType) bool {
	for _, e := range sa.cfg.Profile.InitOrder {
		if e.Notify == n {
			return true
		}
	}
	return false
}

// matchesNATHash reports whether one of the gateway's notifications of a kind
// is the hash of a; none at all tells of no NAT detection, thus of no NAT.
func (sa *SA) matchesNATHash(m *message.Message, kind message.NotifyType, a netip.AddrPort) bool {
	want := exchange.NATHash(m.Header.InitiatorSPI, m.Header.ResponderSPI, a)
	seen := false
	for n := range message.All[*message.Notify](m.Payloads) {
		if n.Kind == kind {
			if bytes.Equal(n.Data, want[:]) {
				return true
			}
			seen = true
		}
	}
	return !seen
}

// tickInit retransmits IKE_SA_INIT or gives it up.
func (sa *SA) tickInit(now time.Time, out *Outbox) error {
	l := sa.login
	again, gaveUp := l.requests.Due(now, sa.cfg.Retransmit, sa.cfg.Rand)
	if gaveUp {
		return sa.timeout(StepInit, now, l.firstSent, l.requests.Sent(), nil, 0)
	}
	if again != nil {
		sa.send(again, out)
	}
	return nil
}
