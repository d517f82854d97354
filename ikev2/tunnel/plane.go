package tunnel

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bridgehead/ikev2/esp"
)

// ConflictError refuses a Child SA that collides with an installed one. The
// caller chose the ID or the SPI twice.
type ConflictError struct {
	ID  esp.ChildID
	SPI uint32 // the inbound one; 0 if the ID is what collides
}

func (e *ConflictError) Error() string {
	if e.SPI != 0 {
		return fmt.Sprintf("tunnel: child %d: inbound SPI %08x is in use", e.ID, e.SPI)
	}
	return fmt.Sprintf("tunnel: child %d is installed already", e.ID)
}

// UnknownChildError is a Child SA that is not installed.
type UnknownChildError struct{ ID esp.ChildID }

func (e *UnknownChildError) Error() string {
	return fmt.Sprintf("tunnel: child %d is not installed", e.ID)
}

var (
	_ esp.DataPlane = (*Tunnel)(nil)
	_ esp.Finisher  = (*Tunnel)(nil)
)

// Install makes c carry traffic at once. The error is a *ConflictError or an
// *esp.SuiteError.
func (t *Tunnel) Install(_ context.Context, c esp.Child) error {
	n, err := t.newChild(&c)
	if err != nil {
		return err
	}
	n.sending.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.publish(n)
}

// Rekey installs c beside old, which keeps receiving. For when c takes over
// sending see the package's documentation.
func (t *Tunnel) Rekey(_ context.Context, old esp.ChildID, c esp.Child) error {
	n, err := t.newChild(&c)
	if err != nil {
		return err
	}
	switch {
	case c.Sending == esp.SendNever:
		n.silent = true
	case c.Sending == esp.SendAtOnce || t.config.RekeyGrace <= 0:
		n.sending.Store(true)
	default:
		n.switchAt = time.Now().Add(t.config.RekeyGrace).UnixNano()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before, ok := t.children[old]
	if !ok {
		return &UnknownChildError{old}
	}
	if err := t.publish(n); err != nil {
		return err
	}
	if !n.silent {
		before.successor = n
	}
	return nil
}

func (t *Tunnel) newChild(c *esp.Child) (*child, error) {
	in, err := esp.NewInbound(c.In)
	if err != nil {
		return nil, err
	}
	out, err := esp.NewOutbound(c.Out)
	if err != nil {
		return nil, err
	}
	n := &child{id: c.ID, session: c.Session, spi: c.In.SPI, in: in, out: out, policy: esp.NewPolicy(c), remote: rangesOf(c.Remote)}
	n.path.Store(newPath(c.Path, out, t.config.MTU, t.config.OuterMTU))
	return n, nil
}

// publish makes c visible to the goroutines that move packets. t.mu is held.
func (t *Tunnel) publish(c *child) error {
	if _, ok := t.children[c.id]; ok {
		return &ConflictError{ID: c.id}
	}
	if other := t.spis.get(c.spi); other != nil {
		if t.children[other.id] == other {
			return &ConflictError{ID: c.id, SPI: c.spi}
		}
		t.forget(other)
	}
	c.limits.Store(t.limits[c.session])
	t.children[c.id] = c
	t.spis.set(c.spi, c)
	t.routes.add(c)
	return nil
}

// Move sends a Child SA's packets to p from now on.
func (t *Tunnel) Move(_ context.Context, id esp.ChildID, p esp.Path) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.children[id]
	if !ok {
		return &UnknownChildError{id}
	}
	c.path.Store(newPath(p, c.out, t.config.MTU, t.config.OuterMTU))
	return nil
}

// Remove ends a Child SA. One that has a successor still receives for a while.
func (t *Tunnel) Remove(_ context.Context, id esp.ChildID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err := t.remove(id)
	return err
}

// Finish implements esp.Finisher.
func (t *Tunnel) Finish(_ context.Context, id esp.ChildID) (esp.Usage, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err := t.remove(id)
	if err != nil {
		return esp.Usage{}, err
	}
	u := c.usage()
	c.finished, c.toldBytes, c.toldPackets = true, u.BytesIn, u.PacketsIn
	return u, nil
}

// remove is Remove. t.mu is held.
func (t *Tunnel) remove(id esp.ChildID) (*child, error) {
	c, ok := t.children[id]
	if !ok {
		return nil, &UnknownChildError{id}
	}
	if s := c.successor; s != nil { // takes over, not what c once replaced
		s.sending.Store(true)
	}
	t.routes.remove(c)
	delete(t.children, id)
	t.linger(c)
	return c, nil
}

// maxLingering bounds how many lingering Child SAs a peer that rekeys without
// end has.
const maxLingering = 4

// linger keeps a Child SA that was removed receiving for a while, and those
// that linger with it for what is left of theirs, if one that succeeded it is
// installed; without one all end at once. t.mu is held.
func (t *Tunnel) linger(c *child) {
	s := c.successor
	for s != nil && t.children[s.id] != s {
		s = s.successor // that one was removed before c
	}
	former := append(c.lingering, c)
	c.lingering = nil
	if s == nil || t.config.Linger < 0 {
		for _, l := range former {
			t.forget(l)
		}
		return
	}
	for _, l := range former {
		l.successor = s
	}
	s.lingering = append(s.lingering, former...)
	for len(s.lingering) > maxLingering {
		t.forget(s.lingering[0])
	}
	time.AfterFunc(t.config.Linger, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.forget(c)
	})
}

// forget ends a Child SA that was removed for good. Doing so again does
// nothing. t.mu is held.
func (t *Tunnel) forget(c *child) {
	if t.spis.get(c.spi) == c {
		t.spis.remove(c.spi)
	}
	if s := c.successor; s != nil {
		if c.finished {
			bytes, packets := c.bytesIn.Load(), c.packetsIn.Load()
			s.bytesIn.Add(bytes - c.toldBytes)
			s.packetsIn.Add(packets - c.toldPackets)
			c.toldBytes, c.toldPackets = bytes, packets
		}
		s.lingering = slices.DeleteFunc(s.lingering, func(l *child) bool { return l == c })
	}
}

// Usage reports on the Child SAs named, or on all if ids is nil. LastIn is
// exact to the batch of packets.
func (t *Tunnel) Usage(_ context.Context, ids []esp.ChildID) ([]esp.Usage, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ids == nil {
		all := make([]esp.Usage, 0, len(t.children))
		for _, c := range t.children {
			all = append(all, c.usage())
		}
		return all, nil
	}
	some := make([]esp.Usage, 0, len(ids))
	for _, id := range ids {
		if c, ok := t.children[id]; ok {
			some = append(some, c.usage())
		}
	}
	return some, nil
}
