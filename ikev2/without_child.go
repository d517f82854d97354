package ikev2

import (
	"slices"
	"time"

	"bridgehead/ikev2/message"
)

// A client may log in without a Child SA, and make it when there is traffic,
// or with a key exchange of its own (RFC 6023). It has to ask for its address
// with the login all the same: an IKE SA that could never carry traffic is of
// no use here, and what a Child SA's selectors are narrowed to must be known
// before there is one.

// none tells that no Child SA is asked for.
func (r childRequest) none() bool { return r.sa == nil && r.tsi == nil && r.tsr == nil }

// wantsNoChild tells that the client leaves the Child SA for later, as it may
// since the gateway said so in IKE_SA_INIT.
func (sa *SA) wantsNoChild() bool { return !sa.cfg.NoChildless && sa.login.child.none() }

// completeLogin sends the last answer of the login: AUTH, CP, then SA, TSi and
// TSr of the Child SA if there is one. The session is up.
func (sa *SA) completeLogin(now time.Time, child []message.Payload, out *Outbox) {
	cp := configReply(sa.login.child.cp, sa.session.lease, sa.given())
	if !sa.establish(now, slices.Concat([]message.Payload{cp}, child, sa.announceMobility()), out) {
		return
	}
	sa.session.isUp = true
	sa.reg.count(LoginsComplete)
	out.Events = append(out.Events, SessionEvent{Kind: EventUp, Time: now, Session: sa.info()})
}
