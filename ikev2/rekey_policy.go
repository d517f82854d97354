package ikev2

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Rekey says when the gateway itself replaces keys, not waiting for the client
// to do it. The zero value never does. It holds only for clients that take it:
// what is known to break one is left out (quirks W1 and A3), and clients answer
// to their own lifetimes besides.
type Rekey struct {
	Child        time.Duration // of a Child SA's age; zero: never by time
	ChildBytes   uint64        // of inner octets in one direction; zero: never by octets
	ChildPackets uint64        // of packets in one direction; zero: never by packets
	IKE          time.Duration // of an IKE SA's age; zero: never
	// Jitter is the fraction of a lifetime by which each one is made shorter
	// at random, at most, so that sessions that began together do not all rekey
	// together. Zero: 0.1; negative: none.
	Jitter float64
}

// minRekey is the least lifetime by time: shorter ones rekey without end.
const minRekey = time.Second

func (r Rekey) withDefaults() Rekey {
	r.Jitter = max(0, cmp.Or(r.Jitter, 0.1))
	return r
}

func (r Rekey) validate() error {
	var errs []error
	for _, l := range []struct {
		name string
		d    time.Duration
	}{{"Child SA", r.Child}, {"IKE SA", r.IKE}} {
		if l.d < 0 || l.d > 0 && l.d < minRekey {
			errs = append(errs, fmt.Errorf("ikev2: configuration: rekeying a %s after %v; take at least %v, or 0 for never", l.name, l.d, minRekey))
		}
	}
	if r.Jitter > 0.5 {
		errs = append(errs, fmt.Errorf("ikev2: configuration: lifetimes shortened by up to %v of them; take at most 0.5", r.Jitter))
	}
	return errors.Join(errs...)
}
