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

// TestSequenceNumbersNeverRepeat: whatever is sent on the old outbound state and
// on the new one while a Move is under way, no number is used twice, and unless
// it is very much all of it is. What was late on the old path is still inside
// the smallest replay window that clients have, 32, where nothing is sent
// meanwhile.
func TestSequenceNumbersNeverRepeat(t *testing.T) {
	for name, to := range replacing {
		for _, between := range []int{0, 1, 3, 40, 5000} { // packets between two messages to the kernel
			p, k := onFake(t, Config{})
			must(t, p.Install(t.Context(), testChild(1, 1)))
			from, at := p.children[1].outboundID(testPath(1)), p.children[1].outboundID(to)
			used := map[uint64]bool{}
			send := func(id stateID, n int) {
				was := k.states[id].body != nil
				numbers := k.send(id, n)
				if was && len(numbers) < n && n < 40 {
					t.Errorf("%s, %d packets: %d are protected", name, n, len(numbers))
				}
				for _, number := range numbers {
					if used[number] {
						t.Fatalf("%s, %d packets: number %d is used twice", name, between, number)
					}
					used[number] = true
				}
			}
			send(from, 100)
			k.refuse = func(int, request) unix.Errno {
				send(from, between)
				if at != from {
					send(at, between)
				}
				return 0
			}
			must(t, p.Move(t.Context(), 1, to))
			k.refuse = nil
			if at != from && k.states[from].body != nil {
				t.Errorf("%s: the old state is there", name)
			}
			if first := k.states[at].begun + 1; between == 0 && first > 100+32 {
				t.Errorf("%s: the new state begins with %d", name, first)
			}
			send(at, 1)
			_, out, err := p.Carried(t.Context())
			if us, failed := p.Usage(t.Context(), nil); err != nil || failed != nil || out < 100*100 || us[0].PacketsOut*100 != out {
				t.Errorf("%s, %d packets: %d octets and %+v counted; %v, %v", name, between, out, us, err, failed)
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
