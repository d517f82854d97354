// Package planetest is the test that every esp.DataPlane must pass. It plays
// the peer itself, over a UDP socket with package esp's packet processing, so
// it sees each ESP packet and can send any.
package planetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Subject is a data plane under test, with nothing installed.
type Subject struct {
	Plane esp.DataPlane
	// Local is where the plane receives ESP in UDP (RFC 3948). The test's own
	// sockets, on the same address, must reach it and be reached.
	Local netip.AddrPort
	// Send gives the plane an inner packet as the network behind it would.
	Send func(inner []byte) error
	// Received are the inner packets that the plane let through to that
	// network, in order.
	Received <-chan []byte

	// CountsAuthentic: the plane counts packets that its selectors then drop,
	// as Linux does.
	CountsAuthentic bool
	// LearnsLater: the plane is told apart from the packets that the peer uses
	// a new Child SA, so for a moment it still sends on the old one, which is
	// as good.
	LearnsLater bool
	// Lingers: a Child SA that was removed after it got a successor still
	// receives, for a moment or until that one is removed, since its last
	// packets may be behind its end.
	Lingers bool
}

// patience bounds the wait for a packet that must come. That a packet does not
// come is never waited for: one that must is sent behind it.
const patience = 10 * time.Second

// Run tests the data planes that open makes, one for each case.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, c := range []struct {
		name string
		run  func(w *world)
	}{
		{"CarriesEverySuite", carriesEverySuite},
		{"HoldsInnerPacketsToSelectors", holdsToSelectors},
		{"DropsReplayedAndForged", dropsReplayedAndForged},
		{"RekeySwitchesWhenThePeerHas", rekeySwitches},
		{"RekeySwitchesWhenTheOldIsRemoved", rekeyThenRemove},
		{"RekeysInShortOrderLoseNothing", rekeysInShortOrder},
		{"RekeyEndsWithItsSuccessor", rekeyEndsAll},
		{"FinishCountsToTheEnd", finishCounts},
		{"RekeySwitchesAtOnce", rekeyAtOnce},
		{"RekeyThatNeverSendsReceives", rekeyNever},
		{"RekeyedTwiceGoesOnWithTheNewest", rekeyTwice},
		{"MovesToNewAddresses", moves},
		{"RemovedCarriesNothing", removed},
		{"KeepsManyApart", manyChildren},
		{"RefusesWhatItCannotDo", refusals},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(&world{T: t, Subject: open(t), ctx: t.Context()}) })
	}
}

// world is one case: the subject and what the test knows of it.
type world struct {
	*testing.T
	Subject
	ctx context.Context
}

// peer is the other end of one Child SA.
type peer struct {
	w     *world
	conn  *net.UDPConn
	child esp.Child // as installed in the subject
	in    *esp.Inbound
	out   *esp.Outbound
	addr  netip.Addr // its inner address
	last  []byte     // the last ESP packet sent
}

// Inner addresses behind the subject.
var (
	inside4 = netip.MustParseAddr("10.90.0.1")
	inside6 = netip.MustParseAddr("fd90::1")
)

// inner is the peer's n-th address of the family.
func innerAddr(n int, v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x91, 14: byte(n >> 8), 15: byte(n)})
	}
	return netip.AddrFrom4([4]byte{10, 91, byte(n >> 8), byte(n)})
}

func host(a netip.Addr) message.Selector {
	return message.Selector{EndPort: 65535, Start: a, End: a}
}

// key is a fixed key of n octets for tests.
func key(n int, fill byte) suite.Secret { return bytes.Repeat([]byte{fill}, n) }

var gcm = suite.ESP{Encr: 20, KeyLength: 128}

// newPeer makes a peer with a socket of its own and the n-th inner address.
func (w *world) newPeer(id esp.ChildID, n int) *peer {
	w.Helper()
	return w.newPeerOf(id, n, gcm, 20, 0)
}

// newPeerOf takes the lengths of the keys, which it makes different for each
// Child SA and direction.
func (w *world) newPeerOf(id esp.ChildID, n int, s suite.ESP, encr, integ int) *peer {
	w.Helper()
	sa := func(spi uint32, fill byte) esp.SA {
		return esp.SA{SPI: spi, Suite: s, EncrKey: key(encr, fill), IntegKey: key(integ, fill^0x55)}
	}
	p := &peer{w: w, conn: w.socket(), addr: innerAddr(n, false)}
	p.child = esp.Child{
		ID: id, Session: "planetest",
		In:     sa(0x10000+uint32(id), byte(id)),
		Out:    sa(0x20000+uint32(id), ^byte(id)),
		Path:   esp.Path{Local: w.Local, Remote: p.outer(), Encap: true},
		Local:  []message.Selector{host(inside4), host(inside6)},
		Remote: []message.Selector{host(innerAddr(n, false)), host(innerAddr(n, true))},
	}
	var err error
	if p.in, err = esp.NewInbound(p.child.Out); err != nil {
		w.Fatal(err)
	}
	if p.out, err = esp.NewOutbound(p.child.In); err != nil {
		w.Fatal(err)
	}
	return p
}

func (w *world) socket() *net.UDPConn {
	w.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(w.Local.Addr(), 0)))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { conn.Close() })
	return conn
}

func (p *peer) outer() netip.AddrPort { return p.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (w *world) install(p *peer) *peer {
	w.Helper()
	if err := w.Plane.Install(w.ctx, p.child); err != nil {
		w.Fatal(err)
	}
	return p
}

// send seals an inner packet and sends it to the subject.
func (p *peer) send(inner []byte) {
	p.w.Helper()
	buf := make([]byte, 64+len(inner)+64)
	copy(buf[64:], inner)
	nextHeader := uint8(4)
	if inner[0]>>4 == 6 {
		nextHeader = 41
	}
	sealed, err := p.out.Seal(buf, 64, len(inner), nextHeader)
	if err != nil {
		p.w.Fatal(err)
	}
	p.last = sealed
	p.sendRaw(sealed)
}

func (p *peer) sendRaw(b []byte) {
	p.w.Helper()
	if _, err := p.conn.WriteToUDPAddrPort(b, p.w.Local); err != nil {
		p.w.Fatal(err)
	}
}

// receive gives the inner packet of the next datagram at the peer's socket,
// which must be for its SA.
func (p *peer) receive() []byte {
	p.w.Helper()
	b := p.datagram()
	inner, _, err := p.in.Open(b)
	if err != nil {
		p.w.Fatalf("SPI %08x received: %v", binary.BigEndian.Uint32(b), err)
	}
	return inner
}

// datagram gives the next datagram at the peer's socket, of at least 4 octets.
func (p *peer) datagram() []byte {
	p.w.Helper()
	buf := make([]byte, 1<<16)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.w.Fatal(err)
	}
	n, from, err := p.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		p.w.Fatalf("the peer received nothing: %v", err)
	}
	if from != p.w.Local {
		p.w.Errorf("received from %s, want %s", from, p.w.Local)
	}
	if n < 4 {
		p.w.Fatalf("the peer received %x", buf[:n])
	}
	return buf[:n]
}

// wantOut gives the subject an inner packet, which must reach the peer.
func (p *peer) wantOut(inner []byte) {
	p.w.Helper()
	p.w.offer(inner)
	if got := p.receive(); !bytes.Equal(got, inner) {
		p.w.Fatalf("the peer received\n%x, want\n%x", got, inner)
	}
}

// awaitSwitch gives the subject inner packets until one reaches the peer on the
// SA that replaces p's. None may be lost meanwhile.
func (p *peer) awaitSwitch(renewed *peer, inner []byte) {
	p.w.Helper()
	for end := time.Now().Add(patience); ; {
		p.w.offer(inner)
		got := p.datagram()
		if binary.BigEndian.Uint32(got) == renewed.child.Out.SPI {
			if opened, _, err := renewed.in.Open(got); err != nil || !bytes.Equal(opened, inner) {
				p.w.Fatalf("the peer received %x, %v", opened, err)
			}
			return
		}
		if _, _, err := p.in.Open(got); err != nil {
			p.w.Fatalf("on the old SA the peer received: %v", err)
		}
		if time.Now().After(end) {
			p.w.Fatal("the new SA does not begin to send")
		}
	}
}

// wantIn sends an inner packet, which must be the next to leave the subject.
func (p *peer) wantIn(inner []byte) {
	p.w.Helper()
	p.send(inner)
	if got := p.w.next(); !bytes.Equal(got, inner) {
		p.w.Fatalf("the subject let through\n%x, want\n%x", got, inner)
	}
}

func (w *world) offer(inner []byte) {
	w.Helper()
	if err := w.Send(inner); err != nil {
		w.Fatal(err)
	}
}

func (w *world) next() []byte {
	w.Helper()
	select {
	case b := <-w.Received:
		return b
	case <-time.After(patience):
		w.Fatal("the subject let nothing through")
		return nil
	}
}

func (w *world) usage(id esp.ChildID) esp.Usage {
	w.Helper()
	us, err := w.Plane.Usage(w.ctx, []esp.ChildID{id, 1 << 40})
	if err != nil || len(us) != 1 || us[0].ID != id {
		w.Fatalf("usage of child %d: %+v, %v", id, us, err)
	}
	return us[0]
}

func (w *world) wantError(err error, what string) {
	w.Helper()
	if err == nil {
		w.Errorf("%s was accepted", what)
	}
	if errors.Is(err, context.Canceled) {
		w.Errorf("%s: %v", what, err)
	}
}
