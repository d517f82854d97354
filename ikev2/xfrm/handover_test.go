package xfrm

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"bridgehead/ikev2/esp"
)

// replacing are paths of which each has a Move from testPath(1) replace the
// outbound state.
var replacing = map[string]esp.Path{
	"another peer address": testPath(2),
	"another local one":    {Local: netip.MustParseAddrPort("192.0.2.2:4500"), Remote: testPath(1).Remote, Encap: true},
	"no NAT any more":      {Local: testPath(1).Local, Remote: testPath(1).Remote},
}

// TestSequenceNumbersNeverRepeat: however many packets are sent, on the old
// outbound state and on the new one, before whichever message of a Move, no
// number is used twice; few are all protected, and what was late on the old path
// is still inside a replay window as wide as ours.
func TestSequenceNumbersNeverRepeat(t *testing.T) {
	for name, to := range replacing {
		for at := range 14 {
			for _, burst := range []int{0, 1, 100, handoverPackets + 10, 5000} {
				p, k := onFake(t, Config{})
				must(t, p.Install(t.Context(), testChild(1, 1)))
				old, moved := p.children[1].outboundID(testPath(1)), p.children[1].outboundID(to)
				used := map[uint64]bool{}
				sent := 0
				send := func(id stateID, n int) {
					numbers := k.send(id, n)
					for _, number := range numbers {
						if used[number] {
							t.Fatalf("%s, %d packets before message %d: number %d is used twice", name, burst, at, number)
						}
						used[number] = true
					}
					sent += len(numbers)
				}
				send(old, 100)
				first := k.messages + 1 + at
				k.refuse = func(n int, _ request) unix.Errno {
					if n == first {
						was := sent
						send(old, burst)
						if sent == was && moved != old {
							send(moved, burst)
						}
						if gone := k.states[old].body == nil && k.states[moved].body == nil; !gone && burst <= 100 && sent < was+burst {
							t.Errorf("%s: of %d packets before message %d %d are protected", name, burst, at, sent-was)
						}
					}
					return 0
				}
				must(t, p.Move(t.Context(), 1, to))
				k.refuse = nil
				if moved != old && k.states[old].body != nil {
					t.Errorf("%s: the old state is there", name)
				}
				if begun := k.states[moved].begun; burst <= 100 && begun+1 > 100+replayWindow {
					t.Errorf("%s: the new state begins after %d", name, begun)
				}
				send(moved, 1000)
				us, err := p.Usage(t.Context(), nil)
				if err != nil || us[0].PacketsOut > uint64(sent) || us[0].PacketsOut+handoverPackets < uint64(min(sent, 1100)) {
					t.Errorf("%s, %d packets before message %d: %d were sent, counted %+v; %v", name, burst, at, sent, us, err)
				}
			}
		}
	}
}

// TestMoveNeedsSequenceNumbers: a Move that would use them up is refused.
func TestMoveNeedsSequenceNumbers(t *testing.T) {
	for name, to := range replacing {
		p, k := onFake(t, Config{})
		must(t, p.Install(t.Context(), testChild(1, 1)))
		id := p.children[1].outboundID(testPath(1))
		s := k.states[id]
		s.sent = softSequence32 - 5
		k.states[id] = s
		if err := p.Move(t.Context(), 1, to); !errors.Is(err, errSequence) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefusedMoveLeavesNoLimit: where the kernel refuses the new state, the old
// one goes on.
func TestRefusedMoveLeavesNoLimit(t *testing.T) {
	p, k := onFake(t, Config{})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	id := p.children[1].outboundID(testPath(1))
	at := p.children[1].outboundID(testPath(2))
	k.refuse = func(_ int, r request) unix.Errno {
		if r.what == "add "+at.String() {
			return unix.ENOMEM
		}
		return 0
	}
	if err := p.Move(t.Context(), 1, testPath(2)); !errors.Is(err, unix.ENOMEM) {
		t.Errorf("moving: %v", err)
	}
	if sent := k.send(id, 10000); len(sent) != 10000 {
		t.Errorf("the old state protects %d packets more", len(sent))
	}
}
