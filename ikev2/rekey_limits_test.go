package ikev2

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
)

// requests gives what the gateway asks within a time, answering each as told.
func (p *peer) requests(d time.Duration, answer func(asked) []message.Payload) []asked {
	p.Helper()
	var all []asked
	limit := p.now.Add(d)
	for p.now.Before(limit) {
		p.heard = nil
		p.run(limit.Sub(p.now), func() bool { return len(p.heard) > 0 })
		for _, datagram := range p.heard {
			if h := p.parse(datagram).Header; !h.IsResponse() {
				q := asked{h, p.open([][]byte{datagram}, 0, h.MessageID)}
				all = append(all, q)
				p.answers(q, answer(q)...)
				break
			}
		}
	}
	return all
}

func nothing(asked) []message.Payload { return nil }

// refuses answers CREATE_CHILD_SA with a notification.
func refuses(kind message.NotifyType, data ...byte) func(asked) []message.Payload {
	return func(q asked) []message.Payload {
		if q.Exchange == message.ExchangeCreateChildSA {
			return []message.Payload{status(kind, data)}
		}
		return nil
	}
}

// The gateway of the default asks a client nothing but whether it lives, and
// ends no session for its age (rekey=no).
func TestDefaultStartsNoRekey(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer().establish()
	for _, q := range p.requests(50*time.Hour, nothing) {
		if q.Exchange != message.ExchangeInformational || len(q.payloads) != 0 {
			t.Fatalf("after %v it asks %s %s", w.now.Sub(epoch), q.Exchange, describe(q.payloads))
		}
	}
	p.wantState("after 50 hours", StateEstablished)
	if w.count(EventDown)+w.count(EventRekeyed) != 0 {
		t.Error("the session ended or was rekeyed")
	}
}

// What calls for a rekey but time, where the gateway may rekey and where not.
func TestLimitsOfAChildSA(t *testing.T) {
	plenty := Rekey{Child: 24 * time.Hour}
	usage := func(u esp.Usage) func(p *peer) {
		return func(p *peer) { p.plane.usage[p.plane.only(p).ID] = u }
	}
	exhausting := func(p *peer) {
		p.gateway.tellChild(p.now, p.plane.only(p).ID, Exhausting{p.plane.only(p).ID})
		p.flush()
	}
	for _, c := range []struct {
		name   string
		rekey  Rekey
		quirks quirks
		happen func(p *peer)
		wants  Cause // of the end; empty: a rekey
	}{
		{"octets in", Rekey{ChildBytes: 1 << 30}, 0, usage(esp.Usage{BytesIn: 1 << 30, OutboundRemaining: 1 << 31}), ""},
		{"octets out", Rekey{ChildBytes: 1 << 30}, 0, usage(esp.Usage{BytesOut: 1 << 31, OutboundRemaining: 1 << 31}), ""},
		{"packets", Rekey{ChildPackets: 1000}, 0, usage(esp.Usage{PacketsOut: 1000, OutboundRemaining: 1 << 31}), ""},
		{"numbers low", plenty, 0, usage(esp.Usage{OutboundRemaining: 1<<28 - 1}), ""},
		{"numbers low, no rekeys", Rekey{}, 0, usage(esp.Usage{OutboundRemaining: packetsReserve - 1}), CausePacketsExhausted},
		{"numbers low, Windows behind a NAT", plenty, setOf(QuirkW1), usage(esp.Usage{OutboundRemaining: packetsReserve - 1}), CausePacketsExhausted},
		{"octets, Apple", Rekey{ChildBytes: 1 << 30}, setOf(QuirkA3), usage(esp.Usage{BytesIn: 1 << 30, OutboundRemaining: 1 << 31}), ""},
		{"exhausting", plenty, 0, exhausting, ""},
		{"exhausting, no rekeys", Rekey{}, 0, exhausting, CausePacketsExhausted},
		{"exhausting, Windows behind a NAT", plenty, setOf(QuirkW1), exhausting, CausePacketsExhausted},
		{"lost, the only one", plenty, 0, func(p *peer) {
			p.gateway.tellChild(p.now, p.plane.only(p).ID, Lost{p.plane.only(p).ID})
			p.flush()
		}, CauseDataPlane},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := ownRekeyer(t, func(cfg *Config) { cfg.Rekey = c.rekey })
			p.sa().session.quirks = c.quirks
			c.happen(p)
			asked := p.requests(20*time.Minute, nothing)
			if len(asked) == 0 {
				t.Fatal("it asked nothing")
			}
			q := asked[0]
			if rekey := message.FindNotify(q.payloads, message.RekeySA); (rekey != nil) != (c.wants == "") {
				t.Errorf("it asks %s %s", q.Exchange, describe(q.payloads))
			}
			if c.wants != "" && (p.count(EventDown) != 1 || p.lastEvent().Cause != c.wants) {
				t.Errorf("last event %+v, expected the end by %s", p.lastEvent(), c.wants)
			}
		})
	}
}

// A Child SA that the data plane has lost goes at both ends; the session stays
// with the other.
func TestLostChildAmongOthers(t *testing.T) {
	p := ownRekeyer(t, nil)
	lost := p.plane.only(t)
	p.childSPI = []byte{0xc0, 0, 0, 2}
	p.request(message.ExchangeCreateChildSA, p.childMessage(nil)...)
	p.sa().ask(p.now, informational(), &p.gateway.out)
	p.flush()
	q := p.hears("its turn comes later")
	for range 100 { // the data plane may say so time and again
		p.gateway.tellChild(p.now, lost.ID, Lost{lost.ID})
	}
	if n := len(p.sa().asking); n != 2 {
		t.Errorf("%d requests wait, expected the one outstanding and a DELETE", n)
	}
	p.gateway.tellChild(p.now, 999, Lost{999})
	p.answers(q)
	q = p.hears("a Child SA was lost")
	if d := message.Find[*message.Delete](q.payloads); d == nil || len(d.SPIs) != 1 || binary.BigEndian.Uint32(d.SPIs[0]) != lost.In.SPI {
		t.Fatalf("it asks %s", describe(q.payloads))
	}
	p.answers(q, deleteOf([]byte{0xc0, 0, 0, 1}))
	p.wantChild(0xc0, 0, 0, 2)
	p.wantState("afterwards", StateEstablished)
}

// Rekeys by time, by the client's kind.
func TestRekeysByTimeSpareClients(t *testing.T) {
	for _, c := range []struct {
		name       string
		quirks     quirks
		group      suite.Group // of the IKE SA
		nat        bool
		child, ike bool
	}{
		{"any", 0, suite.X25519, true, true, true},
		{"Windows behind a NAT", setOf(QuirkW1), suite.MODP2048, true, false, true},
		{"Windows", setOf(QuirkW1), suite.MODP2048, false, true, true},
		{"Windows with another group", setOf(QuirkW1), suite.X25519, false, true, false},
		{"Apple", setOf(QuirkA3), suite.X25519, true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := ownRekeyer(t, func(cfg *Config) {
				cfg.Rekey = Rekey{}
				cfg.ESP = espProposals(t, "aes256-sha256-x25519") // with key exchange
				cfg.ForceEncapIPv4 = c.nat
			})
			sa := p.sa()
			sa.session.quirks, sa.suite.Group = c.quirks, c.group
			sa.cfg.Rekey = Rekey{Child: time.Hour, IKE: 2 * time.Hour, Jitter: 0.1} // as if the login had shown it
			sa.watch.rekey, sa.children[0].due = sa.lifetime(p.now, sa.cfg.Rekey.IKE), sa.childDue(p.now)
			p.gateway.settle(sa)
			var child, ike bool
			for _, q := range p.requests(3*time.Hour, refuses(message.NoAdditionalSAs)) {
				ofChild := message.FindNotify(q.payloads, message.RekeySA) != nil
				child = child || ofChild
				ike = ike || q.Exchange == message.ExchangeCreateChildSA && !ofChild
				ke := message.Find[*message.KE](q.payloads)
				if ofChild && (ke != nil) != (c.quirks == 0) {
					t.Errorf("it asks for a Child SA %s", describe(q.payloads))
				}
			}
			if child != c.child || ike != c.ike {
				t.Errorf("it rekeys Child SAs: %t, the IKE SA: %t", child, ike)
			}
		})
	}
}

// The client may want another group, if it is one that is configured.
func TestRekeyWithAnotherGroup(t *testing.T) {
	groups := func(cfg *Config) {
		cfg.ESP = espProposals(t, "aes256-sha256-x25519-ecp256")
		ike, err := suite.ParseProposals(message.ProtocolIKE, "aes256-sha256-x25519-ecp256")
		if err != nil {
			t.Fatal(err)
		}
		cfg.IKE = ike
	}
	for _, ofIKE := range []bool{false, true} {
		p := ownRekeyer(t, groups)
		q := p.begins(ofIKE)
		if ke := message.Find[*message.KE](q.payloads); ke == nil || suite.Group(ke.Group) != suite.X25519 {
			t.Fatalf("IKE SA %t: it asks %s", ofIKE, describe(q.payloads))
		}
		p.answers(q, status(message.InvalidKEPayload, binary.BigEndian.AppendUint16(nil, uint16(suite.ECP256))))
		again := p.hears("another group")
		if ke := message.Find[*message.KE](again.payloads); ke == nil || suite.Group(ke.Group) != suite.ECP256 {
			t.Errorf("IKE SA %t: then it asks %s", ofIKE, describe(again.payloads))
		}
		p.answers(again, status(message.InvalidKEPayload, binary.BigEndian.AppendUint16(nil, uint16(suite.X25519))))
		if asked := p.requests(3*time.Second, nothing); len(asked) != 0 {
			t.Errorf("IKE SA %t: it goes round in circles: %s", ofIKE, describe(asked[0].payloads))
		}
		p = ownRekeyer(t, groups)
		q = p.begins(ofIKE)
		p.answers(q, status(message.InvalidKEPayload, binary.BigEndian.AppendUint16(nil, uint16(suite.MODP1024))))
		if asked := p.requests(3*time.Second, nothing); len(asked) != 0 {
			t.Errorf("IKE SA %t: it takes a group that is not configured: %s", ofIKE, describe(asked[0].payloads))
		}
	}
}

// A refused rekey is tried again, ever more seldom, and ends nothing.
func TestRefusedRekeysPause(t *testing.T) {
	for _, kind := range []message.NotifyType{message.NoProposalChosen, message.NoAdditionalSAs, message.TemporaryFailure} {
		p := ownRekeyer(t, func(cfg *Config) { cfg.Rekey = Rekey{Child: time.Minute} })
		var notes []Note
		p.notes = &notes
		var tries []time.Time
		p.requests(2*time.Hour, func(q asked) []message.Payload {
			tries = append(tries, p.now)
			return refuses(kind)(q)
		})
		if len(tries) < 10 || len(tries) > 24 || len(notes) != len(tries) || !strings.Contains(notes[0].Attrs[1].String(), kind.String()) {
			t.Errorf("%s: %d tries in two hours, notes %+v", kind, len(tries), notes)
		}
		if first := tries[1].Sub(tries[0]); first < 3*time.Second {
			t.Errorf("%s: tried again after %v", kind, first)
		}
		if last := tries[len(tries)-1].Sub(tries[len(tries)-2]); last < 7*time.Minute {
			t.Errorf("%s: at last tried after %v", kind, last)
		}
		p.wantState(kind.String(), StateEstablished)
		p.wantChild(p.childSPI...)
	}
}

// A client that has the Child SA no more has no session.
func TestChildSANotFound(t *testing.T) {
	p := ownRekeyer(t, nil)
	p.answers(p.begins(false), &message.Notify{Protocol: message.ProtocolESP, Kind: message.ChildSANotFound, SPI: p.childSPI})
	p.answers(p.hears("the session's end"))
	p.run(time.Minute, nil)
	if ev := p.lastEvent(); ev.Kind != EventDown || ev.Cause != CauseChildLost {
		t.Errorf("last event %+v", ev)
	}
	p.mustBeEmpty()
}

// An answer that cannot be used leaves the client with a Child SA that it is
// asked to delete, and everything else as it was.
func TestUnusableAnswers(t *testing.T) {
	for name, spoil := range map[string]func([]message.Payload) []message.Payload{
		"no nonce": func(ps []message.Payload) []message.Payload { return append(ps[:1:1], ps[2:]...) },
		"no SA":    func(ps []message.Payload) []message.Payload { return ps[1:] },
		"no TS":    func(ps []message.Payload) []message.Payload { return ps[:2] },
		"nothing":  func([]message.Payload) []message.Payload { return nil },
		"another suite": func(ps []message.Payload) []message.Payload {
			ps[0].(*message.SA).Proposals[0].Transforms[0].KeyLength = 128
			return ps
		},
		"an SPI of zero": func(ps []message.Payload) []message.Payload {
			ps[0].(*message.SA).Proposals[0].SPI = make([]byte, 4)
			return ps
		},
		"the SPI of the old one": func(ps []message.Payload) []message.Payload {
			ps[0].(*message.SA).Proposals[0].SPI = []byte{0xc0, 0, 0, 1}
			return ps
		},
		"more than asked for": func(ps []message.Payload) []message.Payload {
			ps[3].(*message.TS).Selectors = everything()
			return ps
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := ownRekeyer(t, nil)
			q := p.begins(false)
			asked := message.Find[*message.SA](q.payloads).Proposals[0].SPI
			p.answers(q, spoil(p.agreesChild(q, 5))...)
			q = p.hears(name)
			if d := message.Find[*message.Delete](q.payloads); d == nil || !bytes.Equal(d.SPIs[0], asked) {
				t.Errorf("it asks %s", describe(q.payloads))
			}
			p.answers(q)
			p.wantChild(p.childSPI...)
			p.gateway.disconnect(p.now, CauseOperator, func(*SA) bool { return true })
			p.flush()
			p.run(10*time.Minute, nil)
			p.mustBeEmpty()
		})
	}
}

// A rekey that waits for its turn goes with the Child SAs when the client
// rekeys the IKE SA.
func TestWaitingRequestsGoToTheHeir(t *testing.T) {
	p := ownRekeyer(t, func(cfg *Config) { cfg.Timers.DPD = time.Minute })
	p.run(70*time.Second, nil)
	p.hears("silence") // and is not answered
	sa := p.sa()
	sa.children[0].due = p.now
	p.gateway.settle(sa)
	p.run(100*time.Millisecond, nil)
	if sa.own == nil || sa.own.asked {
		t.Fatalf("the rekey is %+v", sa.own)
	}
	ask, goOn := p.asksIKE(1, low)
	next := goOn(p.request(message.ExchangeCreateChildSA, ask...))
	q := next.hears("the heir")
	if n := message.FindNotify(q.payloads, message.RekeySA); n == nil {
		t.Fatalf("it asks %s", describe(q.payloads))
	}
	next.answers(q, next.agreesChild(q, 5)...)
	next.answers(next.hears("the old one"), deleteOf(p.childSPI))
	next.wantChild(0xc0, 0, 1, 5)
}

// A Child SA that the client may not know yet, since our answer may be lost, is
// not rekeyed until its next request shows that it does, or for two minutes.
func TestNoRekeyOfWhatTheClientMayNotKnow(t *testing.T) {
	for _, proven := range []bool{false, true} {
		p := ownRekeyer(t, nil)
		p.request(message.ExchangeCreateChildSA, p.asksChild(p.childSPI, 1, low)...)
		if proven {
			wantDelete(t, p.request(message.ExchangeInformational, deleteOf(p.childSPI)), true)
		}
		sa := p.sa()
		sa.children[len(sa.children)-1].due = p.now
		p.gateway.settle(sa)
		early := p.requests(100*time.Second, refuses(message.TemporaryFailure))
		if (len(early) > 0) != proven {
			t.Errorf("proven %t: %d requests", proven, len(early))
		}
		if late := p.requests(30*time.Second, refuses(message.TemporaryFailure)); !proven && len(late) == 0 {
			t.Error("it never rekeys")
		}
	}
}

func TestRekeyConfiguration(t *testing.T) {
	for _, c := range []struct {
		rekey Rekey
		says  string // empty: it is good
	}{
		{Rekey{}, ""},
		{Rekey{Child: time.Second, IKE: time.Hour, Jitter: 0.5}, ""},
		{Rekey{Child: -time.Hour}, "Child SA"},
		{Rekey{Child: time.Millisecond}, "Child SA"},
		{Rekey{IKE: time.Millisecond}, "IKE SA"},
		{Rekey{Jitter: 0.6}, "0.5"},
	} {
		err := c.rekey.validate()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.rekey, err)
		}
	}
}

// Messages find their shard by our SPI, which is the initiator's where the
// gateway is the original initiator.
func TestShardOfAMessage(t *testing.T) {
	w := newWorld(t, 1, nil)
	cfg := w.config()
	cfg.Shards = 4
	r, err := NewResponder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags message.Flags
		want  int
	}{{message.FlagInitiator, 3}, {0, 2}, {message.FlagResponse, 2}, {message.FlagInitiator | message.FlagResponse, 3}} {
		h := message.Header{InitiatorSPI: message.SPI{2, 1}, ResponderSPI: message.SPI{3, 1}, Version: message.Version2, Flags: c.flags, Length: message.HeaderLen}
		if u := r.runnerOf(transport.Datagram{Data: h.Append(nil), Remote: netip.AddrPortFrom(gatewayV4, 500)}); u != r.runners[c.want] {
			t.Errorf("flags %#x lead to shard %d, expected %d", c.flags, u.reg.index, c.want)
		}
	}
	id := r.runners[2].reg.childID()
	if shardOf(id) != 2 {
		t.Errorf("Child id %x is of shard %d", id, shardOf(id))
	}
	r.Lost(id) // of nobody: nothing happens
	r.Exhausting(esp.ChildID(0xff << childIndexShift))
}
