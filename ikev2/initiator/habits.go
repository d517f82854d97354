package initiator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// Habits are what a client does by itself once it is logged in. A time of
// zero means never.
type Habits struct {
	// RekeyChild is the age at which the Child SA is replaced, and
	// RekeyChildOctets what it may have carried, both ways together. There is
	// a key exchange if the profile's RekeyESP has a group.
	RekeyChild       time.Duration
	RekeyChildOctets uint64
	RekeyIKE         time.Duration // the IKE SA's age at which it is replaced
	// ChildLife and IKELife are the ages at which the session ends because no
	// rekey has succeeded.
	ChildLife, IKELife time.Duration
	// Jitter has rekeys come earlier by up to this part of their time.
	Jitter float64
	// Patience is for how long TEMPORARY_FAILURE may answer rekeys before the
	// session ends; 0: for ever.
	Patience time.Duration
	// GiveUp ends the session when a rekey is refused for good; others try
	// again until the lifetime is over.
	GiveUp bool
	// Liveness is for how long nothing may come from the gateway before it is
	// asked whether it is there.
	Liveness time.Duration
	// KeepAlive is the interval of NAT keepalives (RFC 3948 §2.3); 0: 20 s.
	KeepAlive time.Duration
}

// Traffic tells what the Child SA in use has carried: octets both ways
// together, and when the last packet of the gateway came.
type Traffic struct {
	Child  esp.ChildID
	Octets uint64
	Heard  time.Time
}

func (Traffic) event() {}

// retryInterval is how long after a refused rekey the next is tried.
const retryInterval = 15 * time.Second

// habitual is a command that nobody gave. It ends without a Done.
type habitual struct{ Command }

// diary is what the habits need to know of the past.
type diary struct {
	child              esp.ChildID // as of childDue and childEnd
	childDue, childEnd time.Time
	octets             uint64 // carried by child
	ike                *generation
	ikeDue, ikeEnd     time.Time
	heard              time.Time // the last sign of life from the gateway
	refused            error     // of the rekey that has just been refused
	refusedSince       time.Time
	retry              time.Time // no rekey before
}

// note takes what the data plane tells.
func (d *diary) note(ev Traffic) {
	if ev.Child == d.child {
		d.octets = ev.Octets
	}
	if ev.Heard.After(d.heard) {
		d.heard = ev.Heard
	}
}

// follow does what is due by habit. The error ends the SA.
func (sa *SA) follow(now time.Time, out *Outbox) error {
	if sa.state != stateEstablished {
		return nil
	}
	sa.diary.update(sa, now)
	if err := sa.judge(now); err != nil {
		return err
	}
	if sa.command != nil || len(sa.queue) > 0 || sa.ike.requests.Outstanding() {
		return nil
	}
	if c := sa.diary.dueCommand(sa, now); c != nil {
		sa.carryOut(now, habitual{c}, out)
	}
	return nil
}

// update sees which SAs are new, and sets their times.
func (d *diary) update(sa *SA, now time.Time) {
	h := &sa.cfg.Profile.Habits
	if d.heard.IsZero() {
		d.heard = now
	}
	if sa.child != nil && d.child != sa.child.esp.ID {
		d.child, d.octets = sa.child.esp.ID, 0
		d.childDue, d.childEnd = sa.early(now, h.RekeyChild), after(now, h.ChildLife)
		d.refusedSince, d.retry = time.Time{}, time.Time{}
	}
	if d.ike != sa.ike {
		d.ike = sa.ike
		d.ikeDue, d.ikeEnd = sa.early(now, h.RekeyIKE), after(now, h.IKELife)
		d.refusedSince, d.retry = time.Time{}, time.Time{}
	}
}

func after(now time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return now.Add(d)
}

// early is the time after d, less the jitter.
func (sa *SA) early(now time.Time, d time.Duration) time.Time {
	var b [2]byte
	if j := sa.cfg.Profile.Habits.Jitter; d > 0 && j > 0 {
		if _, err := io.ReadFull(sa.cfg.Rand, b[:]); err == nil {
			d -= time.Duration(float64(d) * j * float64(binary.BigEndian.Uint16(b[:])) / 65536)
		}
	}
	return after(now, d)
}

// judge tells whether a refused rekey or an age ends the session.
func (sa *SA) judge(now time.Time) error {
	d, h := &sa.diary, &sa.cfg.Profile.Habits
	if err := d.refused; err != nil {
		d.refused, d.retry = nil, now.Add(retryInterval)
		if d.refusedSince.IsZero() {
			d.refusedSince = now
		}
		var refused *RefusedError
		temporary := errors.As(err, &refused) && refused.Notify == message.TemporaryFailure
		if !temporary && h.GiveUp || temporary && h.Patience > 0 && now.Sub(d.refusedSince) >= h.Patience {
			return err
		}
	}
	for _, life := range []struct {
		step Step
		end  time.Time
	}{{StepRekeyChild, d.childEnd}, {StepRekeyIKE, d.ikeEnd}} {
		if !life.end.IsZero() && !now.Before(life.end) {
			return localError(life.step, fmt.Errorf("its lifetime is over and no rekey succeeded"))
		}
	}
	return nil
}

// dueCommand is what it is time for; nil if nothing.
func (d *diary) dueCommand(sa *SA, now time.Time) Command {
	h := &sa.cfg.Profile.Habits
	switch {
	case d.isDue(d.ikeDue, now):
		return RekeyIKE{}
	case d.isDue(d.childDue, now), h.RekeyChildOctets > 0 && d.octets >= h.RekeyChildOctets && !now.Before(d.retry):
		return RekeyChild{KE: sa.cfg.Profile.RekeysWithKE()}
	case h.Liveness > 0 && !now.Before(d.heard.Add(h.Liveness)):
		return Liveness{}
	}
	return nil
}

// isDue tells whether it is time for a rekey.
func (d *diary) isDue(at, now time.Time) bool {
	return !at.IsZero() && !now.Before(at) && !now.Before(d.retry)
}

// deadlines gives each when habits have something to do.
func (d *diary) deadlines(sa *SA, each func(time.Time)) {
	if sa.state != stateEstablished || d.ike == nil {
		return
	}
	each(d.childEnd)
	each(d.ikeEnd)
	if sa.command != nil || sa.ike.requests.Outstanding() {
		return
	}
	rekeys := []time.Time{d.childDue, d.ikeDue}
	if h := &sa.cfg.Profile.Habits; h.RekeyChildOctets > 0 && d.octets >= h.RekeyChildOctets {
		rekeys = append(rekeys, d.retry)
	}
	for _, at := range rekeys {
		if !at.IsZero() && at.Before(d.retry) {
			at = d.retry
		}
		each(at)
	}
	if h := sa.cfg.Profile.Habits.Liveness; h > 0 {
		each(d.heard.Add(h))
	}
}

// watchesTraffic tells whether a habit needs Traffic.
func (h *Habits) watchesTraffic() bool { return h.RekeyChildOctets > 0 || h.Liveness > 0 }
