package xfrm

import (
	"errors"

	"golang.org/x/sys/unix"
)

const (
	// handoverPackets is how many packets more an outbound state that a Move
	// replaces may protect. They are few: its successor begins after them, and
	// what is late on the old path must still be inside the peer's replay window
	// when packets of the new one come first. They are not fewer since the rest
	// of the Move may take a loaded machine a while, and what comes beyond the
	// limit is lost.
	handoverPackets = replayWindow / 4
	// unreadPackets is left out where what an outbound state has sent in the end
	// cannot be read.
	unreadPackets = 1 << 20
	maxSequence64 = 1<<64 - 1
)

// limit has an outbound state, of which read was read before, end after a few
// packets more: it sends on until its successor does, and no sequence number may
// be used twice with one key (RFC 4106 §3.1). It gives what the state has
// carried, with the number that its successor may begin after.
//
// The kernel holds the state to the limit only from when that is set. If it was
// passed by then, the state has ended: it sends no more, and is read once more
// or is gone already. p.mu is held.
func (p *Plane) limit(s *state, read counters) (counters, error) {
	limited := *s
	limited.hardLimit = read.packets + handoverPackets
	answers, err := p.link.do([]request{readState(s.id), newState(&limited, true), readState(s.id)})
	if err != nil {
		return counters{}, err
	}
	if err := errors.Join(answers[0].err, answers[1].err); err != nil {
		return counters{}, err
	}
	after := answers[2]
	if errors.Is(after.err, unix.ESRCH) {
		last, err := parseCounters(answers[0].body)
		if err == nil {
			last.replay.sent += unreadPackets
		}
		return last, err
	} else if after.err != nil {
		return counters{}, after.err
	}
	last, err := parseCounters(after.body)
	if err == nil {
		last.replay.sent = max(last.replay.sent, read.replay.sent+handoverPackets)
	}
	return last, err
}

// unlimit lets the outbound state of a child that does not move go on. p.mu is
// held.
func (p *Plane) unlimit(c *child) error {
	if c.phase != sending {
		return nil
	}
	s := c.outbound(c.Path)
	s.mark, s.ifID = p.config.OutputMark, p.config.InterfaceID
	answers, err := p.link.do([]request{newState(s, true)})
	if err != nil {
		return err
	}
	return answers[0].err
}
