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
		if len(existing.owners) == 0 {
			delete(p.policies, k)
			c.remove(deletePolicy(k, p.config.InterfaceID))
			return
		}
		f := existing.owners[len(existing.owners)-1].flow
		if t := f.template(k.direction, f.path()); t != existing.installed {
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
