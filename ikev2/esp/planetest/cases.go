package planetest

import (
	"bytes"
	"encoding/binary"
	"testing"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

func carriesEverySuite(w *world) {
	for i, s := range []struct {
		name        string
		esp         suite.ESP
		encr, integ int // octets of key, with the salt
	}{
		{"AES-GCM-128", suite.ESP{Encr: 20, KeyLength: 128}, 20, 0},
		{"AES-GCM-256 with ESN", suite.ESP{Encr: 20, KeyLength: 256, ESN: true}, 36, 0},
		{"ChaCha20-Poly1305", suite.ESP{Encr: 28}, 36, 0},
		{"AES-CBC-256 with SHA-1", suite.ESP{Encr: 12, KeyLength: 256, Integ: 2}, 32, 20},
		{"AES-CBC-128 with SHA-256 and ESN", suite.ESP{Encr: 12, KeyLength: 128, Integ: 12, ESN: true}, 16, 32},
		{"AES-CBC-192 with SHA-384", suite.ESP{Encr: 12, KeyLength: 192, Integ: 13}, 24, 48},
		{"AES-CBC-256 with SHA-512", suite.ESP{Encr: 12, KeyLength: 256, Integ: 14}, 32, 64},
	} {
		id := esp.ChildID(i + 1)
		w.T.Run(s.name, func(t *testing.T) {
			w := &world{T: t, Subject: w.Subject, ctx: w.ctx}
			p := w.install(w.newPeerOf(id, i+1, s.esp, s.encr, s.integ))
			octets := uint64(0)
			for n, size := range []int{0, 1, 13, 14, 15, 16, 700, 1200} {
				for _, v6 := range []bool{false, true} {
					p.wantIn(toInside(i+1, v6, size, byte(n)))
					out := toPeer(i+1, v6, size, byte(n))
					p.wantOut(out)
					octets += uint64(len(out))
				}
			}
			u := w.usage(id)
			if u.PacketsIn != 16 || u.PacketsOut != 16 || u.BytesIn != octets || u.BytesOut != octets || u.LastIn.IsZero() {
				t.Errorf("16 packets of %d octets each way were counted as %+v", octets, u)
			}
		})
	}
}

func holdsToSelectors(w *world) {
	p := w.newPeer(1, 1)
	// Only UDP port 5000 of the peer, to a part of what lies behind.
	narrow := host(innerAddr(1, false))
	narrow.Protocol, narrow.StartPort, narrow.EndPort = protocolUDP, 5000, 5000
	p.child.Remote = []message.Selector{narrow, host(innerAddr(1, true))}
	w.install(p)
	in, out := toInside(1, false, 10, 1), toPeer(1, false, 10, 1)
	for _, bad := range [][]byte{
		toInside(2, false, 10, 2), // another client's source
		toInside(2, true, 10, 2),
		udp(innerAddr(1, false), innerAddr(9, false), 5000, 10, 2), // another destination
		udp(innerAddr(1, false), inside4, 5001, 10, 2),             // another port
		udp(inside4, innerAddr(1, false), 5000, 10, 2),             // the wrong way round
	} {
		p.send(bad)
		p.wantIn(in)
	}
	for _, bad := range [][]byte{
		toPeer(2, false, 10, 2),
		toPeer(2, true, 10, 2),
		udp(innerAddr(9, false), innerAddr(1, false), 5000, 10, 2),
		udp(inside4, innerAddr(1, false), 5001, 10, 2),
	} {
		w.offer(bad)
		p.wantOut(out)
	}
	packetsIn := uint64(5)
	if w.CountsAuthentic {
		packetsIn = 10
	}
	if u := w.usage(1); u.PacketsIn != packetsIn || u.PacketsOut != 4 {
		w.Errorf("%d packets in and 4 out were counted as %+v", packetsIn, u)
	}
}

func dropsReplayedAndForged(w *world) {
	p := w.install(w.newPeer(1, 1))
	first, second := toInside(1, false, 50, 1), toInside(1, false, 50, 2)
	p.wantIn(first)
	replayed := bytes.Clone(p.last)
	p.sendRaw(replayed)
	p.wantIn(second)
	for _, at := range []int{3, 7, 9, len(replayed) / 2, len(replayed) - 1} {
		p.send(first) // a valid packet, held back by damaging it below
		if got := w.next(); !bytes.Equal(got, first) {
			w.Fatalf("let through %x", got)
		}
		forged := bytes.Clone(p.last)
		forged[at] ^= 1
		binary.BigEndian.PutUint32(forged[4:], 900+uint32(at)) // a fresh sequence number
		p.sendRaw(forged)
		p.wantIn(second)
	}
	for n := range len(replayed) {
		p.sendRaw(replayed[:n])
	}
	p.wantIn(second)
	if u := w.usage(1); u.PacketsIn != 13 {
		w.Errorf("13 authentic packets were counted as %d", u.PacketsIn)
	}
}

// rekeyed gives the successor of p on the same socket.
func (w *world) rekeyed(p *peer, id esp.ChildID, s esp.Sending) *peer {
	w.Helper()
	n := w.newPeer(id, 1)
	n.child.Sending = s
	n.conn = p.conn
	n.child.Path = p.child.Path
	if err := w.Plane.Rekey(w.ctx, p.child.ID, n.child); err != nil {
		w.Fatal(err)
	}
	return n
}

func rekeySwitches(w *world) {
	old := w.install(w.newPeer(1, 1))
	old.wantOut(toPeer(1, false, 30, 1))
	renewed := w.rekeyed(old, 2, esp.SendAfterPeer)
	// The peer may still send on the old one, and uses the new one when it will.
	old.wantIn(toInside(1, false, 30, 2))
	renewed.wantIn(toInside(1, false, 30, 3))
	packetsOut := uint64(3)
	if w.LearnsLater {
		old.awaitSwitch(renewed, toPeer(1, false, 30, 3))
		packetsOut++
	}
	renewed.wantOut(toPeer(1, false, 30, 4))
	old.wantIn(toInside(1, true, 30, 5))
	renewed.wantOut(toPeer(1, true, 30, 6))
	if err := w.Plane.Remove(w.ctx, 1); err != nil {
		w.Fatal(err)
	}
	if w.Lingers {
		old.wantIn(toInside(1, false, 30, 7))
	} else {
		old.send(toInside(1, false, 30, 7))
	}
	renewed.wantIn(toInside(1, false, 30, 8))
	renewed.wantOut(toPeer(1, false, 30, 9))
	if u := w.usage(2); u.PacketsIn != 2 || u.PacketsOut != packetsOut {
		w.Errorf("2 packets in and %d out were counted as %+v", packetsOut, u)
	}
}

func rekeyThenRemove(w *world) {
	old := w.install(w.newPeer(1, 1))
	renewed := w.rekeyed(old, 2, esp.SendAfterPeer)
	if err := w.Plane.Remove(w.ctx, 1); err != nil {
		w.Fatal(err)
	}
	renewed.wantOut(toPeer(1, false, 30, 1))
	renewed.wantIn(toInside(1, true, 30, 2))
}

// What is on its way on each of several that were rekeyed and removed, in
// whichever order, comes through.
func rekeysInShortOrder(w *world) {
	for _, removed := range [][]esp.ChildID{{1, 2, 3}, {3, 1, 2}, {2, 3, 1}} {
		generations := []*peer{w.install(w.newPeer(1, 1))}
		for id := esp.ChildID(2); id <= 4; id++ {
			generations = append(generations, w.rekeyed(generations[id-2], id, esp.SendAtOnce))
		}
		for _, id := range removed {
			if err := w.Plane.Remove(w.ctx, id); err != nil {
				w.Fatal(err)
			}
		}
		for n, p := range generations[:3] {
			if inner := toInside(1, false, 30, byte(n)); w.Lingers {
				p.wantIn(inner)
			} else {
				p.send(inner)
			}
		}
		generations[3].wantIn(toInside(1, false, 30, 3))
		generations[3].wantOut(toPeer(1, false, 30, 9))
		if err := w.Plane.Remove(w.ctx, 4); err != nil {
			w.Fatal(err)
		}
	}
}

func rekeyEndsAll(w *world) {
	other := w.install(w.newPeer(3, 3))
	old := w.install(w.newPeer(1, 1))
	renewed := w.rekeyed(old, 2, esp.SendAtOnce)
	for _, id := range []esp.ChildID{1, 2} {
		if err := w.Plane.Remove(w.ctx, id); err != nil {
			w.Fatal(err)
		}
	}
	old.send(toInside(1, false, 30, 1))
	renewed.send(toInside(1, false, 30, 2))
	other.wantIn(toInside(3, false, 30, 3))
}

// What a Child SA receives after Finish has told what it carried counts for its
// successor: nothing is told twice, or never.
func finishCounts(w *world) {
	plane, ok := w.Plane.(esp.Finisher)
	if !ok {
		w.Fatal("the plane does not count to the end")
	}
	if _, err := plane.Finish(w.ctx, 7); err == nil {
		w.Error("Finish of what is not there is no error")
	}
	old := w.install(w.newPeer(1, 1))
	sent := uint64(0)
	in := func(p *peer, n byte) {
		packet := toInside(1, false, 30, n)
		p.wantIn(packet)
		sent += uint64(len(packet))
	}
	in(old, 1)
	renewed := w.rekeyed(old, 2, esp.SendAtOnce)
	in(old, 2)
	told := uint64(0)
	finish := func(id esp.ChildID) {
		u, err := plane.Finish(w.ctx, id)
		if err != nil {
			w.Fatal(err)
		}
		told += u.BytesIn
	}
	finish(1)
	if told != sent {
		w.Errorf("%d octets of %d are told", told, sent)
	}
	if w.Lingers {
		in(old, 3)
	}
	in(renewed, 4)
	out := toPeer(1, false, 30, 5)
	renewed.wantOut(out)
	finish(2)
	if told != sent {
		w.Errorf("%d octets of %d are told in the end", told, sent)
	}
}

func rekeyAtOnce(w *world) {
	old := w.install(w.newPeer(1, 1))
	renewed := w.rekeyed(old, 2, esp.SendAtOnce)
	renewed.wantOut(toPeer(1, false, 30, 1))
	old.wantIn(toInside(1, false, 30, 2))
	renewed.wantOut(toPeer(1, true, 30, 3))
	renewed.wantIn(toInside(1, true, 30, 4))
}

// Both ends rekeyed at once: the loser is there until its DELETE was answered.
func rekeyNever(w *world) {
	old := w.install(w.newPeer(1, 1))
	loser := w.rekeyed(old, 2, esp.SendNever)
	winner := w.rekeyed(old, 3, esp.SendAfterPeer)
	loser.wantIn(toInside(1, false, 30, 1))
	old.wantOut(toPeer(1, false, 30, 2))
	if err := w.Plane.Remove(w.ctx, 1); err != nil {
		w.Fatal(err)
	}
	winner.wantOut(toPeer(1, false, 30, 3))
	loser.wantIn(toInside(1, true, 30, 4))
	winner.wantOut(toPeer(1, true, 30, 5))
	if err := w.Plane.Remove(w.ctx, 2); err != nil {
		w.Fatal(err)
	}
	winner.wantOut(toPeer(1, true, 30, 6))
}

// The first is still there, for its DELETE was not answered yet, but the peer
// has it no more.
func rekeyTwice(w *world) {
	first := w.install(w.newPeer(1, 1))
	second := w.rekeyed(first, 2, esp.SendAtOnce)
	third := w.rekeyed(second, 3, esp.SendAfterPeer)
	second.wantOut(toPeer(1, false, 30, 1))
	if err := w.Plane.Remove(w.ctx, 2); err != nil {
		w.Fatal(err)
	}
	third.wantOut(toPeer(1, false, 30, 2))
	third.wantIn(toInside(1, true, 30, 3))
}

func moves(w *world) {
	p := w.install(w.newPeer(1, 1))
	p.wantOut(toPeer(1, false, 20, 1))
	before := p.conn
	p.conn = w.socket()
	// Unless the IKE layer says so, an authentic packet from elsewhere moves
	// nothing.
	p.wantIn(toInside(1, false, 20, 2))
	after := p.conn
	p.conn = before
	p.wantOut(toPeer(1, false, 20, 3))
	p.conn = after
	if err := w.Plane.Move(w.ctx, 1, esp.Path{Local: w.Local, Remote: p.outer(), Encap: true}); err != nil {
		w.Fatal(err)
	}
	p.wantOut(toPeer(1, true, 20, 4))
	p.wantIn(toInside(1, true, 20, 5))
}

func removed(w *world) {
	gone, stays := w.install(w.newPeer(1, 1)), w.install(w.newPeer(2, 2))
	gone.wantIn(toInside(1, false, 20, 1))
	if err := w.Plane.Remove(w.ctx, 1); err != nil {
		w.Fatal(err)
	}
	gone.send(toInside(1, false, 20, 2))
	stays.wantIn(toInside(2, false, 20, 3))
	w.offer(toPeer(1, false, 20, 4))
	stays.wantOut(toPeer(2, false, 20, 5))
	if us, err := w.Plane.Usage(w.ctx, nil); err != nil || len(us) != 1 || us[0].ID != 2 {
		w.Errorf("usage of all: %+v, %v", us, err)
	}
	// The address may be leased again.
	again := w.install(w.newPeer(3, 1))
	again.wantOut(toPeer(1, false, 20, 6))
	again.wantIn(toInside(1, false, 20, 7))
}

func manyChildren(w *world) {
	const many = 100
	peers := make([]*peer, many)
	for i := range peers {
		peers[i] = w.install(w.newPeer(esp.ChildID(i+1), i+1))
	}
	for i, p := range peers {
		p.wantIn(toInside(i+1, i%2 == 0, 20, byte(i)))
		p.wantOut(toPeer(i+1, i%2 == 1, 20, byte(i)))
	}
	us, err := w.Plane.Usage(w.ctx, nil)
	if err != nil || len(us) != many {
		w.Fatalf("usage of all: %d entries, %v", len(us), err)
	}
	for _, u := range us {
		if u.PacketsIn != 1 || u.PacketsOut != 1 {
			w.Errorf("one packet each way was counted as %+v", u)
		}
	}
}

func refusals(w *world) {
	p := w.install(w.newPeer(1, 1))
	w.wantError(w.Plane.Install(w.ctx, p.child), "the same child twice")
	sameSPI := w.newPeer(2, 2)
	sameSPI.child.In.SPI = p.child.In.SPI
	w.wantError(w.Plane.Install(w.ctx, sameSPI.child), "an inbound SPI in use")
	shortKey := w.newPeer(3, 3)
	shortKey.child.Out.EncrKey = key(7, 1)
	w.wantError(w.Plane.Install(w.ctx, shortKey.child), "a key too short")
	unknown := w.newPeer(4, 4)
	w.wantError(w.Plane.Rekey(w.ctx, 99, unknown.child), "the rekeying of an unknown child")
	w.wantError(w.Plane.Move(w.ctx, 99, p.child.Path), "the move of an unknown child")
	w.wantError(w.Plane.Remove(w.ctx, 99), "the removal of an unknown child")
	if us, err := w.Plane.Usage(w.ctx, nil); err != nil || len(us) != 1 {
		w.Errorf("what was refused left something behind: %+v, %v", us, err)
	}
	p.wantIn(toInside(1, false, 20, 1))
	p.wantOut(toPeer(1, false, 20, 1))
}
