package ikev2

import "net/netip"

// amplification is how many octets may go to an address that is not proven,
// for each one that came from it.
const amplification = 3

func fits(answer, request int) bool { return answer <= amplification*request }

// reach is what a login knows about where its client really is. Whoever opens
// messages with the keys has received our IKE_SA_INIT, which proves the
// address that went to. An authentic message from another address may be
// meant to turn our chain of certificates on a victim there: until the next
// request shows that our answer arrived, no more goes out than the rule
// allows.
type reach struct {
	proven    netip.Addr
	candidate netip.Addr // another address, heard from and perhaps answered
	in, out   int        // octets from and to it
}

// heard takes note of an authentic datagram; fresh tells that it is the next
// request, which follows on our last answer.
func (r *reach) heard(from netip.Addr, octets int, fresh bool) {
	switch {
	case from == r.proven:
	case from != r.candidate:
		r.candidate, r.in, r.out = from, octets, 0
	case fresh && r.out > 0:
		r.proven, r.candidate, r.in, r.out = from, netip.Addr{}, 0, 0
	default:
		r.in += octets
	}
}

// allows tells whether an answer of so many octets may go to an address, and
// takes it as sent.
func (r *reach) allows(to netip.Addr, octets int) bool {
	if to == r.proven {
		return true
	}
	if to != r.candidate || !fits(r.out+octets, r.in) {
		return false
	}
	r.out += octets
	return true
}
