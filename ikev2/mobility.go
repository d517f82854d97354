package ikev2

import (
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// Rebound tells that an authentic ESP packet of a Child SA came from another
// address or port than its path's: the client's NAT has a new mapping, or
// somebody relays packets.
type Rebound struct {
	Child  esp.ChildID
	Remote netip.AddrPort
}

func (Rebound) event() {}

// Rebound takes a data plane's word that an authentic packet of a Child SA
// came from remote, which is not where the Child SA sends to. A client behind
// a NAT is followed there once it has answered from there; any other is not.
// It does not block.
func (r *Responder) Rebound(id esp.ChildID, remote netip.AddrPort) {
	r.tellChild(id, Rebound{id, netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())})
}

// noteMobility reads from the client's first IKE_AUTH request whether it takes
// part in MOBIKE, and from where else it may come (RFC 4555 §3.2, §3.4).
func (sa *SA) noteMobility(ps []message.Payload) error {
	if n := message.FindNotify(ps, message.NoNATsAllowed); n != nil && !promisesNoNAT(n.Data, sa.asker) {
		return &PeerFault{Cause: CauseUnexpectedNAT, Evidence: []auth.Evidence{{Key: "came from", Value: sa.asker.remote.String()}}}
	}
	sa.mobike = !sa.cfg.NoMOBIKE && message.FindNotify(ps, message.MOBIKESupported) != nil
	if sa.mobike {
		sa.noteAdditional(ps)
	}
	return nil
}

// announceMobility is what the answer with the first Child SA says about it:
// that the gateway takes part too, and at which other addresses it is found.
func (sa *SA) announceMobility() []message.Payload {
	if !sa.mobike {
		return nil
	}
	ps := []message.Payload{status(message.MOBIKESupported, nil)}
	if len(sa.cfg.Addresses) == 0 {
		return ps
	}
	others := appendAdditional(nil, sa.cfg.Addresses, sa.asker.local.Addr())
	if len(others) == 0 {
		others = []message.Payload{status(message.NoAdditionalAddresses, nil)}
	}
	return append(ps, others...)
}

// noteAdditional replaces what is known of the client's other addresses, if
// the message says anything about them (RFC 4555 §3.6).
func (sa *SA) noteAdditional(ps []message.Payload) {
	if list, told := readAdditional(ps); told && (len(list) > 0 || sa.mobility != nil) {
		sa.roaming().additional = list
	}
}

// mobilityAnswer acts on what an INFORMATIONAL request says about addresses
// and gives what the answer says about them, and where the client is once that
// has gone out; nil: where it was.
func (sa *SA) mobilityAnswer(now time.Time, in inbound) (answer []message.Payload, moves *location, err error) {
	if cookie := message.FindNotify(in.payloads, message.Cookie2); cookie != nil {
		if len(cookie.Data) < minCookie2 || len(cookie.Data) > maxCookie2 {
			return nil, nil, syntaxFault("COOKIE2 that has not 8 to 64 octets (RFC 4555 §4.2.5)")
		}
		answer = append(answer, status(message.Cookie2, cookie.Data))
	}
	if sa.state != StateEstablished {
		return answer, nil, nil
	}
	to := location{sa.asker, sa.natAt(in)}
	if sa.nat.supported && message.FindNotify(in.payloads, message.NATDetectionSourceIP) != nil {
		answer = append(answer, to.nat.notifies(sa.spii, sa.spir, to.local, to.remote)...) // RFC 4555 §3.8
	}
	if !sa.mobike {
		return answer, nil, nil
	}
	update := message.FindNotify(in.payloads, message.UpdateSAAddresses) != nil
	if n := message.FindNotify(in.payloads, message.NoNATsAllowed); n != nil && !promisesNoNAT(n.Data, sa.asker) {
		sa.reg.count(MovesRefused)
		return append(answer, status(message.UnexpectedNATDetected, nil)), nil, nil
	}
	switch {
	case update && !sa.session.budget.take(now, rationSession), update && !sa.acceptable(to):
		sa.reg.count(MovesRefused)
		return append(answer, status(message.UnacceptableAddresses, nil)), nil, nil
	case update:
		moves = &to
	}
	sa.noteAdditional(in.payloads)
	return answer, moves, nil
}

// last is the SA that has the session by now: this one, or what replaced it
// meanwhile.
func (sa *SA) last() *SA {
	for sa.heir != nil {
		sa = sa.heir
	}
	return sa
}

// natAt is what NAT detection makes of the path a request came by. Without its
// notifications only what we announce can have changed, or that the client
// wants no NAT and there is none.
func (sa *SA) natAt(in inbound) natSituation {
	m := &message.Message{Header: in.Header, Payloads: in.payloads}
	seen := sa.natOn(m, sa.asker)
	if seen.supported {
		return seen
	}
	nat := sa.nat
	nat.announced = seen.announced
	if message.FindNotify(in.payloads, message.NoNATsAllowed) != nil {
		nat.client, nat.gateway = false, false
	}
	return nat
}

// acceptable tells whether the gateway can serve the client there.
func (sa *SA) acceptable(to location) bool {
	const portIKE = 500 // where no ESP goes in UDP (RFC 7296 §2.23)
	from := to.remote.Addr()
	switch {
	case to.remote.Port() == 0, from.IsUnspecified(), from.IsMulticast(), from == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	case from.IsLoopback(), from == to.local.Addr(), slices.Contains(sa.cfg.Addresses, from): // the gateway itself
		return false
	case from == sa.session.lease.IPv4, from == sa.session.lease.IPv6, sa.cfg.isInner(from):
		return false // through a tunnel: two that lead into each other would carry a packet for ever
	case to.nat.announced && !to.nat.supported:
		return false
	}
	return !to.nat.encap() || to.local.Port() != portIKE
}

// follow takes note of where an authentic, fresh request came from. During a
// login the client moves from port 500 to 4500; later its NAT may give it
// another address (RFC 7296 §2.23). A client without a NAT does not move, one
// with MOBIKE says so itself: its other requests may only try a path (RFC 4555
// §3.8).
func (sa *SA) follow(now time.Time, from path, out *Outbox) {
	sa.asker = from
	if from == sa.path {
		sa.heardThere(now, out)
		return
	}
	switch {
	case sa.state.halfOpen():
		sa.path = from
	case sa.state == StateEstablished && !sa.mobike && sa.nat.client && from.local == sa.path.local:
		if to := (location{from, sa.nat}); sa.acceptable(to) && sa.session.budget.take(now, rationSession) {
			sa.relocate(now, to, out)
		}
	}
}

// rebindPause is for how long after a move packets from elsewhere move nothing:
// they may have been under way since before. Who relays or repeats a client's
// packets moves it no more often than that, and uses up nothing that the client
// has a ration of.
const rebindPause = 2 * time.Second

// rebound follows a client behind a NAT to where its ESP packets come from.
// With MOBIKE this is allowed for ESP (RFC 4555 §3.8). The data plane reports
// it again as long as it lasts, so that what is passed over now comes again.
func (sa *SA) rebound(now time.Time, ev Rebound, out *Outbox) {
	to := location{path{sa.path.local, ev.Remote}, sa.nat}
	switch m := sa.mobility; {
	case sa.state != StateEstablished, sa.childByID(ev.Child) < 0, !sa.nat.client, !sa.nat.encap():
	case to.path == sa.path, ev.Remote.Addr().Is4() != sa.path.remote.Addr().Is4(), !sa.acceptable(to):
	case m != nil && (now.Before(m.moved.Add(rebindPause)) || now.Before(m.rebound.Add(rebindPause))):
	default:
		sa.roaming().rebound = now
		sa.relocate(now, to, out)
	}
}

// moved publishes that the Child SAs send elsewhere.
func (sa *SA) publishMove(now time.Time, from, to location, out *Outbox) {
	sa.reg.count(Moved)
	out.Events = append(out.Events, SessionEvent{
		Kind: EventMoved, Time: now, Session: sa.info(), Detail: from.String() + " to " + to.String(),
	})
}

func (sa *SA) notePathLost(out *Outbox, tried location) {
	sa.note(out, slog.LevelWarn, "client does not answer where it moved to", slog.String("tried", tried.String()), slog.String("stays", sa.path.remote.String()))
}
