package message

import "iter"

// Find gives the first payload of type P, nil if there is none:
//
//	sa := message.Find[*message.SA](ps)
//
// IDi and IDr share a type, as do TSi and TSr: see FindID and FindTS.
func Find[P Payload](ps []Payload) P {
	for p := range All[P](ps) {
		return p
	}
	var none P
	return none
}

// All iterates over the payloads of type P in their order.
func All[P Payload](ps []Payload) iter.Seq[P] {
	return func(yield func(P) bool) {
		for _, p := range ps {
			if p, ok := p.(P); ok && !yield(p) {
				return
			}
		}
	}
}

// FindNotify gives the first notification of a kind, nil if there is none.
func FindNotify(ps []Payload, kind NotifyType) *Notify {
	for n := range All[*Notify](ps) {
		if n.Kind == kind {
			return n
		}
	}
	return nil
}

// FindID gives the first IDr if responder is true, else the first IDi; nil if
// there is none.
func FindID(ps []Payload, responder bool) *ID {
	for id := range All[*ID](ps) {
		if id.Responder == responder {
			return id
		}
	}
	return nil
}

// FindTS gives the first TSr if responder is true, else the first TSi; nil if
// there is none.
func FindTS(ps []Payload, responder bool) *TS {
	for ts := range All[*TS](ps) {
		if ts.Responder == responder {
			return ts
		}
	}
	return nil
}

// UnsupportedCritical gives the type of the first unknown payload whose
// critical bit is set. A request that holds one is answered with
// UNSUPPORTED_CRITICAL_PAYLOAD and that type as data (RFC 7296 §2.5).
func UnsupportedCritical(ps []Payload) (PayloadType, bool) {
	for u := range All[*Unknown](ps) {
		if u.Critical {
			return u.Kind, true
		}
	}
	return NoNextPayload, false
}
