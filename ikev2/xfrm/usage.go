package xfrm

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
)

// Usage reports on the Child SAs named, or on all if ids is nil. The kernel
// counts a packet once it is authentic, before its selectors are checked.
// LastIn is when Usage first found more packets than before: late by as much as
// the calls lie apart.
func (p *Plane) Usage(ctx context.Context, ids []esp.ChildID) ([]esp.Usage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.usageOf(ctx, ids)
}

// usageOf is Usage. p.mu is held.
func (p *Plane) usageOf(ctx context.Context, ids []esp.ChildID) ([]esp.Usage, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var chosen []*child
	if ids == nil {
		chosen = p.sorted()
	}
	for _, id := range ids {
		if c, ok := p.children[id]; ok {
			chosen = append(chosen, c)
		}
	}
	requests := make([]request, 0, 2*len(chosen))
	for _, c := range chosen {
		requests = append(requests, readState(c.inboundID(c.Path)))
		if c.phase == sending {
			requests = append(requests, readState(c.outboundID(c.Path)))
		}
		if c.expected != nil {
			requests = append(requests, readState(c.inboundID(*c.expected)))
		}
	}
	answers, err := p.link.do(requests)
	if err != nil {
		return nil, err
	}
	all := make([]esp.Usage, 0, len(chosen))
	for _, c := range chosen {
		var in, out, expected counters
		each := []*counters{&in}
		if c.phase == sending {
			each = append(each, &out)
		}
		if c.expected != nil {
			each = append(each, &expected)
		}
		for i, into := range each {
			if *into, err = found(answers[i]); err != nil {
				return nil, err
			}
		}
		answers = answers[len(each):]
		in.bytes, in.packets = in.bytes+expected.bytes, in.packets+expected.packets
		all = append(all, p.usage(c, in, out))
	}
	return all, nil
}

// Carried is how many octets of inner packets all Child SAs since Open have
// carried.
func (p *Plane) Carried(ctx context.Context) (in, out uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	live, err := p.usageOf(ctx, nil)
	in, out = p.goneIn, p.goneOut
	for _, u := range live {
		in += u.BytesIn
		out += u.BytesOut
	}
	return in, out, err
}

// found reads counters; none if another program removed the state, which is
// for Reconcile to tell.
func found(a answer) (counters, error) {
	if errors.Is(a.err, unix.ESRCH) {
		return counters{}, nil
	}
	if a.err != nil {
		return counters{}, a.err
	}
	return parseCounters(a.body)
}

func (p *Plane) usage(c *child, in, out counters) esp.Usage {
	totalIn, totalOut := c.goneIn, c.goneOut
	totalIn.add(in)
	totalOut.add(out)
	if totalIn.packets > c.packets {
		c.packets, c.lastIn = totalIn.packets, p.config.Now()
	}
	return esp.Usage{
		ID:      c.ID,
		BytesIn: totalIn.bytes, PacketsIn: totalIn.packets,
		BytesOut: totalOut.bytes, PacketsOut: totalOut.packets,
		LastIn: c.lastIn, OutboundRemaining: c.remaining(totalOut.sent),
	}
}
