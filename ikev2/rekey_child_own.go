package ikev2

import (
	"encoding/binary"
	"log/slog"
	"slices"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// beginChildRekey starts to replace a Child SA (RFC 7296 §1.3.3).
func (sa *SA) beginChildRekey(now time.Time, c *child, out *Outbox) {
	sa.own = &rekeying{child: c.id, group: sa.rekeyGroup(c)}
	sa.own.prepare(sa, now, out)
}

// rekeyGroup is the group for a key exchange of ours: what made the Child SA,
// or where that had none, as the first never has, one only if the
// configuration insists.
func (sa *SA) rekeyGroup(c *child) suite.Group {
	switch {
	case !sa.rekeysChildWithKE():
		return suite.GroupNone
	case c.group != suite.GroupNone:
		return c.group
	}
	spi := make([]byte, 4)
	offered := suite.Proposals{c.suite.Proposal()}.Offer(spi)
	if _, err := suite.SelectFor(sa.cfg.ESP, offered, suite.GatewayOrder, suite.GroupNone); err == nil {
		return suite.GroupNone
	}
	groups := []suite.Group{sa.suite.Group}
	for _, p := range sa.cfg.ESP {
		for _, t := range p.Transforms {
			if t.Type == message.TransformKE {
				groups = append(groups, suite.Group(t.ID))
			}
		}
	}
	for _, g := range groups {
		p := c.suite.Proposal()
		p.Transforms = append(p.Transforms, message.Transform{Type: message.TransformKE, ID: uint16(g)})
		if _, err := suite.SelectFor(sa.cfg.ESP, suite.Proposals{p}.Offer(spi), suite.GatewayOrder, g); err == nil {
			return g
		}
	}
	return suite.GroupNone
}

// buildChild is the request, when its turn has come: REKEY_SA, SA, Ni, KEi,
// TSi, TSr. The exchange's initiator is the gateway, so TSi is its side.
func (r *rekeying) buildChild(sa *SA, now time.Time) ([]message.Payload, bool) {
	if sa.own != r {
		return nil, false
	}
	i := sa.childByID(r.child)
	switch {
	case sa.state != StateEstablished || i < 0 || sa.children[i].stage != inUse:
		sa.abandonRekey()
		return nil, false
	case sa.work.job != nil: // the client's own rekey, perhaps
		sa.putOffRekey(now)
		sa.watch.pause = now.Add(time.Second)
		return nil, false
	}
	c := &sa.children[i]
	spi, err := sa.reg.espSPI()
	if err == nil {
		r.espSPI = spi
		r.ni, err = sa.reg.octets(nonceLen)
	}
	if err != nil { // no randomness: the next try may have it
		sa.putOffRekey(now)
		sa.pauseRekeys(now)
		return nil, false
	}
	r.asked = true
	r.offer(c.suite.Proposal(), binary.BigEndian.AppendUint32(nil, spi))
	ts := sa.carriedBy(c)
	rekey := &message.Notify{Protocol: message.ProtocolESP, Kind: message.RekeySA, SPI: binary.BigEndian.AppendUint32(nil, c.in)}
	return append(append([]message.Payload{rekey}, r.payloads()...),
		&message.TS{Selectors: ts.local}, &message.TS{Responder: true, Selectors: ts.remote}), true
}

// carriedBy are the traffic selectors of a Child SA.
func (sa *SA) carriedBy(c *child) carries {
	if c.carries != nil {
		return *c.carries
	}
	return sa.widest()
}

// useChild installs the new Child SA. It sends at once, since the client has
// it; one that lost to the client's own rekey only receives (RFC 7296 §2.8.1).
func (r *rekeying) useChild(sa *SA, now time.Time, a *agreement, shared suite.Secret, out *Outbox) {
	c, err := r.newChild(sa, a, shared)
	if err != nil {
		r.unusable(sa, now, err, out)
		return
	}
	c.Sending = esp.SendAtOnce
	if r.loses(a.nr) {
		c.Sending = esp.SendNever
	}
	old := r.child
	if sa.childByID(old) < 0 && r.rival != nil {
		old = r.rival.child
	}
	if sa.childByID(old) < 0 {
		old = 0
	}
	sa.session.busy++
	awaitOwn(r, out, &installChild{job: job{sa}, of: sa.session, child: c, old: old}, func(sa *SA, now time.Time, j *installChild, out *Outbox) {
		r.childInstalled(sa, now, a, j, out)
	})
}

// newChild puts the Child SA together. The client may have narrowed it.
func (r *rekeying) newChild(sa *SA, a *agreement, shared suite.Secret) (esp.Child, error) {
	within := func(given, asked []message.Selector) bool {
		return len(given) > 0 && !slices.ContainsFunc(given, func(g message.Selector) bool {
			return g.Raw != nil || !slices.ContainsFunc(asked, func(a message.Selector) bool { return includes(a, g) })
		})
	}
	asked := sa.widest()
	if !within(a.tsi.Selectors, asked.local) || !within(a.tsr.Selectors, asked.remote) {
		return esp.Child{}, syntaxFault("traffic selectors beyond those asked for (RFC 7296 §2.9)")
	}
	algorithms, err := a.choice.ESP()
	if err != nil {
		return esp.Child{}, &GatewayFault{Cause: CauseInternal, Err: err}
	}
	theirs := binary.BigEndian.Uint32(a.choice.SPI)
	if theirs < leastSPI || sa.childByOutSPI(a.choice.SPI) >= 0 {
		return esp.Child{}, syntaxFault("a Child SA needs an SPI of its own, not below 256 (RFC 4303 §2.1)")
	}
	keys := algorithms.Derive(sa.suite.PRF, sa.d, shared, r.ni, a.nr)
	return esp.Child{
		ID: sa.reg.childID(), Session: sa.session.id,
		In:   esp.SA{SPI: r.espSPI, Suite: algorithms, EncrKey: keys.ResponderEncr, IntegKey: keys.ResponderInteg},
		Out:  esp.SA{SPI: theirs, Suite: algorithms, EncrKey: keys.InitiatorEncr, IntegKey: keys.InitiatorInteg},
		Path: sa.espPath(), Local: a.tsi.Selectors, Remote: a.tsr.Selectors,
	}, nil
}

// childInstalled has the old Child SA deleted, or the new one, where the
// client's rekey of the same Child SA counts.
func (r *rekeying) childInstalled(sa *SA, now time.Time, a *agreement, j *installChild, out *Outbox) {
	if j.err != nil {
		r.unusable(sa, now, j.err, out)
		return
	}
	sa.own = nil
	sa.watch.failures, sa.watch.pause = 0, time.Time{}
	sa.adopt(now, &j.child, a.choice.Group(), out)
	if r.loses(a.nr) {
		sa.deleteChild(now, j.child.ID, out)
		return
	}
	if r.rival != nil {
		sa.replaced(r.rival.child)
	}
	sa.deleteChild(now, r.child, out)
	sa.rekeyed(now, "Child SA "+a.choice.String()+begunHere, out)
}

// notFound obeys a client that has the Child SA no more: without it here too
// nothing is left to rekey, and without any there is no session.
func (r *rekeying) notFound(sa *SA, now time.Time, out *Outbox) {
	sa.abandonRekey()
	i := sa.childByID(r.child)
	if i < 0 || sa.children[i].stage != inUse { // the client has replaced it
		return
	}
	sa.note(out, slog.LevelWarn, "client has a Child SA no more")
	sa.removeChild(i, out)
	if len(sa.children) == 0 {
		sa.close(now, CauseChildLost, out)
	}
}

// replaced notes that a Child SA has a successor and is about to be deleted.
func (sa *SA) replaced(id esp.ChildID) {
	if i := sa.childByID(id); i >= 0 && sa.children[i].stage == inUse {
		sa.children[i].stage = replaced
	}
}

// deleteChild has the client delete a Child SA. Packets on it are taken until
// the client has answered.
func (sa *SA) deleteChild(now time.Time, id esp.ChildID, out *Outbox) {
	sa.replaced(id)
	sa.ask(now, ownRequest{
		exchange: message.ExchangeInformational,
		about:    aboutChild,
		build: func(sa *SA, _ time.Time) ([]message.Payload, bool) {
			i := sa.childByID(id)
			if i < 0 { // the client has deleted it
				return nil, false
			}
			sa.children[i].stage = deleting
			return deletion(sa.children[i].in), true
		},
		answered: func(sa *SA, _ time.Time, _ []message.Payload, out *Outbox) {
			if i := sa.childByID(id); i >= 0 {
				sa.removeChild(i, out)
			}
		},
	}, out)
}

// deleteSPI has the client delete a Child SA that it has and we have not.
func (sa *SA) deleteSPI(now time.Time, spi uint32, out *Outbox) {
	q := informational(deletion(spi)...)
	q.about = aboutChild
	sa.ask(now, q, out)
}

// deletion names a Child SA by our inbound SPI (RFC 7296 §1.4.1).
func deletion(spi uint32) []message.Payload {
	return []message.Payload{&message.Delete{
		Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, spi)},
	}}
}

// exhausting rekeys a Child SA before its packet numbers or octets end, or ends
// the session where that cannot be.
func (sa *SA) exhausting(now time.Time, id esp.ChildID, out *Outbox) {
	i := sa.childByID(id)
	switch {
	case i < 0 || sa.state != StateEstablished || sa.children[i].stage != inUse:
	case !sa.cfg.Rekey.on() || !sa.startsChildRekey():
		sa.close(now, CausePacketsExhausted, out)
	default:
		sa.children[i].due = now
	}
}

// lost has the client delete a Child SA that the data plane has lost, and ends
// the session if it was the only one.
func (sa *SA) lost(now time.Time, id esp.ChildID, out *Outbox) {
	i := sa.childByID(id)
	if i < 0 || sa.state != StateEstablished || sa.children[i].stage != inUse {
		return // it is about to be deleted anyway
	}
	sa.note(out, slog.LevelError, "the data plane has lost a Child SA")
	sa.children[i].stage = replaced
	if !slices.ContainsFunc(sa.children, func(c child) bool { return c.stage == inUse }) {
		sa.close(now, CauseDataPlane, out)
		return
	}
	sa.deleteChild(now, id, out)
}
