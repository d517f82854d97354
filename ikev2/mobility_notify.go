package ikev2

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"bridgehead/ikev2/message"
)

const (
	minCookie2, maxCookie2 = 8, 64 // RFC 4555 §4.2.5
	// mostAdditional bounds the addresses remembered of one client, and those
	// told to it.
	mostAdditional = 8
)

// promisesNoNAT tells whether the data of a NO_NATS_ALLOWED notification are
// the addresses a message came with: source and destination, then their ports
// (RFC 4555 §4.2.6).
func promisesNoNAT(data []byte, seen path) bool {
	return slices.Equal(data, appendNoNATs(nil, seen.remote, seen.local))
}

func appendNoNATs(b []byte, source, destination netip.AddrPort) []byte {
	b = append(b, source.Addr().AsSlice()...)
	b = append(b, destination.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, source.Port())
	return binary.BigEndian.AppendUint16(b, destination.Port())
}

// readAdditional gives the addresses that a message says its sender can be
// reached at beside the one in use. told: it says something about them; what
// it says replaces what was said before (RFC 4555 §3.6). Addresses that nobody
// can be reached at are passed over.
func readAdditional(ps []message.Payload) (list []netip.Addr, told bool) {
	for n := range message.All[*message.Notify](ps) {
		var length int
		switch n.Kind {
		case message.NoAdditionalAddresses:
			told = true
			continue
		case message.AdditionalIP4Address:
			length = 4
		case message.AdditionalIP6Address:
			length = 16
		default:
			continue
		}
		told = true
		a, ok := netip.AddrFromSlice(n.Data)
		if !ok || len(n.Data) != length || len(list) == mostAdditional {
			continue
		}
		if a = a.Unmap(); a.IsGlobalUnicast() && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list, told
}

// appendAdditional appends the notifications of a host's addresses but the one
// in use (RFC 4555 §3.4).
func appendAdditional(ps []message.Payload, addrs []netip.Addr, inUse netip.Addr) []message.Payload {
	for _, a := range addrs {
		kind := message.AdditionalIP6Address
		if a.Is4() {
			kind = message.AdditionalIP4Address
		}
		if a != inUse && a.IsGlobalUnicast() && len(ps) < mostAdditional {
			ps = append(ps, status(kind, a.AsSlice()))
		}
	}
	return ps
}
