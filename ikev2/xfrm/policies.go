package xfrm

import (
	"net/netip"
	"slices"

	"bridgehead/ikev2/esp"
)

// claim gives n its policies, with its flow sending over path: new ones are
// added, those of others updated. p.mu is held.
func (p *Plane) claim(c *change, n *child, path esp.Path) {
	n.keys(func(k policyKey) {
		t := n.flow.template(k.direction, path)
		existing := p.policies[k]
		switch {
		case existing == nil:
			c.add(p.newPolicy(k, t, false), deletePolicy(k, p.config.InterfaceID))
			existing = &policy{}
		case existing.installed != t:
			c.add(p.newPolicy(k, t, true), p.newPolicy(k, existing.installed, true))
		}
		c.commit = append(c.commit, func() {
			existing.owners, existing.installed = append(existing.owners, n), t
			p.policies[k] = existing
		})
	})
}

// release takes n's policies: they go to the next newest owner or away. The
// model changes at once. p.mu is held.
func (p *Plane) release(c *change, n *child) {
	n.keys(func(k policyKey) {
		existing := p.policies[k]
		if existing == nil {
			return
		}
		existing.owners = slices.DeleteFunc(existing.owners, func(o *child) bool { return o == n })
		var t template
		switch {
		case len(existing.owners) > 0:
			f := existing.owners[len(existing.owners)-1].flow
			t = f.template(k.direction, f.path())
		case existing.guard != nil:
			t = *existing.guard
		default:
			delete(p.policies, k)
			c.remove(deletePolicy(k, p.config.InterfaceID))
			return
		}
		if t != existing.installed {
			existing.installed = t
			c.remove(p.newPolicy(k, t, true))
		}
	})
}

// retarget points the policies that n's flow has to another path. p.mu is held.
func (p *Plane) retarget(c *change, n *child, path esp.Path) {
	done := map[policyKey]bool{}
	for _, m := range n.flow.members {
		m.keys(func(k policyKey) {
			existing := p.policies[k]
			t := n.flow.template(k.direction, path)
			if done[k] || existing.owners[len(existing.owners)-1].flow != n.flow || existing.installed == t {
				return
			}
			done[k] = true
			c.add(p.newPolicy(k, t, true), p.newPolicy(k, existing.installed, true))
			c.commit = append(c.commit, func() { existing.installed = t })
		})
	}
}

// guard installs the policies that drop what would pass the protected networks'
// borders in clear. A Child SA's come before them.
func (p *Plane) guard() error {
	var c change
	for _, network := range p.config.Protected {
		everywhere := netip.PrefixFrom(anyAddress(network.Addr()), 0)
		out := selector{source: everywhere, destination: network.Masked()}
		for _, k := range []policyKey{
			{directionOut, out}, {directionIn, out.reversed()}, {directionForward, out.reversed()},
		} {
			if p.policies[k] != nil { // the network is named twice
				continue
			}
			t := template{
				reqid: p.config.guardReqID(), source: everywhere.Addr(), destination: everywhere.Addr(), block: true,
			}
			p.policies[k] = &policy{installed: t, guard: &t}
			c.add(p.newPolicy(k, t, false), deletePolicy(k, p.config.InterfaceID))
		}
	}
	return p.run(&c)
}

func (p *Plane) newPolicy(k policyKey, t template, update bool) request {
	return newPolicy(k, t, p.config.Priority, p.config.InterfaceID, update)
}

// anyAddress is the unspecified address of a's family.
func anyAddress(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
