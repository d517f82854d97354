package ikev2

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// ownRekeyer is a peer of a gateway that rekeys when the test says so and
// repeats nothing while the test thinks.
func ownRekeyer(t testing.TB, change func(*Config)) *peer {
	t.Helper()
	w := newWorld(t, 1, func(c *Config) {
		c.Rekey = Rekey{Child: 24 * time.Hour, IKE: 24 * time.Hour}
		c.Timers.Retransmit.First, c.Timers.Retransmit.Tries, c.Timers.Retransmit.Factor = time.Minute, 5, 1
		if change != nil {
			change(c)
		}
	})
	p := w.newPeer().establish()
	p.request(message.ExchangeInformational) // it has the last answer
	p.heard = nil
	return p
}

// asked is a request of the gateway's.
type asked struct {
	message.Header
	payloads []message.Payload
}

// hears gives the request that the gateway has sent.
func (p *peer) hears(why string) asked {
	p.Helper()
	p.run(100*time.Millisecond, nil)
	for _, d := range p.heard {
		if h := p.parse(d).Header; !h.IsResponse() {
			p.heard = nil
			return asked{h, p.open([][]byte{d}, 0, h.MessageID)}
		}
	}
	p.Fatalf("%s: the gateway asked nothing", why)
	return asked{}
}

// begins has the gateway start to rekey the Child SA or the IKE SA.
func (p *peer) begins(ofIKE bool) asked {
	p.Helper()
	sa := p.sa()
	if ofIKE {
		sa.watch.rekey = p.now
	} else {
		sa.children[0].due = p.now
	}
	p.gateway.settle(sa)
	q := p.hears("a rekey that is due")
	if q.Exchange != message.ExchangeCreateChildSA || (message.FindNotify(q.payloads, message.RekeySA) == nil) != ofIKE {
		p.Fatalf("the gateway asks %s %s", q.Exchange, describe(q.payloads))
	}
	return q
}

// answers answers a request of the gateway's.
func (p *peer) answers(q asked, ps ...message.Payload) {
	p.Helper()
	p.raw(p.seal(q.Exchange, message.FlagResponse, q.MessageID, ps, 0)[0])
}

// agreesChild is the answer to a Child SA rekey, with a nonce of one octet all
// over and an SPI that ends in it.
func (p *peer) agreesChild(q asked, nonce byte) []message.Payload {
	p.Helper()
	offer := message.Find[*message.SA](q.payloads).Proposals[0]
	offer.SPI = []byte{0xc0, 0, 1, nonce}
	tsi, tsr := message.FindTS(q.payloads, false), message.FindTS(q.payloads, true)
	return []message.Payload{&message.SA{Proposals: []message.Proposal{offer}}, &message.Nonce{Data: bytes.Repeat([]byte{nonce}, 32)}, tsi, tsr}
}

// agreesIKE is the answer to an IKE SA rekey, and a copy of the peer on the IKE
// SA that comes of it, of which the gateway is the original initiator.
func (p *peer) agreesIKE(q asked, nonce byte) ([]message.Payload, *peer) {
	p.Helper()
	offer := message.Find[*message.SA](q.payloads).Proposals[0]
	next := *p
	next.spii, next.spir, next.id = message.SPI(offer.SPI), message.SPI{7, 7, nonce}, 0
	ke, pair := p.ke(p.suite.Group)
	shared, err := pair.Shared(message.Find[*message.KE](q.payloads).Data)
	if err != nil {
		p.Fatal(err)
	}
	nr := bytes.Repeat([]byte{nonce}, 32)
	keys := p.suite.DeriveRekey(p.suite.PRF, p.keys.D, shared, message.Find[*message.Nonce](q.payloads).Data, nr, next.spii, next.spir)
	next.respondent = true
	next.use(keys)
	p.peers = append(p.peers, &next)
	offer.SPI = next.spir[:]
	return []message.Payload{&message.SA{Proposals: []message.Proposal{offer}}, &message.Nonce{Data: nr}, ke}, &next
}

// asksIKE is an IKE SA rekey of the peer's, and how to go on with its answer.
func (p *peer) asksIKE(spi byte, nonce byte) ([]message.Payload, func(answer []message.Payload) *peer) {
	p.Helper()
	ke, pair := p.ke(p.suite.Group)
	ours, ni := message.SPI{8, 8, spi}, bytes.Repeat([]byte{nonce}, 32)
	return []message.Payload{&message.SA{Proposals: suite.Proposals{p.suite.Proposal()}.Offer(ours[:])}, &message.Nonce{Data: ni}, ke}, func(answer []message.Payload) *peer {
		p.Helper()
		sa, theirs, nr := message.Find[*message.SA](answer), message.Find[*message.KE](answer), message.Find[*message.Nonce](answer)
		if sa == nil || theirs == nil || nr == nil {
			p.Fatalf("the IKE SA rekey is answered with %s", describe(answer))
		}
		shared, err := pair.Shared(theirs.Data)
		if err != nil {
			p.Fatal(err)
		}
		next := *p
		next.spii, next.spir, next.id = ours, message.SPI(sa.Proposals[0].SPI), 0
		next.use(p.suite.DeriveRekey(p.suite.PRF, p.keys.D, shared, ni, nr.Data, next.spii, next.spir))
		p.peers = append(p.peers, &next)
		return &next
	}
}

// asksChild is a rekey of the Child SA with the peer's SPI old.
func (p *peer) asksChild(old []byte, spi, nonce byte) []message.Payload {
	before, ni := p.childSPI, p.ni
	defer func() { p.childSPI, p.ni = before, ni }()
	p.childSPI, p.ni = []byte{0xc0, 0, 2, spi}, bytes.Repeat([]byte{nonce}, 32)
	return p.childMessage(old)
}

func deleteOf(spi []byte) *message.Delete {
	return &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{spi}}
}

func deleteIKE() *message.Delete { return &message.Delete{Protocol: message.ProtocolIKE} }

// wantDelete checks whether an answer names a Child SA as deleted.
func wantDelete(t testing.TB, answer []message.Payload, want bool) {
	t.Helper()
	if got := message.Find[*message.Delete](answer) != nil; answer == nil || got != want {
		t.Errorf("the DELETE is answered with %s", describe(answer))
	}
}

// wantChild checks that the only Child SA is the one of the peer's SPI.
func (p *peer) wantChild(spi ...byte) {
	p.Helper()
	p.run(100*time.Millisecond, nil)
	if c := p.plane.only(p); !bytes.Equal(spiOctets(c.Out.SPI), spi) {
		p.Errorf("the Child SA is %08x, expected %x", c.Out.SPI, spi)
	}
}

// closing brings the gateway to where it deletes the old Child SA, which it has
// just rekeyed, and gives that DELETE.
func (p *peer) closing() asked {
	p.Helper()
	q := p.begins(false)
	p.answers(q, p.agreesChild(q, 5)...)
	q = p.hears("a rekey that is over")
	wantDelete(p, q.payloads, true)
	return q
}

// Lowest and highest nonce there are.
const low, high = 0x00, 0xff

// What the gateway answers while something of its own is under way: the rules
// of RFC 7296 §2.25.1 and §2.25.2, one by one.
func TestCollisions(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(p *peer)
	}{
		{"2.25.1 rekey of a Child SA that it is closing", func(p *peer) {
			q := p.closing()
			wantNotify(p, "rekey", p.request(message.ExchangeCreateChildSA, p.asksChild(p.childSPI, 1, low)...), message.TemporaryFailure)
			p.answers(q, deleteOf(p.childSPI))
			p.wantChild(0xc0, 0, 1, 5)
		}},
		{"2.25.1 rekey of a Child SA that it is rekeying, and its own counts", func(p *peer) {
			q := p.begins(false)
			answer := p.request(message.ExchangeCreateChildSA, p.asksChild(p.childSPI, 1, low)...)
			if message.FindTS(answer, true) == nil {
				p.Fatalf("the rekey is answered with %s", describe(answer))
			}
			p.answers(q, p.agreesChild(q, high)...)
			q = p.hears("its rekey counts")
			if d := message.Find[*message.Delete](q.payloads); d == nil || len(p.plane.children) != 3 {
				p.Fatalf("it asks %s, with %d Child SAs", describe(q.payloads), len(p.plane.children))
			}
			p.answers(q, deleteOf(p.childSPI))
			wantDelete(p, p.request(message.ExchangeInformational, deleteOf([]byte{0xc0, 0, 2, 1})), true)
			p.wantChild(0xc0, 0, 1, high)
		}},
		{"2.25.1 rekey of a Child SA that it is rekeying, and the client's counts", func(p *peer) {
			q := p.begins(false)
			p.request(message.ExchangeCreateChildSA, p.asksChild(p.childSPI, 1, high)...)
			p.answers(q, p.agreesChild(q, low)...)
			q = p.hears("its rekey is redundant")
			redundant := message.Find[*message.Delete](q.payloads)
			for _, c := range p.plane.children {
				if redundant == nil || (binary.BigEndian.Uint32(redundant.SPIs[0]) == c.In.SPI) != bytes.Equal(spiOctets(c.Out.SPI), []byte{0xc0, 0, 1, low}) {
					p.Errorf("it asks %s %+v", describe(q.payloads), redundant)
				}
			}
			p.answers(q, deleteOf([]byte{0xc0, 0, 1, low}))
			wantDelete(p, p.request(message.ExchangeInformational, deleteOf(p.childSPI)), true)
			p.wantChild(0xc0, 0, 2, 1)
		}},
		{"2.25.1 rekey of a Child SA that it has rekeyed, late", func(p *peer) {
			q := p.begins(false)
			p.deliver(true, datagram(p, p.seal(q.Exchange, message.FlagResponse, q.MessageID, p.agreesChild(q, 5), 0)[0]))
			p.deliver(true, datagram(p, p.seal(message.ExchangeCreateChildSA, 0, p.id, p.asksChild(p.childSPI, 1, low), 0)[0]))
			p.run(50*time.Millisecond, nil)
			refused := false
			for _, d := range p.heard {
				if m := p.parse(d); m.Header.IsResponse() {
					refused = message.FindNotify(p.open([][]byte{d}, message.FlagResponse, p.id), message.TemporaryFailure) != nil
				}
			}
			if !refused {
				p.Error("it was not put off")
			}
			p.id++
			p.answers(p.hears("its DELETE"), deleteOf(p.childSPI))
			p.wantChild(0xc0, 0, 1, 5)
		}},
		{"2.25.1 rekey of a Child SA that does not exist", func(p *peer) {
			n := wantNotify(p, "rekey", p.request(message.ExchangeCreateChildSA, p.asksChild([]byte{1, 2, 3, 4}, 1, low)...), message.ChildSANotFound)
			if !bytes.Equal(n.SPI, []byte{1, 2, 3, 4}) {
				p.Errorf("it names %x", n.SPI)
			}
			p.wantChild(p.childSPI...)
		}},
		{"2.25.1 DELETE of a Child SA that it is closing", func(p *peer) {
			q := p.closing()
			wantDelete(p, p.request(message.ExchangeInformational, deleteOf(p.childSPI)), false)
			p.answers(q)
			p.wantChild(0xc0, 0, 1, 5)
		}},
		{"2.25.1 DELETE of a Child SA that it is rekeying", func(p *peer) {
			q := p.begins(false)
			wantDelete(p, p.request(message.ExchangeInformational, deleteOf(p.childSPI)), true)
			p.answers(q, status(message.ChildSANotFound, nil))
			p.run(time.Second, nil)
			if len(p.plane.children) != 0 || p.sa().own != nil {
				p.Errorf("left: %d Child SAs, %+v", len(p.plane.children), p.sa().own)
			}
		}},
		{"2.25.1 DELETE of a Child SA that it is rekeying, whose rekey the client had answered", func(p *peer) {
			q := p.begins(false)
			wantDelete(p, p.request(message.ExchangeInformational, deleteOf(p.childSPI)), true)
			p.answers(q, p.agreesChild(q, 5)...)
			p.wantChild(0xc0, 0, 1, 5)
		}},
		{"2.25.1 DELETE of a Child SA that it is rekeying, while it installs the new one", func(p *peer) {
			q := p.begins(false)
			p.jobTime = func() (wait, back time.Duration) { return 200 * time.Millisecond, 0 }
			p.deliver(true, datagram(p, p.seal(q.Exchange, message.FlagResponse, q.MessageID, p.agreesChild(q, 5), 0)[0]))
			p.jobTime = func() (wait, back time.Duration) { return time.Millisecond, 0 }
			wantDelete(p, p.request(message.ExchangeInformational, deleteOf(p.childSPI)), true)
			p.wantChild(0xc0, 0, 1, 5)
		}},
		{"2.25.1 DELETE of a Child SA that does not exist", func(p *peer) {
			wantDelete(p, p.request(message.ExchangeInformational, deleteOf([]byte{1, 2, 3, 4})), false)
			p.wantChild(p.childSPI...)
		}},
		{"2.25.1 rekey of the IKE SA while it rekeys a Child SA", func(p *peer) {
			q := p.begins(false)
			ask, _ := p.asksIKE(1, high)
			wantNotify(p, "rekey", p.request(message.ExchangeCreateChildSA, ask...), message.TemporaryFailure)
			p.answers(q, p.agreesChild(q, 5)...)
			p.answers(p.hears("its DELETE"), deleteOf(p.childSPI))
			p.wantChild(0xc0, 0, 1, 5)
		}},
		{"2.25.1 rekey of the IKE SA while it closes a Child SA", func(p *peer) {
			q := p.closing()
			ask, _ := p.asksIKE(1, high)
			wantNotify(p, "rekey", p.request(message.ExchangeCreateChildSA, ask...), message.TemporaryFailure)
			p.answers(q, deleteOf(p.childSPI))
			p.wantChild(0xc0, 0, 1, 5)
		}},
		{"2.25.2 rekey of an IKE SA that it is rekeying, and its own counts", func(p *peer) {
			q := p.begins(true)
			ask, goOn := p.asksIKE(1, low)
			theirs := goOn(p.request(message.ExchangeCreateChildSA, ask...))
			agreement, ours := p.agreesIKE(q, high)
			p.answers(q, agreement...)
			q = p.hears("the old IKE SA is to go")
			if d := message.Find[*message.Delete](q.payloads); d == nil || d.Protocol != message.ProtocolIKE {
				p.Fatalf("it asks %s", describe(q.payloads))
			}
			p.answers(q)
			theirs.request(message.ExchangeInformational, deleteIKE())
			ours.wantSession()
		}},
		{"2.25.2 rekey of an IKE SA that it is rekeying, and the client's counts", func(p *peer) {
			q := p.begins(true)
			ask, goOn := p.asksIKE(1, high)
			theirs := goOn(p.request(message.ExchangeCreateChildSA, ask...))
			agreement, ours := p.agreesIKE(q, low)
			ours.heard = nil
			p.answers(q, agreement...)
			q = ours.hears("its own is redundant")
			if d := message.Find[*message.Delete](q.payloads); d == nil || d.Protocol != message.ProtocolIKE {
				p.Fatalf("it asks %s", describe(q.payloads))
			}
			ours.answers(q)
			p.request(message.ExchangeInformational, deleteIKE())
			theirs.wantSession()
		}},
		{"2.25.2 rekey of an IKE SA that it is rekeying, and the client uses its own already", func(p *peer) {
			q := p.begins(true)
			ask, goOn := p.asksIKE(1, high)
			theirs := goOn(p.request(message.ExchangeCreateChildSA, ask...))
			theirs.request(message.ExchangeInformational)
			theirs.wantState("in use", StateEstablished)
			p.wantState("replaced", StateReplaced)
			p.answers(q, status(message.TemporaryFailure, nil))
			p.request(message.ExchangeInformational, deleteIKE())
			theirs.wantSession()
		}},
		{"2.25.2 rekey of an IKE SA that it is closing", func(p *peer) {
			p.gateway.disconnect(p.now, CauseOperator, func(*SA) bool { return true })
			p.flush()
			q := p.hears("disconnected")
			ask, _ := p.asksIKE(1, high)
			wantNotify(p, "rekey", p.request(message.ExchangeCreateChildSA, ask...), message.TemporaryFailure)
			p.answers(q)
			p.wantNothing()
		}},
		{"2.25.2 DELETE of an IKE SA that it is rekeying", func(p *peer) {
			p.begins(true)
			if answer := p.request(message.ExchangeInformational, deleteIKE()); answer == nil || len(answer) != 0 {
				p.Errorf("answered with %s", describe(answer))
			}
			p.wantNothing()
		}},
		{"2.8.2 DELETE of an IKE SA that both are rekeying, by a client that did not see it", func(p *peer) {
			p.begins(true)
			ask, goOn := p.asksIKE(1, low)
			theirs := goOn(p.request(message.ExchangeCreateChildSA, ask...))
			p.request(message.ExchangeInformational, deleteIKE())
			theirs.wantSession()
		}},
		{"2.25.2 DELETE of an IKE SA that it is closing", func(p *peer) {
			p.gateway.disconnect(p.now, CauseOperator, func(*SA) bool { return true })
			p.flush()
			p.hears("disconnected")
			if answer := p.request(message.ExchangeInformational, deleteIKE()); answer == nil || len(answer) != 0 {
				p.Errorf("answered with %s", describe(answer))
			}
			p.wantNothing()
		}},
		{"2.25.2 a new Child SA while it rekeys the IKE SA", func(p *peer) {
			p.begins(true)
			p.childSPI = []byte{0xc0, 0, 0, 9}
			wantNotify(p, "another", p.request(message.ExchangeCreateChildSA, p.childMessage(nil)...), message.TemporaryFailure)
			p.wantChild(0xc0, 0, 0, 1)
		}},
		{"2.25.2 rekey of a Child SA while it rekeys the IKE SA", func(p *peer) {
			p.begins(true)
			wantNotify(p, "rekey", p.request(message.ExchangeCreateChildSA, p.asksChild(p.childSPI, 1, low)...), message.TemporaryFailure)
			p.wantChild(p.childSPI...)
		}},
		{"2.25.2 DELETE of a Child SA while it rekeys the IKE SA", func(p *peer) {
			p.begins(true)
			wantDelete(p, p.request(message.ExchangeInformational, deleteOf(p.childSPI)), true)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := ownRekeyer(t, nil)
			c.run(p)
			if n := p.counter(DropRefusedMove); n != 0 {
				t.Errorf("%d refused moves", n)
			}
			p.gateway.disconnect(p.now, CauseOperator, func(*SA) bool { return true })
			p.flush()
			p.run(30*time.Minute, nil)
			p.mustBeEmpty()
		})
	}
}

// wantSession checks that this IKE SA alone is left, that it has the session
// with its Child SA and works.
func (p *peer) wantSession() {
	p.Helper()
	if sa := p.onlySession(); sa.spii != p.spii || len(sa.children) != 1 || sa.own != nil {
		p.Errorf("the session is with IKE SA %s, expected %s; %d Child SAs, rekeys %+v", sa.spii, p.spii, len(sa.children), sa.own)
	}
	p.run(5*time.Minute, nil)
	if n := len(p.gateway.reg.sas); n != 1 {
		p.Errorf("%d IKE SAs are left", n)
	}
	answer := p.request(message.ExchangeCreateChildSA, p.asksChild(p.childSPI, 9, 9)...)
	if message.FindTS(answer, true) == nil {
		p.Errorf("a Child SA rekey on it is answered with %s", describe(answer))
	}
	wantDelete(p, p.request(message.ExchangeInformational, deleteOf(p.childSPI)), true)
	p.wantChild(0xc0, 0, 2, 9)
}

// wantNothing checks that the session has ended.
func (p *peer) wantNothing() {
	p.Helper()
	p.run(time.Minute, nil)
	if p.count(EventDown) != 1 {
		p.Errorf("%d sessions ended", p.count(EventDown))
	}
	p.mustBeEmpty()
}
