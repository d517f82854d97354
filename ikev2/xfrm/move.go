package xfrm

import (
	"context"
	"errors"

	"bridgehead/ikev2/esp"
)

// Move gives a Child SA new outer addresses, in at most six round trips. What
// may be lost is in the package's documentation. A *KernelError leaves the
// Child SA unusable in the worst case; remove it then.
func (p *Plane) Move(ctx context.Context, id esp.ChildID, to esp.Path) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.children[id]
	if !ok {
		return &UnknownChildError{id}
	}
	if !c.expects(to) {
		var former change
		p.expectNoMore(&former, c)
		if err := p.run(&former); err != nil {
			return err
		}
	}
	if to == c.Path {
		return nil
	}
	from := c.Path
	in, out, err := p.read(c)
	if err != nil {
		return err
	}
	var add, remove change
	if c.phase == sending {
		if err := p.moveOutbound(&add, &remove, c, to, out); err != nil {
			return err
		}
	}
	p.moveInbound(&add, c, to, in)
	if err := p.run(&add); err != nil {
		return errors.Join(err, p.unlimit(c))
	}
	c.expected = nil // it is c's own now
	p.leave(&remove, c, from, to)
	p.inbound[c.inboundID(to)] = c
	if c.phase == sending {
		delete(p.outbound, c.outboundID(from))
		p.outbound[c.outboundID(to)] = c
	}
	c.Path = to
	err = p.run(&remove)
	if c.phase == waiting {
		// The peer asks for the move in an exchange after the one that made the
		// Child SA, so it has it.
		err = errors.Join(err, p.beginSending(c))
	}
	return err
}

// moveOutbound keeps the state where only ports change. Where the peer's
// address does, old and new state are there at once. Otherwise the one must go
// before the other can be added.
func (p *Plane) moveOutbound(add, remove *change, c *child, to esp.Path, read counters) error {
	from := c.Path
	old, moved := c.outbound(from), c.outbound(to)
	for _, s := range []*state{old, moved} {
		s.mark, s.ifID = p.config.OutputMark, p.config.InterfaceID
	}
	if old.id == moved.id && old.source == moved.source && old.encap == moved.encap {
		add.add(newState(moved, true), newState(old, true))
		return nil
	}
	most := uint64(softSequence32)
	if moved.esn {
		most = maxSequence64
	}
	if read.replay.sent > most-2*unreadPackets {
		return &ChildError{c.ID, errSequence}
	}
	last, err := p.limit(old, read)
	if err != nil {
		return errors.Join(err, p.unlimit(c))
	}
	moved.replay = last.replay
	if old.id == moved.id {
		add.retireLimited(old.id, &c.goneOut, last)
		add.add(newState(moved, false), request{})
	} else {
		add.add(newState(moved, false), deleteState(moved.id))
		remove.retireLimited(old.id, &c.goneOut, last)
	}
	if c.flow.sender == c {
		p.retarget(add, c, to)
	}
	return nil
}

// moveInbound keeps the state if it can: the kernel takes packets from any
// source, and the one noted only decides what it reports as a new mapping.
func (p *Plane) moveInbound(add *change, c *child, to esp.Path, read counters) {
	old, moved := p.inboundOf(c, c.Path), p.inboundOf(c, to)
	if c.expects(to) {
		if moved.encap { // the source, of which a change is reported, may be another
			add.add(newState(moved, true), request{})
		}
		return
	}
	kept := old.id == moved.id && old.encap == moved.encap
	if kept && !moved.encap {
		return
	}
	if kept && (old.source == moved.source || p.capabilities.MappingInterval) {
		add.add(newState(moved, true), newState(old, true))
		return
	}
	moved.replay = read.replay
	if old.id == moved.id {
		add.retire(old.id, &c.goneIn)
		add.add(newState(moved, false), request{})
		return
	}
	add.add(newState(moved, false), deleteState(moved.id))
}

// leave has c receive no more where it was, but in a while: its peer may not
// know yet that it has moved. p.mu is held.
func (p *Plane) leave(remove *change, c *child, from, to esp.Path) {
	if from.Local.Addr() == to.Local.Addr() {
		return
	}
	if p.config.Linger > 0 {
		p.receiveAt(c, from, p.config.Linger)
		return
	}
	id := c.inboundID(from)
	remove.retire(id, &c.goneIn)
	delete(p.inbound, id)
}

// read gives the counters of a child's states; those of the outbound one are
// empty unless it sends.
func (p *Plane) read(c *child) (in, out counters, err error) {
	requests := []request{readState(c.inboundID(c.Path))}
	if c.phase == sending {
		requests = append(requests, readState(c.outboundID(c.Path)))
	}
	answers, err := p.link.do(requests)
	if err != nil {
		return in, out, err
	}
	for i, into := range []*counters{&in, &out}[:len(answers)] {
		if answers[i].err != nil {
			return in, out, answers[i].err
		}
		if *into, err = parseCounters(answers[i].body); err != nil {
			return in, out, err
		}
	}
	return in, out, nil
}
