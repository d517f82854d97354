//go:build uml

package xfrm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/suite"
)

// foreign installs what another daemon might, and checks at the end that it is
// still there.
func (w *world) foreign() {
	w.Helper()
	w.ip("xfrm state add src 203.0.113.1 dst 203.0.113.2 proto esp spi 0x1001 reqid 7 mode tunnel aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128")
	w.ip("xfrm policy add src 203.0.113.1 dst 203.0.113.2 dir out tmpl src 203.0.113.1 dst 203.0.113.2 proto esp reqid 7 mode tunnel")
	before := w.ip("xfrm state") + w.ip("xfrm policy")
	w.Cleanup(func() {
		if after := w.ip("xfrm state") + w.ip("xfrm policy"); after != before {
			w.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		w.ip("xfrm state flush")
		w.ip("xfrm policy flush")
	})
}

// TestCrashIsSwept: what a Plane that was never closed left is gone once the
// next one opens; a foreign state and policy stay, through everything.
func TestCrashIsSwept(t *testing.T) {
	w := &world{T: t}
	w.foreign()
	crashed, err := Open(Config{})
	must(t, err)
	for n := range 10 {
		must(t, crashed.Install(t.Context(), testChild(esp.ChildID(n+1), n+1)))
	}
	must(t, crashed.monitor.close())
	must(t, crashed.link.close())
	p, err := Open(Config{})
	must(t, err)
	if p.before != nil { // the crashed one's stay
		t.Errorf("thresholds to put back: %v", p.before)
	}
	if p.Swept() != 80 {
		t.Errorf("of 20 states and 60 policies, %d were removed", p.Swept())
	}
	must(t, p.Install(t.Context(), testChild(1, 1)))
	r, err := p.Reconcile(t.Context())
	if err != nil || r.Foreign != 2 || r.Removed+r.Restored+len(r.Lost) != 0 {
		t.Errorf("reconciling: %v, %v", r, err)
	}
	must(t, p.Close())
}

func TestReconcileAgainstTheKernel(t *testing.T) {
	w := &world{T: t}
	w.foreign()
	events := make(chan Event, 10)
	p, err := Open(Config{OnEvent: func(e Event) { events <- e }})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	for n := range 3 {
		must(t, p.Install(t.Context(), testChild(esp.ChildID(n+1), n+1)))
	}
	w.ip("xfrm policy delete src 0.0.0.0/0 dst 10.91.0.1/32 dir out")
	w.ip("xfrm policy update src 0.0.0.0/0 dst 10.91.0.2/32 dir out tmpl src 192.0.2.1 dst 203.0.113.9 proto esp reqid " + fmt.Sprint(p.children[2].flow.outboundReqID()) + " mode tunnel")
	w.ip("xfrm state delete src 192.0.2.1 dst 198.51.0.3 proto esp spi " + fmt.Sprint(p.children[3].Out.SPI))
	stray := *p.children[1].inbound(testPath(1))
	stray.id.spi = 0x999
	_, err = p.link.do([]request{newState(&stray, false)})
	must(t, err)
	r, err := p.Reconcile(t.Context())
	if err != nil || r.Removed != 1 || r.Restored != 2 || !slices.Equal(r.Lost, []esp.ChildID{3}) || r.Foreign != 2 {
		t.Errorf("reconciling: %v, %v", r, err)
	}
	if e := <-events; e != (Event{Kind: Lost, Child: 3}) {
		t.Errorf("event %+v", e)
	}
	must(t, p.Remove(t.Context(), 3))
	if r, err := p.Reconcile(t.Context()); err != nil || r.Removed+r.Restored+len(r.Lost) != 0 {
		t.Errorf("reconciling again: %v, %v", r, err)
	}
}

// TestSetUpIsOneRoundTrip on the real socket: a Child SA of both families takes
// two states and six policies in one batch; one that many came before, no more.
func TestSetUpIsOneRoundTrip(t *testing.T) {
	w := &world{T: t}
	p := w.open(Config{Protected: testProtected})
	s := p.link.(*socket)
	for n := range 200 {
		rounds, messages := s.rounds, s.seq
		must(t, p.Install(t.Context(), testChild(esp.ChildID(n+1), n+1)))
		if rounds, messages = s.rounds-rounds, s.seq-messages; rounds != 1 || messages != 8 {
			t.Fatalf("Child SA %d took %d round trips and %d messages", n+1, rounds, messages)
		}
	}
}

// TestKernelExplainsRefusals: its own words are in the error, and what to do.
func TestKernelExplainsRefusals(t *testing.T) {
	w := &world{T: t}
	p := w.open(Config{})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	s := p.children[1].outbound(testPath(2))
	s.algorithms.encryption = "rfc4106(gcm(none))"
	answers, err := p.link.do([]request{newState(s, false)})
	must(t, err)
	var refused *KernelError
	if !errors.As(answers[0].err, &refused) || refused.Errno != unix.ENOSYS ||
		!strings.Contains(refused.Error(), "Requested AEAD algorithm not found") || !strings.Contains(refused.Error(), "load the crypto modules") {
		t.Errorf("an unknown cipher: %v", answers[0].err)
	}
}

// TestReboundIsReported: packets from a new port give an event each time the
// port is another, until the Child SA is moved there.
func TestReboundIsReported(t *testing.T) {
	for _, here := range []netip.Addr{here4, here6} {
		t.Run(here.String(), func(t *testing.T) {
			w := newWorld(t)
			events := make(chan Event, 10)
			p := w.open(Config{OnEvent: func(e Event) { events <- e }})
			local := w.encapsulating(here)
			c := testChild(1, 1)
			c.Path = esp.Path{Local: local, Remote: netip.AddrPortFrom(here, 9), Encap: true}
			must(t, p.Install(t.Context(), c))
			peer, err := esp.NewOutbound(c.In)
			must(t, err)
			send := func() netip.AddrPort {
				conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(here, 0)))
				must(t, err)
				t.Cleanup(func() { conn.Close() })
				buf := make([]byte, 256)
				inner := packet(netip.MustParseAddr("10.91.0.1"), netip.MustParseAddr("10.90.0.1"), 17, 1, 2)
				copy(buf[64:], inner)
				sealed, err := peer.Seal(buf, 64, len(inner), 4)
				must(t, err)
				_, err = conn.WriteToUDPAddrPort(sealed, local)
				must(t, err)
				return conn.LocalAddr().(*net.UDPAddr).AddrPort()
			}
			for range 3 {
				from := send()
				if e := <-events; e != (Event{Kind: Rebound, Child: 1, Remote: from}) {
					t.Fatalf("a packet from %v gave %+v", from, e)
				}
				must(t, p.Move(t.Context(), 1, esp.Path{Local: local, Remote: from, Encap: true}))
			}
		})
	}
}

// TestMoveKeepsTheReplayWindow also where it replaces the inbound state: what
// came before the move is not taken again after it.
func TestMoveKeepsTheReplayWindow(t *testing.T) {
	for _, esn := range []bool{false, true} {
		t.Run(fmt.Sprint("ESN ", esn), func(t *testing.T) {
			w := newWorld(t)
			p := w.open(Config{})
			p.capabilities.MappingInterval = false // so that Move replaces it
			local := w.encapsulating(here4)
			conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(here4, 0)))
			must(t, err)
			t.Cleanup(func() { conn.Close() })
			c := testChild(1, 1)
			c.In.Suite.ESN = esn
			c.Path = esp.Path{Local: local, Remote: netip.MustParseAddrPort("198.51.100.1:4500"), Encap: true}
			must(t, p.Install(t.Context(), c))
			peer, err := esp.NewOutbound(c.In)
			must(t, err)
			seal := func(sport uint16) []byte {
				buf := make([]byte, 256)
				inner := packet(netip.MustParseAddr("10.91.0.1"), netip.MustParseAddr("10.90.0.1"), 17, sport, 2)
				copy(buf[64:], inner)
				sealed, err := peer.Seal(buf, 64, len(inner), 4)
				must(t, err)
				return sealed
			}
			send := func(b []byte) {
				_, err := conn.WriteToUDPAddrPort(b, local)
				must(t, err)
			}
			wantPort := func(port uint16) {
				t.Helper()
				if b := <-w.received; binary.BigEndian.Uint16(b[20:]) != port {
					t.Fatalf("packet %d came through, want %d", binary.BigEndian.Uint16(b[20:]), port)
				}
			}
			skipped, replayed := seal(1), seal(2)
			send(replayed)
			wantPort(2)
			must(t, p.Move(t.Context(), 1, esp.Path{Local: local, Remote: netip.MustParseAddrPort("198.51.100.2:4500"), Encap: true}))
			send(replayed)
			send(skipped)
			wantPort(1)
			send(skipped)
			send(seal(3))
			wantPort(3)
			if u, err := p.Usage(t.Context(), nil); err != nil || u[0].PacketsIn != 3 {
				t.Errorf("3 packets were counted as %+v, %v", u, err)
			}
		})
	}
}

// TestMarkAndInterface are set as configured.
func TestMarkAndInterface(t *testing.T) {
	w := &world{T: t}
	p := w.open(Config{OutputMark: 0x2a, InterfaceID: 0x17})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	must(t, p.Move(t.Context(), 1, testPath(2)))
	states, policies := w.ip("xfrm state"), w.ip("xfrm policy")
	if strings.Count(states, "output-mark 0x2a") != 1 || strings.Count(states, "if_id 0x17") != 2 || strings.Count(policies, "if_id 0x17") != 6 {
		t.Errorf("%s\n%s", states, policies)
	}
	if r, err := p.Reconcile(t.Context()); err != nil || r.Removed+r.Restored+len(r.Lost) != 0 {
		t.Errorf("reconciling: %v, %v", r, err)
	}
}

// BenchmarkChildren is the curve of installing, asking and reconciling many.
func BenchmarkChildren(b *testing.B) {
	for _, many := range []int{500, 1000, 2000, 5000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				p, err := Open(Config{})
				must(b, err)
				b.StartTimer()
				measure(b, p, many)
				b.StopTimer()
				must(b, p.Close())
				b.StartTimer()
			}
		})
	}
}

func measure(b *testing.B, p *Plane, many int) {
	timed := func(unit string, f func()) {
		before := b.Elapsed()
		f()
		b.ReportMetric(float64((b.Elapsed()-before).Microseconds())/float64(many), unit)
	}
	rounds := p.link.(*socket).rounds
	timed("µs/install", func() {
		for n := range many {
			c := testChild(esp.ChildID(n+1), n+1)
			if n%2 == 1 {
				c.In.Suite = suite.ESP{Encr: suite.EncrChaCha20Poly1305}
				c.In.EncrKey = counting(36)
			}
			must(b, p.Install(b.Context(), c))
		}
	})
	b.ReportMetric(float64(p.link.(*socket).rounds-rounds)/float64(many), "roundtrips/install")
	timed("µs/usage", func() {
		us, err := p.Usage(b.Context(), nil)
		if err != nil || len(us) != many {
			b.Fatal(len(us), err)
		}
	})
	timed("µs/reconcile", func() {
		r, err := p.Reconcile(b.Context())
		if err != nil || r.Removed+r.Restored+len(r.Lost) != 0 {
			b.Fatal(r, err)
		}
	})
	timed("µs/remove", func() {
		for n := range many {
			must(b, p.Remove(b.Context(), esp.ChildID(n+1)))
		}
	})
}
