package ikev2

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/initiator"
)

// flowPlane is a data plane that knows on which Child SA it would send and
// which it takes packets on, by the rules of the real ones.
type flowPlane struct {
	esp.DataPlane
	now   func() time.Time
	grace time.Duration           // for which a new Child SA waits for the other end to send on it
	flows map[string][]*flowChild // by session, the oldest first
}

type flowChild struct {
	esp.Child
	sends bool
	from  time.Time   // when it sends even if nothing came on it
	after esp.ChildID // what it replaced
}

func newFlowPlane(below esp.DataPlane, now func() time.Time) *flowPlane {
	return &flowPlane{DataPlane: below, now: now, grace: time.Second, flows: make(map[string][]*flowChild)}
}

func (p *flowPlane) add(c esp.Child, after esp.ChildID, sends bool) {
	p.flows[c.Session] = append(p.flows[c.Session], &flowChild{c, sends, p.now().Add(p.grace), after})
}

func (p *flowPlane) Install(ctx context.Context, c esp.Child) error {
	err := p.DataPlane.Install(ctx, c)
	if err == nil {
		p.add(c, 0, true)
	}
	return err
}

func (p *flowPlane) Rekey(ctx context.Context, old esp.ChildID, c esp.Child) error {
	err := p.DataPlane.Rekey(ctx, old, c)
	if err == nil {
		p.add(c, old, c.Sending == esp.SendAtOnce)
	}
	return err
}

func (p *flowPlane) Remove(ctx context.Context, id esp.ChildID) error {
	for session, flow := range p.flows {
		for _, c := range flow {
			c.sends = c.sends || c.after == id
		}
		p.flows[session] = slices.DeleteFunc(flow, func(c *flowChild) bool { return c.ID == id })
	}
	return p.DataPlane.Remove(ctx, id)
}

// sender is the Child SA that packets of a session leave on; nil: none.
func (p *flowPlane) sender(session string) *flowChild {
	var waiting *flowChild
	for _, c := range slices.Backward(p.flows[session]) {
		switch {
		case c.Sending == esp.SendNever:
		case c.sends || !p.now().Before(c.from):
			return c
		case waiting == nil:
			waiting = c
		}
	}
	return waiting
}

// takes tells whether a packet of the other end's Child SA would be let in.
func (p *flowPlane) takes(session string, sent esp.Child) bool {
	for _, c := range p.flows[session] {
		if c.In.SPI == sent.Out.SPI && bytes.Equal(c.In.EncrKey, sent.Out.EncrKey) && bytes.Equal(c.In.IntegKey, sent.Out.IntegKey) {
			c.sends = c.sends || c.Sending != esp.SendNever
			return true
		}
	}
	return false
}

// change carries out what an initiator wants and tells whether that was the
// installation it waits for.
func (p *flowPlane) change(changes []initiator.Change) (installed bool) {
	if p == nil {
		return false
	}
	var err error
	for _, c := range changes {
		c.Child.Session = "" // the client has one
		switch c.Kind {
		case initiator.InstallChild:
			err, installed = errors.Join(err, p.Install(context.Background(), c.Child)), true
		case initiator.ReplaceChild:
			err = errors.Join(err, p.Rekey(context.Background(), c.Old, c.Child))
		case initiator.RemoveChild:
			err = errors.Join(err, p.Remove(context.Background(), c.Old))
		}
	}
	if err != nil {
		panic(err)
	}
	return installed
}

// traffic has packets go both ways all the time, as fast on the wire as IKE
// messages at their fastest, and counts those that nobody takes.
func (w *world) traffic(gateway *flowPlane, d *device, every time.Duration, lost *int) {
	session := w.onlySession().session.id
	var tick func()
	send := func(from, to *flowPlane, fromSession, toSession string) {
		c := from.sender(fromSession)
		if c == nil {
			*lost++
			return
		}
		sent := c.Child
		w.after(w.wire.delay, func() {
			if !d.closed && len(gateway.flows[session]) > 0 && !to.takes(toSession, sent) {
				*lost++
			}
		})
	}
	tick = func() {
		if d.closed || len(gateway.flows[session]) == 0 {
			return
		}
		send(gateway, d.plane, session, "")
		send(d.plane, gateway, "", session)
		w.after(every, tick)
	}
	tick()
}
