package xfrm

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
)

// Report is what Reconcile found.
type Report struct {
	Foreign  int           // states and policies of others, left alone
	Removed  int           // states and policies of ours that no Child SA has
	Restored int           // policies that were missing or changed
	Lost     []esp.ChildID // whose states are missing; they must be renewed or removed
}

// String says it in one line.
func (r Report) String() string {
	return fmt.Sprintf("%d leftovers removed, %d policies restored, %d child SAs lost, %d foreign objects left alone",
		r.Removed, r.Restored, len(r.Lost), r.Foreign)
}

// Reconcile compares what the kernel has under this Plane's request IDs with
// the Child SAs installed, and mends it: what belongs to none is removed,
// policies are put back. States are not put back, see Lost, but reported, and
// once each as an Event. What carries other request IDs is not touched.
func (p *Plane) Reconcile(ctx context.Context) (Report, error) {
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	p.mu.Lock()
	report, lost, err := p.reconcile()
	p.mu.Unlock()
	for _, id := range lost {
		p.config.OnEvent(Event{Kind: Lost, Child: id})
	}
	return report, err
}

// reconcile also gives the Child SAs lost that were not reported yet. p.mu is
// held.
func (p *Plane) reconcile() (r Report, lost []esp.ChildID, err error) {
	k, err := p.look()
	if err != nil {
		return r, nil, err
	}
	r.Foreign = k.foreign
	var mend change
	for id := range k.states {
		if p.inbound[id] == nil && p.outbound[id] == nil {
			mend.remove(deleteState(id))
			r.Removed++
		}
	}
	for key := range k.policies {
		if p.policies[key] == nil {
			mend.remove(deletePolicy(key, p.config.InterfaceID))
			r.Removed++
		}
	}
	for key, wanted := range p.policies {
		t, ok := k.policies[key]
		if !ok {
			mend.add(p.newPolicy(key, wanted.installed, false), request{})
		} else if t != wanted.installed {
			mend.add(p.newPolicy(key, wanted.installed, true), request{})
		} else {
			continue
		}
		r.Restored++
	}
	for _, c := range p.sorted() {
		if k.states[c.inboundID(c.Path)] && (c.phase != sending || k.states[c.outboundID(c.Path)]) {
			continue
		}
		r.Lost = append(r.Lost, c.ID)
		if !c.reported {
			c.reported = true
			lost = append(lost, c.ID)
		}
	}
	return r, lost, p.run(&mend)
}

// sweep removes all that carries our request IDs, and tells how much that was.
func (p *Plane) sweep() (int, error) {
	k, err := p.look()
	if err != nil {
		return 0, err
	}
	var all change
	for key := range k.policies {
		all.remove(deletePolicy(key, p.config.InterfaceID))
	}
	for id := range k.states {
		all.remove(deleteState(id))
	}
	return len(all.steps), p.run(&all)
}

// kernel is what is in the kernel.
type kernel struct {
	states   map[stateID]bool
	policies map[policyKey]template
	foreign  int
}

// look reads states and policies. Policies with more than one template are
// never ours.
func (p *Plane) look() (kernel, error) {
	k := kernel{states: map[stateID]bool{}, policies: map[policyKey]template{}}
	states := p.link.dump(dumpStates(), func(body []byte) error {
		f, err := parseState(body)
		switch {
		case err != nil:
			return err
		case !p.config.owns(f.reqid):
			k.foreign++
		case f.id.spi != 0: // else the kernel waits for the SA of a packet; it forgets that itself
			k.states[f.id] = true
		}
		return nil
	})
	policies := p.link.dump(request{kind: nl.XFRM_MSG_GETPOLICY, body: make([]byte, nl.SizeofXfrmUserpolicyId), what: "list policies"},
		func(body []byte) error {
			f, err := parsePolicy(body)
			if err != nil {
				return err
			}
			if len(f.templates) == 1 && p.config.owns(f.templates[0].reqid) {
				k.policies[f.key] = f.templates[0]
			} else {
				k.foreign++
			}
			return nil
		})
	return k, errors.Join(states, policies)
}

// dumpStates lists ESP states. The answers hold keys.
func dumpStates() request {
	b := make([]byte, nl.SizeofXfrmUsersaId)
	return request{
		kind: nl.XFRM_MSG_GETSA, what: "list states",
		body: appendAttribute(b, nl.XFRMA_PROTO, []byte{unix.IPPROTO_ESP}),
	}
}
