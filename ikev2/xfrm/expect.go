package xfrm

import (
	"context"
	"time"

	"bridgehead/ikev2/esp"
)

var _ esp.Expecter = (*Plane)(nil)

// expectFor bounds how long a Child SA receives where its peer is expected.
const expectFor = time.Minute

// Expect has a Child SA receive at another local address, too, in two round
// trips, for a minute; a path with the same one needs nothing, since the kernel
// takes packets from any source. It is the state that Move then keeps. Its
// replay window begins as the other's is at that moment: what that accepts later
// it would accept once more. The error is an *UnknownChildError, a
// *ConflictError or a *KernelError.
func (p *Plane) Expect(ctx context.Context, id esp.ChildID, path esp.Path) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.children[id]
	if !ok {
		return &UnknownChildError{id}
	}
	if path.Local.Addr() == c.Path.Local.Addr() {
		return nil
	}
	if c.expects(path) {
		p.receiveAt(c, path, expectFor)
		return nil
	}
	var former change
	p.expectNoMore(&former, c)
	if err := p.run(&former); err != nil {
		return err
	}
	expected := p.inboundOf(c, path)
	if _, taken := p.inbound[expected.id]; taken {
		return &ConflictError{ID: id, SPI: c.In.SPI}
	}
	in, _, err := p.read(c)
	if err != nil {
		return err
	}
	expected.replay = in.replay
	var add change
	add.add(newState(expected, false), deleteState(expected.id))
	if err := p.run(&add); err != nil {
		return err
	}
	p.receiveAt(c, path, expectFor)
	return nil
}

// receiveAt notes that c has an inbound state for a path beside its own, which
// goes after a time. p.mu is held.
func (p *Plane) receiveAt(c *child, path esp.Path, during time.Duration) {
	c.expected = &path
	p.inbound[c.inboundID(path)] = c
	this := c.expected
	time.AfterFunc(during, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if c.expected != this || p.children[c.ID] != c {
			return
		}
		var r change
		p.expectNoMore(&r, c)
		_ = p.run(&r) // what is left by a refusal Reconcile finds
	})
}

// inboundOf is c's inbound state over a path, as it is to be installed.
func (p *Plane) inboundOf(c *child, path esp.Path) *state {
	s := c.inbound(path)
	s.ifID = p.config.InterfaceID
	if c.phase == waiting {
		s.softLimit = 0
	}
	return s
}

// expects tells whether c's expected state is that of a path but for where the
// packets come from.
func (c *child) expects(path esp.Path) bool {
	return c.expected != nil && c.expected.Local == path.Local && c.expected.Encap == path.Encap
}

// expectNoMore takes c's expected state away. p.mu is held.
func (p *Plane) expectNoMore(r *change, c *child) {
	if c.expected == nil {
		return
	}
	id := c.inboundID(*c.expected)
	r.retire(id, &c.goneIn)
	delete(p.inbound, id)
	c.expected = nil
}
