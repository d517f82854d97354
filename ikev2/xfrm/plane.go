package xfrm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"bridgehead/ikev2/esp"
)

var (
	_ esp.DataPlane = (*Plane)(nil)
	_ esp.Finisher  = (*Plane)(nil)
)

// link is the way to a kernel.
type link interface {
	do(requests []request) ([]answer, error)
	dump(r request, each func(body []byte) error) error
	close() error
}

// Plane is the kernel's ESP in one network namespace.
type Plane struct {
	config       Config
	capabilities Capabilities
	monitor      *monitor

	mu        sync.Mutex
	link      link
	children  map[esp.ChildID]*child
	inbound   map[stateID]*child
	outbound  map[stateID]*child // those sending
	flows     map[uint32]*flow
	policies  map[policyKey]*policy
	lastReqID uint32
	swept     int

	goneIn, goneOut uint64      // octets that Child SAs carried that are gone
	before          *thresholds // to put back; nil: nothing
}

// Open prepares to use the kernel of the network namespace that the calling
// thread is in, and removes what an earlier Plane with the same request IDs
// left behind. The error is a *KernelError, ErrNoESP or of the netlink socket.
func Open(c Config) (*Plane, error) {
	c = c.withDefaults()
	if c.FirstReqID+reqIDs < c.FirstReqID {
		return nil, fmt.Errorf("xfrm: first request ID %#x leaves no room for %d; choose a lower one", c.FirstReqID, reqIDs)
	}
	s, err := openSocket()
	if err != nil {
		return nil, err
	}
	p, err := open(c, s)
	if err == nil {
		p.monitor, err = newMonitor(p)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return p, nil
}

// open is Open but for the events.
func open(c Config, l link) (*Plane, error) {
	p := &Plane{
		config: c, link: l,
		children: map[esp.ChildID]*child{}, inbound: map[stateID]*child{}, outbound: map[stateID]*child{},
		flows: map[uint32]*flow{}, policies: map[policyKey]*policy{},
	}
	var err error
	if p.capabilities, err = probe(l, c.FirstReqID); err != nil {
		return nil, err
	}
	if !p.capabilities.ESP4 && !p.capabilities.ESP6 {
		return nil, ErrNoESP
	}
	if p.swept, err = p.sweep(); err != nil {
		return nil, err
	}
	if err := p.hashHosts(); err != nil {
		return nil, err
	}
	return p, p.guard()
}

// Capabilities are what the kernel can do, as found by Open.
func (p *Plane) Capabilities() Capabilities { return p.capabilities }

// Swept is how many states and policies of an earlier Plane Open removed.
func (p *Plane) Swept() int { return p.swept }

// Close removes all that the Plane has in the kernel, puts back the policy hash
// thresholds and forgets all keys.
func (p *Plane) Close() error {
	return errors.Join(p.monitor.close(), p.shut())
}

// shut is Close but for the events.
func (p *Plane) shut() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.children {
		c.stopWaiting()
		c.wipe()
	}
	for _, f := range p.flows {
		for _, l := range f.lingering {
			l.ending.Stop()
		}
	}
	clear(p.children)
	clear(p.policies)
	clear(p.inbound)
	clear(p.outbound)
	clear(p.flows)
	_, err := p.sweep()
	return errors.Join(err, p.restoreThresholds(), p.link.close())
}

// Install makes c carry traffic at once, in one round trip for up to 20
// selectors in the kernel's form. The error is a
// *ConflictError, an *esp.SuiteError, a *ChildError or a *KernelError; nothing
// stays installed then.
func (p *Plane) Install(ctx context.Context, c esp.Child) error {
	n, err := newChild(c)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n.flow = &flow{reqid: p.freeReqID(), sender: n}
	n.phase = sending
	return p.admit(ctx, n)
}

// Rekey installs c beside old, which keeps receiving. For when c takes over
// sending see the package's documentation. The error is as Install's, or an
// *UnknownChildError.
func (p *Plane) Rekey(ctx context.Context, old esp.ChildID, c esp.Child) error {
	n, err := newChild(c)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before, ok := p.children[old]
	if !ok {
		n.wipe()
		return &UnknownChildError{old}
	}
	n.flow = before.flow
	if c.Sending == esp.SendNever {
		n.phase = retired
		return p.admit(ctx, n)
	}
	if err := p.admit(ctx, n); err != nil {
		return err
	}
	if c.Sending == esp.SendAtOnce || p.config.RekeyGrace < 0 || n.flow.sender == nil {
		if err := p.beginSending(n); err != nil {
			return errors.Join(err, p.remove(n))
		}
		return nil
	}
	n.grace = time.AfterFunc(p.config.RekeyGrace, func() { p.takeOver(n) })
	return nil
}

// admit installs n, of whose flow and phase the caller has decided. p.mu is
// held.
func (p *Plane) admit(ctx context.Context, n *child) (err error) {
	defer func() {
		if err != nil {
			n.wipe()
		}
	}()
	if err := ctx.Err(); err != nil {
		return err
	}
	in, out := n.inbound(n.Path), n.outbound(n.Path)
	if _, ok := p.children[n.ID]; ok {
		return &ConflictError{ID: n.ID}
	}
	if o, ok := p.inbound[in.id]; ok {
		if o.ending == nil {
			return &ConflictError{ID: n.ID, SPI: n.In.SPI}
		}
		if err := p.endLinger(o); err != nil {
			return err
		}
	}
	if _, ok := p.outbound[out.id]; ok {
		return &ConflictError{ID: n.ID, SPI: n.Out.SPI, Outbound: true}
	}
	in.mark, in.ifID = p.config.OutputMark, p.config.InterfaceID
	out.mark, out.ifID = in.mark, in.ifID
	var c change
	if n.phase == waiting {
		// EXPIRE comes with the first packet. That it is not authenticated yet is
		// no matter: the SPI travelled encrypted, so only a peer that has the
		// Child SA, or who saw that peer's packets, can send one.
		in.softLimit = 0
	}
	c.add(newState(in, false), deleteState(in.id))
	if n.phase == sending {
		c.add(newState(out, false), deleteState(out.id))
	}
	path := n.Path
	if n.flow.sender != nil {
		path = n.flow.sender.Path
	}
	p.claim(&c, n, path)
	if err := p.run(&c); err != nil {
		return err
	}
	n.flow.members = append(n.flow.members, n)
	p.flows[n.flow.reqid] = n.flow
	p.children[n.ID] = n
	p.inbound[in.id] = n
	if n.phase == sending {
		p.outbound[out.id] = n
	}
	return nil
}

// Remove ends a Child SA; if another waits to take over, it does. A *KernelError
// tells that something may be left, which Reconcile removes; the Child SA is
// forgotten all the same.
func (p *Plane) Remove(_ context.Context, id esp.ChildID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.children[id]
	if !ok {
		return &UnknownChildError{id}
	}
	return p.remove(c)
}

// Finish implements esp.Finisher.
func (p *Plane) Finish(_ context.Context, id esp.ChildID) (esp.Usage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.children[id]
	if !ok {
		return esp.Usage{}, &UnknownChildError{id}
	}
	err := p.remove(c)
	received := c.goneIn
	received.add(c.left)
	c.told = &received
	return p.usage(c, c.left, counters{}), err
}

// remove is Remove. p.mu is held.
func (p *Plane) remove(c *child) error {
	var fault error
	f := c.flow
	c.stopWaiting()
	if next := f.successor(); f.sender == c && next != nil {
		fault = p.beginSending(next)
	}
	at := slices.Index(f.members, c)
	f.members = slices.Delete(f.members, at, at+1)
	if f.sender == c {
		f.sender = nil
	}
	var r change
	p.release(&r, c)
	if c.phase == sending {
		r.retire(c.outboundID(c.Path), &c.goneOut)
		delete(p.outbound, c.outboundID(c.Path))
	}
	p.expectNoMore(&r, c)
	delete(p.children, c.ID)
	if at < len(f.members) && p.config.Linger > 0 { // it was rekeyed
		p.linger(&r, c)
	} else {
		p.retireInbound(&r, c)
	}
	if len(f.members) == 0 {
		f.last = c
		for _, l := range f.lingering {
			l.ending.Stop()
			p.retireInbound(&r, l)
		}
		delete(p.flows, f.reqid)
	}
	c.wipe()
	r.commit = append(r.commit, func() { p.goneOut += c.goneOut.bytes })
	return errors.Join(fault, p.run(&r))
}

// beginSending makes the waiting c the sender of its flow. The outbound state
// of the one before goes, with its counters kept, so that the kernel has no
// choice: it would take the younger by whole seconds. p.mu is held.
func (p *Plane) beginSending(c *child) error {
	c.stopWaiting()
	before := c.flow.sender
	out := c.outbound(c.Path)
	out.mark, out.ifID = p.config.OutputMark, p.config.InterfaceID
	var begin change
	begin.add(newState(out, false), deleteState(out.id))
	p.retarget(&begin, c, c.Path)
	if err := p.run(&begin); err != nil {
		return err
	}
	c.phase, c.flow.sender = sending, c
	p.outbound[out.id] = c
	if before == nil {
		return nil
	}
	id := before.outboundID(before.Path)
	delete(p.outbound, id)
	before.phase = retired
	var end change
	end.retire(id, &before.goneOut)
	return p.run(&end)
}

// takeOver is beginSending from a timer or an event. c may be gone, or sending,
// by then.
func (p *Plane) takeOver(c *child) {
	p.mu.Lock()
	var err error
	if c.phase == waiting && p.children[c.ID] == c {
		err = p.beginSending(c)
	}
	p.mu.Unlock()
	if err != nil {
		p.config.OnEvent(Event{Kind: Faulted, Child: c.ID, Err: err})
	}
}

func (c *child) stopWaiting() {
	if c.grace != nil {
		c.grace.Stop()
	}
}

// freeReqID gives the first of two unused request IDs, those free longest.
func (p *Plane) freeReqID() uint32 {
	for {
		p.lastReqID = (p.lastReqID + 2) % reqIDs
		if id := p.config.FirstReqID + p.lastReqID; id != p.config.guardReqID() && p.flows[id] == nil {
			return id
		}
	}
}

// sorted gives the children by ID.
func (p *Plane) sorted() []*child {
	return slices.SortedFunc(maps.Values(p.children), func(a, b *child) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
}
