package xfrm

import (
	"slices"
	"time"
)

// maxLingering bounds how many lingering states a peer that rekeys without end
// has.
const maxLingering = 4

// linger keeps the inbound state of c, which goes, for a while: what the peer
// sent on it may be taken up after the DELETE that ends it, since IKE and ESP
// come by different ways through the hosts. p.mu is held.
func (p *Plane) linger(r *change, c *child) {
	if former := c.flow.lingering; len(former) == maxLingering {
		former[0].ending.Stop()
		p.retireInbound(r, former[0])
		c.flow.lingering = slices.Delete(former, 0, 1)
	}
	c.flow.lingering = append(c.flow.lingering, c)
	c.ending = time.AfterFunc(p.config.Linger, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		// What is left by a refusal Reconcile finds.
		_ = p.endLinger(c)
	})
	c.summed = c.goneIn.bytes
	r.steps = append(r.steps, step{do: readState(c.inboundID(c.Path)), tolerant: true, answered: func(body []byte) error {
		now, err := parseCounters(body)
		c.summed += now.bytes
		c.left = now
		return err
	}})
	r.commit = append(r.commit, func() { p.goneIn += c.summed })
}

// endLinger takes the inbound state of c away, if it lingers. p.mu is held.
func (p *Plane) endLinger(c *child) error {
	at := slices.Index(c.flow.lingering, c)
	if at < 0 || p.flows[c.flow.reqid] != c.flow {
		return nil // ended with its flow, or with the Plane
	}
	c.ending.Stop()
	c.flow.lingering = slices.Delete(c.flow.lingering, at, at+1)
	var r change
	p.retireInbound(&r, c)
	return p.run(&r)
}

// retireInbound takes the inbound state of c away, with what it has carried
// counted. p.mu is held.
func (p *Plane) retireInbound(r *change, c *child) {
	id := c.inboundID(c.Path)
	r.retire(id, &c.goneIn)
	delete(p.inbound, id)
	r.commit = append(r.commit, func() {
		p.goneIn += c.goneIn.bytes - c.summed
		if c.told == nil {
			return
		}
		late, heir := c.goneIn.bytes-c.told.bytes, c.flow.sender
		if heir != nil {
			p.goneIn -= late // the heir counts it from now on
		} else if heir = c.flow.last; heir == nil || heir == c {
			return
		}
		heir.goneIn.bytes += late
		heir.goneIn.packets += c.goneIn.packets - c.told.packets
	})
}
