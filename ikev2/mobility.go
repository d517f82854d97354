package ikev2

import (
	"net/netip"

	"bridgehead/ikev2/esp"
)

// Rebound tells that an authentic ESP packet of a Child SA came from another
// address or port than its path's: the client's NAT has a new mapping, or
// somebody relays packets.
type Rebound struct {
	Child  esp.ChildID
	Remote netip.AddrPort
}

func (Rebound) event() {}

// Rebound takes a data plane's word that an authentic packet of a Child SA
// came from remote, which is not where the Child SA sends to. A client behind
// a NAT is followed there once it has answered from there; any other is not.
// It does not block.
func (r *Responder) Rebound(id esp.ChildID, remote netip.AddrPort) {
	r.tellChild(id, Rebound{id, netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())})
}
