package initiator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
)

// Move tells that this end is elsewhere from now on, or that it wants another
// of its addresses used (RFC 4555 §3.5). IKE messages leave from Local at
// once; the Child SAs follow when the gateway agrees, and until then are taken
// from and sent to the former addresses. Both ends must have announced MOBIKE.
type Move struct {
	Local netip.Addr
	// Remote is the gateway's address to use; zero: the one in use or, if that
	// is of the other family than Local, the first one the gateway announced.
	Remote netip.Addr
}

func (Move) event()     {}
func (Move) step() Step { return StepMove }

// Moved tells that the Child SAs have other addresses.
type Moved struct{}

func (Moved) notice() {}

// mobility is what there is to know for a move.
type mobility struct {
	agreed     bool         // both ends announced MOBIKE
	login      netip.Addr   // the gateway's, that the login went to
	additional []netip.Addr // of the gateway, beside that or the one in use (RFC 4555 §3.4)
}

// noteMobility takes what the gateway says of MOBIKE and its addresses, in the
// last IKE_AUTH answer or later.
func (sa *SA) noteMobility(ps []message.Payload) {
	if sa.cfg.MOBIKE && message.FindNotify(ps, message.MOBIKESupported) != nil {
		sa.mobility.agreed, sa.mobility.login = true, sa.endpoints.RemoteNATT.Addr()
	}
	const most = 16
	var list []netip.Addr
	told := false
	for n := range message.All[*message.Notify](ps) {
		switch n.Kind {
		case message.NoAdditionalAddresses:
			told = true
		case message.AdditionalIP4Address, message.AdditionalIP6Address:
			told = true
			if a, ok := netip.AddrFromSlice(n.Data); ok && len(list) < most {
				list = append(list, a.Unmap())
			}
		}
	}
	if told && sa.mobility.agreed {
		sa.mobility.additional = list
	}
}

// relocate uses other addresses for IKE messages from now on. What waits for
// its answer is sent again at once: the gateway may not have it, or its answer
// may be lost where this end was (RFC 4555 §3.5).
func (sa *SA) relocate(now time.Time, m Move, out *Outbox) error {
	next, err := sa.elsewhere(m)
	if err != nil {
		return &LocalError{at{StepMove}, err}
	}
	if sa.natt && sa.endpoints == next {
		return nil
	}
	sa.endpoints = next
	sa.natt = true // MOBIKE runs on port 4500 (RFC 4555 §3.3)
	for _, g := range sa.generations() {
		if g.requests.Outstanding() {
			sa.send(g.requests.Again(now, sa.cfg.Retransmit, sa.cfg.Rand), out)
		}
	}
	return nil
}

// elsewhere is the endpoints after a move.
func (sa *SA) elsewhere(m Move) (Endpoints, error) {
	e := sa.endpoints
	local, remote := m.Local.Unmap(), m.Remote.Unmap()
	switch {
	case sa.state != stateEstablished:
		return e, errors.New("the login is not complete")
	case !sa.mobility.agreed:
		return e, errors.New("the gateway or this client does not take part in MOBIKE; log in again from the new address")
	case !local.IsValid():
		return e, errors.New("no local address is given")
	case !remote.IsValid():
		var known bool
		if remote, known = sa.gatewayAddress(local.Is4()); !known {
			return e, fmt.Errorf("the gateway announced no address that %s can reach; name it", local)
		}
	case remote.Is4() != local.Is4():
		return e, fmt.Errorf("%s and %s are of different families", local, remote)
	}
	return Endpoints{
		LocalIKE: netip.AddrPortFrom(local, e.LocalIKE.Port()), RemoteIKE: netip.AddrPortFrom(remote, e.RemoteIKE.Port()),
		LocalNATT: netip.AddrPortFrom(local, e.LocalNATT.Port()), RemoteNATT: netip.AddrPortFrom(remote, e.RemoteNATT.Port()),
	}, nil
}

// gatewayAddress is an address of the gateway of one family.
func (sa *SA) gatewayAddress(ipv4 bool) (netip.Addr, bool) {
	known := append([]netip.Addr{sa.endpoints.RemoteNATT.Addr(), sa.mobility.login}, sa.mobility.additional...)
	if i := slices.IndexFunc(known, func(a netip.Addr) bool { return a.IsValid() && a.Is4() == ipv4 }); i >= 0 {
		return known[i], true
	}
	return netip.Addr{}, false
}

// moveTask waits for the gateway to agree to a move.
type moveTask struct {
	from, to Endpoints   // IKE messages ran over from when all was agreed last
	on       *generation // that it is told on
}

func (moveTask) step() Step { return StepMove }

// updateAddresses tells the gateway the addresses in use, which are those of
// the latest move.
func (sa *SA) updateAddresses(now time.Time, m Move, out *Outbox) error {
	if !slices.ContainsFunc(sa.queue, func(c Command) bool { _, later := c.(Move); return later }) {
		if err := sa.relocate(now, m, out); err != nil {
			return err
		}
	}
	g := sa.shared()
	t := moveTask{from: sa.settled, to: sa.endpoints, on: g}
	ps := append([]message.Payload{&message.Notify{Kind: message.UpdateSAAddresses}}, sa.natDetectionFor(g.spii, g.spir)...)
	return sa.request(now, g, message.ExchangeInformational, ps, t, out)
}

// shared is the latest IKE SA that the gateway is sure to have. One that its
// own rekey made it may lack, if our answer was lost where this end was before
// it moved; then it asks there again until it learns of the move.
func (sa *SA) shared() *generation {
	if sa.ike.initiator || sa.ike.heard {
		return sa.ike
	}
	for _, g := range slices.Backward(sa.others) {
		if _, ends := g.task.(forgetTask); !ends && !g.contends {
			return g
		}
	}
	return sa.ike
}

// answer has the Child SAs follow. A gateway that refuses the addresses leaves
// everything where it was. An answer to addresses that are not in use any more
// tells nothing: the next move is waiting already.
func (t moveTask) answer(sa *SA, _ time.Time, r response, out *Outbox) error {
	if n := refusal(r.payloads); n != nil {
		if sa.endpoints == t.to {
			sa.endpoints = t.from
		}
		sa.done(&RefusedError{at{StepMove}, n.Kind, bytes.Clone(n.Data)}, out)
		return nil
	}
	if t.on != sa.ike && message.FindNotify(r.payloads, message.NATDetectionSourceIP) == nil {
		sa.ike.heard = true // the gateway has replaced this one, too, and heeds nothing that is said on it
		sa.tellAgain()
		return nil
	}
	if sa.endpoints == t.to {
		sa.settle(r, out)
	}
	sa.done(nil, out)
	return nil
}

// tellAgain puts a move back that was told on an IKE SA which is no more.
func (sa *SA) tellAgain() {
	sa.queue, sa.command = slices.Insert(sa.queue, 0, sa.command), nil
}

// settle takes the addresses in use for good, with the NATs on the way.
func (sa *SA) settle(r response, out *Outbox) {
	sa.settled = sa.endpoints
	m := &message.Message{Header: r.header, Payloads: r.payloads}
	local, remote := sa.path()
	sa.natLocal = sa.cfg.ForceEncap || !sa.matchesNATHash(m, message.NATDetectionDestinationIP, local)
	sa.natRemote = !sa.matchesNATHash(m, message.NATDetectionSourceIP, remote)
	sa.result.NATLocal, sa.result.NATRemote = sa.natLocal, sa.natRemote
	to := sa.espPath()
	for _, c := range append(slices.Clone(sa.retired), sa.child) {
		if c == nil || c.esp.Path == to {
			continue
		}
		c.esp.Path = to
		if c.installed {
			out.Plane = append(out.Plane, Change{Kind: MoveChild, Child: c.esp})
		}
	}
	out.Notices = append(out.Notices, Moved{})
}

// natDetectionFor is both notifications for an IKE SA, or for the one that
// begins if spir is zero (RFC 7296 §2.23). A source hash that fits no address
// has the gateway see a NAT and encapsulate.
func (sa *SA) natDetectionFor(spii, spir message.SPI) []message.Payload {
	local, remote := sa.path()
	source := exchange.NATHash(spii, spir, local)
	if sa.cfg.ForceEncap {
		source[0] ^= 0xff
	}
	destination := exchange.NATHash(spii, spir, remote)
	return []message.Payload{
		&message.Notify{Kind: message.NATDetectionSourceIP, Data: source[:]},
		&message.Notify{Kind: message.NATDetectionDestinationIP, Data: destination[:]},
	}
}

// Move has the session use other addresses, as the command Move does. The
// transport must be able to send from local, as that of Dial and Connect is if
// the Config has MOBIKE.
func (s *Session) Move(ctx context.Context, local, remote netip.Addr) error {
	return s.do(ctx, Move{Local: local, Remote: remote})
}
