package ikev2

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

var anyAddrPort = rapid.Custom(func(t *rapid.T) netip.AddrPort {
	n := rapid.SampledFrom([]int{4, 16}).Draw(t, "octets")
	a, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "address"))
	return netip.AddrPortFrom(a, rapid.Uint16().Draw(t, "port"))
})

// NO_NATS_ALLOWED holds for the very addresses it names.
func TestNoNATsAllowedNamesOnePath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to, other := anyAddrPort.Draw(t, "from"), anyAddrPort.Draw(t, "to"), anyAddrPort.Draw(t, "other")
		data := appendNoNATs(nil, from, to)
		if !promisesNoNAT(data, path{local: to, remote: from}) {
			t.Fatalf("%s to %s does not hold for itself", from, to)
		}
		if other != from && promisesNoNAT(data, path{local: to, remote: other}) || other != to && promisesNoNAT(data, path{local: other, remote: from}) {
			t.Fatalf("%s to %s holds for %s", from, to, other)
		}
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		if promisesNoNAT(forged(data, at), path{local: to, remote: from}) || promisesNoNAT(data[:at], path{local: to, remote: from}) {
			t.Fatalf("%x holds although octet %d differs or is missing", data, at)
		}
	})
}

// What a host tells of its addresses is what its peer reads.
func TestAdditionalAddressesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var addrs, want []netip.Addr
		for _, a := range rapid.SliceOfN(anyAddrPort, 0, 12).Draw(t, "addresses") {
			addrs = append(addrs, a.Addr().Unmap())
		}
		inUse := netip.MustParseAddr("203.0.113.1")
		addrs = append(addrs, inUse)
		for _, a := range addrs {
			if a != inUse && a.IsGlobalUnicast() && len(want) < mostAdditional && !slices.Contains(want, a) {
				want = append(want, a)
			}
		}
		got, told := readAdditional(appendAdditional(nil, addrs, inUse))
		if !slices.Equal(got, want) || told != (len(want) > 0) {
			t.Fatalf("told %v, read %v", want, got)
		}
	})
}

// FuzzMobilityNotifies reads whatever the notifications of RFC 4555 may hold.
func FuzzMobilityNotifies(f *testing.F) {
	f.Add(uint16(message.AdditionalIP4Address), []byte{198, 51, 100, 1}, uint16(message.NoAdditionalAddresses), []byte{})
	f.Add(uint16(message.AdditionalIP6Address), bytes.Repeat([]byte{0x20}, 16), uint16(message.AdditionalIP6Address), []byte{1})
	f.Add(uint16(message.NoNATsAllowed), appendNoNATs(nil, awayV4, awayV4), uint16(message.Cookie2), []byte("12345678"))
	f.Add(uint16(message.NoNATsAllowed), appendNoNATs(nil, awayV6, awayV6), uint16(message.UpdateSAAddresses), []byte{})
	f.Fuzz(func(t *testing.T, kind1 uint16, data1 []byte, kind2 uint16, data2 []byte) {
		ps := []message.Payload{status(message.NotifyType(kind1), data1), status(message.NotifyType(kind2), data2)}
		list, told := readAdditional(ps)
		if len(list) > 2 || len(list) > 0 && !told || slices.ContainsFunc(list, func(a netip.Addr) bool { return !a.IsGlobalUnicast() || a.Is4In6() }) {
			t.Errorf("read %v, told %v", list, told)
		}
		for _, p := range []path{{awayV4, awayV4}, {awayV6, awayV6}, {awayV4, awayV6}} {
			if promisesNoNAT(data1, p) && !bytes.Equal(data1, appendNoNATs(nil, p.remote, p.local)) {
				t.Errorf("%x holds for %v", data1, p)
			}
		}
	})
}

// Whatever a client says and wherever it says it from, the Child SAs never
// send to an address from which it has not answered.
func TestTrafficGoesToProvenAddressesOnly(t *testing.T) {
	kinds := []message.NotifyType{
		message.UpdateSAAddresses, message.UpdateSAAddresses, message.Cookie2, message.NoNATsAllowed, message.AdditionalIP4Address,
		message.AdditionalIP6Address, message.NoAdditionalAddresses, message.NATDetectionSourceIP, message.NATDetectionDestinationIP, message.MOBIKESupported,
	}
	places := []netip.AddrPort{awayV4, awayV6, netip.MustParseAddrPort("203.0.113.78:31000"), netip.MustParseAddrPort("203.0.113.79:4500"),
		netip.MustParseAddrPort("224.0.0.9:4500"), netip.MustParseAddrPort("203.0.113.80:500")}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rapid.Uint64().Draw(rt, "seed"), nil)
		p := w.newPeer()
		p.asks = append(p.asks, status(message.MOBIKESupported, nil))
		if rapid.Bool().Draw(rt, "NAT") {
			p.self = behindV4
		}
		p.establish()
		answers := map[netip.AddrPort]bool{p.from: true} // where it answers; those answered from are proven
		for _, place := range places {
			answers[place] = rapid.Bool().Draw(rt, "answers")
		}
		p.spy = func(toGateway bool, d transport.Datagram) {
			if h := p.parse(d.Data).Header; !toGateway && !h.IsResponse() && answers[d.Remote] {
				p.after(w.wire.delay, func() { p.answersFrom(d) })
			}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			if p.gateway.reg.sas[p.spir] == nil || p.sa().State() != StateEstablished {
				return
			}
			place := rapid.SampledFrom(places).Draw(rt, "place")
			if rapid.IntRange(0, 3).Draw(rt, "ESP") == 0 {
				id := w.plane.only(t).ID
				w.gateway.tellChild(w.now, id, Rebound{id, place})
				w.flush()
			} else {
				p.goTo(place)
				ps := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) message.Payload {
					return status(rapid.SampledFrom(kinds).Draw(rt, "kind"), rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(rt, "data"))
				}), 0, 4).Draw(rt, "payloads")
				if rapid.Bool().Draw(rt, "detects NAT") {
					ps = append(ps, p.natd(place)...)
				}
				p.deliver(true, datagram(p, p.seal(message.ExchangeInformational, 0, p.id, ps, 0)[0]))
				p.id++
			}
			w.run(time.Duration(rapid.IntRange(0, 20000).Draw(rt, "milliseconds"))*time.Millisecond, func() bool {
				for _, c := range w.plane.children {
					if !answers[c.Path.Remote] {
						rt.Fatalf("a Child SA sends %s, where the client never answered", c.Path)
					}
				}
				return false
			})
		}
	})
}

// answersFrom answers a request of the gateway from where it was sent to.
func (p *peer) answersFrom(d transport.Datagram) {
	m := p.parse(d.Data)
	answer := faithful(p.open([][]byte{d.Data}, 0, m.Header.MessageID))
	for _, data := range p.seal(m.Header.Exchange, message.FlagResponse, m.Header.MessageID, answer, 0) {
		p.carry(true, transport.Datagram{Data: data, Local: d.Remote, Remote: d.Local})
	}
}
