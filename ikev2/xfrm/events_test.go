package xfrm

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
)

// expireMessage is the body of XFRM_MSG_EXPIRE for a state.
func expireMessage(s *state) []byte {
	return append(newState(s, false).body[:nl.SizeofXfrmUsersaInfo:nl.SizeofXfrmUsersaInfo], make([]byte, 8)...)
}

// mappingMessage is the body of XFRM_MSG_MAPPING.
func mappingMessage(id stateID, from netip.AddrPort) []byte {
	m := id.message()
	b := append([]byte(nil), m.Serialize()...)
	b = append(b, make([]byte, 4+16)...)
	source := address(from.Addr())
	b = append(append(b, source[:]...), 0, 0)
	return binary.BigEndian.AppendUint16(b, from.Port())
}

func TestEvents(t *testing.T) {
	var events []Event
	p, _ := onFake(t, Config{RekeyGrace: time.Hour, OnEvent: func(e Event) { events = append(events, e) }})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	must(t, p.Rekey(t.Context(), 1, testChild(2, 1)))
	old, renewed := p.children[1], p.children[2]
	// The first packet on the new one makes it send.
	p.expired(expireMessage(renewed.inbound(renewed.Path)))
	if old.phase != retired || renewed.phase != sending {
		t.Errorf("phases %d and %d", old.phase, renewed.phase)
	}
	p.expired(expireMessage(renewed.outbound(renewed.Path)))
	from := netip.MustParseAddrPort("203.0.113.5:1024")
	p.mapped(mappingMessage(renewed.inboundID(renewed.Path), from))
	// Nothing to tell: where it is already; a state of others; not a message.
	p.mapped(mappingMessage(renewed.inboundID(renewed.Path), renewed.Path.Remote))
	p.mapped(mappingMessage(stateID{netip.MustParseAddr("192.0.2.1"), 9}, from))
	p.mapped(nil)
	p.expired(nil)
	want := []Event{{Kind: Exhausting, Child: 2}, {Kind: Rebound, Child: 2, Remote: from}}
	if len(events) != len(want) || events[0] != want[0] || events[1] != want[1] {
		t.Errorf("events %v, want %v", events, want)
	}
}

// TestGraceEnds: without a packet the new Child SA sends after RekeyGrace, and
// if the kernel refuses, that is told and the old one sends on.
func TestGraceEnds(t *testing.T) {
	events := make(chan Event, 1)
	p, k := onFake(t, Config{RekeyGrace: time.Nanosecond, OnEvent: func(e Event) { events <- e }})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	took := make(chan struct{})
	refused := testChild(2, 1)
	k.refuse = func(_ int, r request) unix.Errno {
		if f, err := parseState(r.body); err == nil && r.kind == nl.XFRM_MSG_NEWSA {
			switch f.id.spi {
			case refused.Out.SPI:
				return unix.ENOBUFS
			case testChild(3, 1).Out.SPI:
				close(took)
			}
		}
		return 0
	}
	must(t, p.Rekey(t.Context(), 1, refused))
	if e := <-events; e.Kind != Faulted || e.Child != 2 || !errors.Is(e.Err, unix.ENOBUFS) {
		t.Errorf("event %+v", e)
	}
	us, err := p.Usage(t.Context(), []esp.ChildID{1})
	if err != nil || len(us) != 1 || p.children[1].phase != sending {
		t.Errorf("the old one: %+v, %v", us, err)
	}
	must(t, p.Rekey(t.Context(), 1, testChild(3, 1)))
	<-took
	must(t, p.Remove(t.Context(), 1))
	must(t, p.shut())
}

// TestRekeyRefusedLeavesTheOld: an end that sends at once and cannot keeps what
// it had.
func TestRekeyRefusedLeavesTheOld(t *testing.T) {
	p, k := onFake(t, Config{RekeyGrace: -1})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	k.refuse = func(_ int, r request) unix.Errno {
		if f, err := parseState(r.body); err == nil && r.kind == nl.XFRM_MSG_NEWSA && f.id.spi == testChild(2, 1).Out.SPI {
			return unix.ENOSYS
		}
		return 0
	}
	if err := p.Rekey(t.Context(), 1, testChild(2, 1)); !errors.Is(err, unix.ENOSYS) {
		t.Errorf("rekeying: %v", err)
	}
	if len(k.states) != 4 || len(k.policies) != 12 || p.children[1].phase != sending || len(p.children) != 1 {
		t.Errorf("%d states, %d policies, %d children", len(k.states), len(k.policies), len(p.children))
	}
}

// TestTwoPeersBehindOneAddress may choose the same SPI.
func TestTwoPeersBehindOneAddress(t *testing.T) {
	p, _ := onFake(t, Config{})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	second := testChild(2, 2)
	second.Path, second.Out.SPI = testPath(1), testChild(1, 1).Out.SPI
	second.Path.Remote = netip.AddrPortFrom(second.Path.Remote.Addr(), 1025)
	var conflict *ConflictError
	if err := p.Install(t.Context(), second); !errors.As(err, &conflict) || !errors.Is(err, esp.ErrSPIInUse) {
		t.Errorf("the same SPI: %v", err)
	}
	second.Out.SPI++
	must(t, p.Install(t.Context(), second))
}
