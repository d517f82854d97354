package ikev2

import (
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// beginIKERekey starts to replace the IKE SA (RFC 7296 §1.3.2, §2.18). In the
// new one the gateway is the original initiator.
func (sa *SA) beginIKERekey(now time.Time, out *Outbox) {
	sa.own = &rekeying{group: sa.suite.Group}
	sa.own.prepare(sa, now, out)
}

// rekeysIKE tells whether the client has been asked to rekey the IKE SA.
func (sa *SA) rekeysIKE() bool { return sa.own != nil && sa.own.child == 0 && sa.own.asked }

// buildIKE is the request, when its turn has come: SA, Ni, KEi.
func (r *rekeying) buildIKE(sa *SA, now time.Time) ([]message.Payload, bool) {
	if sa.own != r {
		return nil, false
	}
	spi, err := sa.reg.ikeSPI()
	if err == nil {
		r.ni, err = sa.reg.octets(nonceLen)
	}
	switch {
	case sa.state != StateEstablished:
		sa.abandonRekey()
		return nil, false
	case err != nil:
		sa.putOffRekey(now)
		sa.pauseRekeys(now)
		return nil, false
	case sa.work.job != nil: // the client may be creating or rekeying something
		sa.putOffRekey(now)
		sa.watch.pause = now.Add(time.Second)
		return nil, false
	}
	r.asked, r.ikeSPI = true, spi
	r.offer(sa.suite.Proposal(), spi[:])
	return r.payloads(), true
}

// useIKE makes the new IKE SA and has the old one deleted; or the new one,
// where the client's rekey counts: it has then handed over already, or made
// the IKE SA without the lowest nonce (RFC 7296 §2.8.2).
func (r *rekeying) useIKE(sa *SA, now time.Time, a *agreement, shared suite.Secret, out *Outbox) {
	if len(a.choice.SPI) != len(message.SPI{}) || message.SPI(a.choice.SPI).IsZero() {
		r.unusable(sa, now, syntaxFault("answer to an IKE SA rekey without the new responder SPI (RFC 7296 §3.3.1)"), out)
		return
	}
	next := &SA{spii: r.ikeSPI, spir: message.SPI(a.choice.SPI), initiator: true}
	if err := sa.succeed(next, a.choice, shared, r.ni, a.nr); err != nil {
		r.unusable(sa, now, err, out)
		return
	}
	rival := r.rivalIKE(sa)
	sa.own = nil
	switch {
	case sa.heir != nil:
		next.discard(now, out)
		return
	case rival != nil && r.loses(a.nr):
		sa.handOver(now, rival, out)
		next.discard(now, out)
	default:
		if rival != nil { // its maker is about to delete it
			rival.former = nil
		}
		sa.handOver(now, next, out)
		if !r.over {
			sa.sendDelete(now, out)
		}
	}
	if r.over {
		sa.linger(now, out)
	}
}

// rivalIKE is what the client's own rekey of the IKE SA made; nil if there is
// none that could take over.
func (r *rekeying) rivalIKE(sa *SA) *SA {
	if r.rival == nil || r.rival.ike == nil || r.rival.ike.former != sa || r.rival.ike.state != StateEstablished {
		return nil
	}
	return r.rival.ike
}

// contend has a new IKE SA wait until it is known which of two replaces the
// former. Either the session comes to it or its maker deletes it; should
// neither happen it ends by itself.
func (sa *SA) contend(now time.Time, former *SA) {
	sa.former, sa.expires = former, now.Add(sa.cfg.Timers.Replaced)
}

// inherit takes the session over for a client that uses the new IKE SA: to it
// that is the one that counts.
func (sa *SA) inherit(now time.Time, out *Outbox) {
	former := sa.former
	if former == nil {
		return
	}
	former.handOver(now, sa, out)
	if former.state != StateDead {
		out.Successors = append(out.Successors, former)
	}
}

// discard has the client delete an IKE SA of ours that is redundant.
func (sa *SA) discard(now time.Time, out *Outbox) {
	if err := sa.move(StateClosing); err != nil {
		sa.die(out)
		return
	}
	out.Successors = append(out.Successors, sa)
	sa.sendDelete(now, out)
}

// ceded tells whether the client's DELETE of an IKE SA that we are rekeying is
// not the end of the session: the client goes on with what its own rekey made
// (RFC 7296 §2.8.2), or ours, which it has answered.
func (sa *SA) ceded(now time.Time, out *Outbox) bool {
	r := sa.own
	if r == nil || r.child != 0 || sa.state != StateEstablished {
		return false
	}
	if next := r.rivalIKE(sa); next != nil && !r.answered {
		sa.handOver(now, next, out)
		sa.linger(now, out)
		return true
	}
	r.over = r.answered
	return r.over
}
