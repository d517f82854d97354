package ikev2

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// Each octet of each message of a login altered on its way, either way, one
// at a time and with no good copy after it: no login comes of it, nothing is
// left over, and a login right after works.
func TestEveryAlteredOctetOfALogin(t *testing.T) {
	var lengths []int
	var toGateway []bool
	w := newWorld(t, 7, nil)
	w.wire.tap = func(to bool, data []byte) []byte {
		lengths, toGateway = append(lengths, len(data)), append(toGateway, to)
		return data
	}
	w.newDevice(nil).mustLogin()
	for number, length := range lengths {
		for at := range length {
			if alteredLogin(t, number, toGateway[number], at); t.Failed() {
				return
			}
		}
	}
}

func alteredLogin(t *testing.T, number int, toGateway bool, at int) {
	t.Helper()
	w := newWorld(t, 7, nil)
	passed, altered := 0, 0
	w.wire.tap = func(to bool, data []byte) []byte {
		switch passed++; {
		case passed == number+1:
			altered++
			data[at] ^= 1 << (at % 8)
		case passed > number+1 && to == toGateway:
			return nil
		}
		return data
	}
	d := w.newDevice(nil).start()
	w.run(3*time.Minute, nil)
	if altered != 1 {
		t.Errorf("message %d octet %d: altered %d times", number, at, altered)
	}
	if d.up || toGateway && w.count(EventUp) != 0 {
		t.Errorf("message %d octet %d altered: a session came up", number, at)
	}
	w.wire.tap = nil
	w.run(3*time.Hour, nil)
	w.mustBeEmpty()
	if at%50 == 0 {
		w.newDevice(nil).mustLogin()
	}
}

// situations are SAs a hostile datagram may meet.
func situations(t testing.TB) map[string]func() (*world, *peer) {
	in := func(f func(p *peer)) func() (*world, *peer) {
		return func() (*world, *peer) {
			w := newWorld(t, 1, nil)
			p := w.newPeer()
			f(p)
			return w, p
		}
	}
	return map[string]func() (*world, *peer){
		"before anything":  in(func(p *peer) {}),
		"half open":        in(func(p *peer) { p.init() }),
		"in EAP":           in(func(p *peer) { p.init().identify() }),
		"awaiting proof":   in(func(p *peer) { p.init().throughEAP() }),
		"established":      in(func(p *peer) { p.establish() }),
		"awaiting answers": in(func(p *peer) { p.establish(); p.gateway.disconnect(p.now, CauseOperator, Selector{All: true}.matches) }),
	}
}

// hostile gives a datagram to the gateway without the peer's keys, and checks
// that no SA moved and that no more comes out than may.
func hostile(t *testing.T, w *world, p *peer, data []byte) {
	t.Helper()
	type standing struct {
		state    State
		evidence evidence
		children int
		path     path
		expected uint32
	}
	stand := func(sa *SA) standing {
		return standing{sa.state, sa.evidence, len(sa.children), sa.path, sa.responses.Expected()}
	}
	before := make(map[*SA]standing)
	for _, sa := range w.gateway.reg.sas {
		before[sa] = stand(sa)
	}
	w.gateway.receive(w.now, transport.Datagram{Data: bytes.Clone(data), Local: p.to, Remote: p.from})
	octets := 0
	for _, d := range w.gateway.out.Datagrams {
		octets += len(d.Data)
	}
	if octets > 3*len(data) {
		t.Errorf("%d octets answered with %d", len(data), octets)
	}
	for sa, was := range before {
		if now := stand(sa); now != was {
			t.Errorf("an SA moved from %+v to %+v by %x", was, now, data)
		}
	}
	w.gateway.out.Reset()
}

// Datagrams made without the keys, built around what is right about them.
func TestHostileDatagramsChangeNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for name, build := range situations(t) {
		t.Run(name, func(t *testing.T) {
			w, p := build()
			forged := func(x message.ExchangeType, flags message.Flags, id uint32, payload message.Payload) []byte {
				m := message.Message{Header: message.Header{
					InitiatorSPI: p.spii, ResponderSPI: p.spir, Version: message.Version2, Exchange: x, Flags: flags, MessageID: id,
				}, Payloads: []message.Payload{payload}}
				return m.Append(nil)
			}
			if !p.spir.IsZero() {
				for _, x := range []message.ExchangeType{34, 35, 36, 37, 38, 43, 0, 255} {
					for _, flags := range []message.Flags{8, 0, 0x28, 0x20, 0xff} {
						for _, id := range []uint32{0, 1, p.id, p.id + 1, 1<<32 - 1} {
							body := make([]byte, r.IntN(120))
							hostile(t, w, p, forged(x, flags, id, &message.SK{First: message.TypeDelete, Body: body}))
							hostile(t, w, p, forged(x, flags, id, &message.SKF{First: message.TypeDelete, Number: 1, Total: 1, Body: body}))
							hostile(t, w, p, forged(x, flags, id, &message.Delete{Protocol: message.ProtocolIKE}))
							hostile(t, w, p, forged(x, flags, id, status(message.AuthenticationFailed, nil)))
						}
					}
				}
				good := p.seal(message.ExchangeInformational, 0, p.id, []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}, 0)[0]
				for at := range good {
					bad := bytes.Clone(good)
					bad[at] ^= byte(1 + r.IntN(255))
					hostile(t, w, p, bad)
				}
			}
			w.newDevice(nil).mustLogin()
		})
	}
}

// FuzzHandle throws octets at an SA in each situation: it must not panic,
// move, or answer with more than it may.
func FuzzHandle(f *testing.F) {
	names := []string{"before anything", "half open", "in EAP", "awaiting proof", "established", "awaiting answers"}
	all := situations(f)
	worlds, peers := make([]*world, len(names)), make([]*peer, len(names))
	for i, name := range names {
		worlds[i], peers[i] = all[name]()
		p := peers[i]
		f.Add(uint8(i), p.initRequest)
		if p.protection != nil {
			f.Add(uint8(i), p.seal(message.ExchangeInformational, 0, p.id+5, nil, 0)[0][28:])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		i := int(which) % len(names)
		w, p := worlds[i], peers[i]
		if which >= 128 && len(data) >= 4 { // let the header be right
			h := message.Header{
				InitiatorSPI: p.spii, ResponderSPI: p.spir, NextPayload: message.PayloadType(data[0]), Version: message.Version2,
				Exchange: message.ExchangeType(34 + data[1]%5), Flags: message.Flags(data[2]), MessageID: uint32(data[3]),
			}
			data = append(h.Append(nil), data[4:]...)
			binary.BigEndian.PutUint32(data[24:], uint32(len(data)))
		}
		hostile(t, w, p, data)
	})
}

// FuzzPlaintext gives an authenticated client the word: whatever its messages
// hold, the gateway must not panic, and before the proof nothing is created.
func FuzzPlaintext(f *testing.F) {
	p := newWorld(f, 1, nil).newPeer()
	for _, ps := range [][]message.Payload{
		append([]message.Payload{p.idi}, p.child()...), p.childMessage(p.childSPI),
		{&message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{p.childSPI}}}, {&message.EAP{Packet: []byte{2, 1, 0, 5, 1}}},
	} {
		for which := range uint8(4) {
			f.Add(which, uint8(message.FirstType(ps)), message.AppendPayloads(nil, ps))
		}
	}
	f.Fuzz(func(t *testing.T, which, first uint8, plaintext []byte) {
		w := newWorld(t, 1, nil)
		p := w.newPeer()
		switch which % 4 {
		case 0:
			p.init()
		case 1:
			p.init().identify()
		case 2:
			p.init().throughEAP()
		case 3:
			p.establish()
		}
		for _, x := range []message.ExchangeType{message.ExchangeAuth, message.ExchangeCreateChildSA, message.ExchangeInformational} {
			d := sealRaw(t, p, x, message.PayloadType(first), plaintext)
			if d == nil {
				return
			}
			if answers := p.raw(d); len(answers) > 0 {
				p.id++
			}
		}
		if which%4 != 3 && (len(w.plane.children) != 0 || w.count(EventUp) != 0) {
			t.Error("something was created before the client proved itself")
		}
		w.run(3*time.Hour, nil)
		w.mustBeEmpty()
	})
}

// sealRaw protects a plaintext as it stands.
func sealRaw(t *testing.T, p *peer, x message.ExchangeType, first message.PayloadType, plaintext []byte) []byte {
	t.Helper()
	if len(plaintext) > 30000 {
		return nil
	}
	sealer, err := p.suite.NewSealer(p.keys.Ei, p.keys.Ai)
	if err != nil {
		t.Fatal(err)
	}
	h := message.Header{InitiatorSPI: p.spii, ResponderSPI: p.spir, Version: message.Version2, Exchange: x, Flags: message.FlagInitiator, MessageID: p.id}
	b, err := sealer.Seal(h.AppendSK(nil, first, sealer.Len(len(plaintext))), plaintext, p.octets)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What an authenticated but hostile client can make us keep in fragments is
// bounded.
func TestHostileFragments(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().init()
	sealer, err := p.suite.NewSealer(p.keys.Ei, p.keys.Ai)
	if err != nil {
		t.Fatal(err)
	}
	fragment := func(number, total uint16, size int) []byte {
		h := message.Header{InitiatorSPI: p.spii, ResponderSPI: p.spir, Version: message.Version2, Exchange: message.ExchangeAuth, Flags: message.FlagInitiator, MessageID: 1}
		b, err := sealer.Seal(h.AppendSKF(nil, message.TypeIDi, number, total, sealer.Len(size)), make([]byte, size), p.octets)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for n := range 40 {
		p.raw(fragment(uint16(n+1), 50, 20000))
	}
	for _, total := range []uint16{exchange.MaxFragments + 1, 1<<16 - 1} {
		p.raw(fragment(1, total, 10))
	}
	p.raw(fragment(3, 20, 10))                            // a smaller total than before
	if dropped := w.counter(DropFragment); dropped < 36 { // one of 20000 octets fits, twice within the minute
		t.Errorf("%d fragments were dropped", dropped)
	}
	malformed := w.counter(DropMalformed)
	p.raw(p.seal(message.ExchangeAuth, 0, 1, []message.Payload{p.idi, &message.VendorID{Data: make([]byte, exchange.MaxReassembled)}}, 0)[0])
	if w.counter(DropMalformed) != malformed+1 {
		t.Error("a message larger in one piece than it may be in fragments was taken")
	}
	p.wantState("after all", StateAwaitAuth)
	w.run(2*time.Minute, nil)
	w.mustBeEmpty()
	w.newDevice(func(c *initiator.Config) { c.MOBIKE = true }).mustLogin()
}
