package ikev2

import (
	"time"

	"bridgehead/ikev2/esp"
)

// Exhausting takes a data plane's word that a Child SA comes near the end of
// its packet numbers or octets: it is rekeyed, or its session ends with that
// cause. It does not block.
func (r *Responder) Exhausting(id esp.ChildID) { r.tellChild(id, Exhausting{id}) }

// Lost takes a data plane's word that it has a Child SA no more: the client is
// told by a DELETE, and the session ends if it was the only one. It does not
// block.
func (r *Responder) Lost(id esp.ChildID) { r.tellChild(id, Lost{id}) }

// tellChild gives an event to the SA that has the Child SA by now; one that is
// gone already needs to know nothing.
func (r *Responder) tellChild(id esp.ChildID, ev Event) {
	index := shardOf(id)
	if index >= len(r.runners) {
		return
	}
	r.runners[index].inbox.put(func(b *batch) {
		b.commands = append(b.commands, func(now time.Time, s *shard) { s.tellChild(now, id, ev) })
	})
}

func (s *shard) tellChild(now time.Time, id esp.ChildID, ev Event) {
	if sa := s.reg.children[id]; sa != nil {
		s.handle(now, sa, ev)
	}
}
