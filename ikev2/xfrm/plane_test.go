package xfrm

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"bridgehead/ikev2/esp"
	wire "bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/integration/secrecy"
)

// testChild has its SPIs from id and its inner addresses from n.
func testChild(id esp.ChildID, n int) esp.Child {
	sa := func(spi uint32) esp.SA {
		return esp.SA{SPI: spi + uint32(id), Suite: suite.ESP{Encr: suite.EncrAESGCM16, KeyLength: 128}, EncrKey: counting(20)}
	}
	host := func(a netip.Addr) wire.Selector { return wire.Selector{EndPort: 65535, Start: a, End: a} }
	return esp.Child{
		ID: id, Session: "test", In: sa(1 << 24), Out: sa(2 << 24), Path: testPath(n),
		Local: []wire.Selector{
			ports(0, 65535, "0.0.0.0", "255.255.255.255"), ports(0, 65535, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
		},
		Remote: []wire.Selector{
			host(netip.AddrFrom4([4]byte{10, 91, byte(n >> 8), byte(n)})),
			host(netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(n >> 8), 15: byte(n)})),
		},
	}
}

func testPath(n int) esp.Path {
	return esp.Path{
		Local:  netip.MustParseAddrPort("192.0.2.1:4500"),
		Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}), 4500), Encap: true,
	}
}

// onFake opens a Plane on a fake kernel that holds what another daemon
// installed.
func onFake(t testing.TB, c Config) (*Plane, *fakeKernel) {
	t.Helper()
	k := newFakeKernel(t)
	foreign := testChild(9000, 9000)
	n, err := newChild(foreign)
	if err != nil {
		t.Fatal(err)
	}
	n.flow = &flow{reqid: 1, sender: n}
	requests := []request{newState(n.inbound(n.Path), false), newState(n.outbound(n.Path), false)}
	n.keys(func(key policyKey) {
		requests = append(requests, newPolicy(key, n.flow.template(key.direction, n.Path), 1, 0, false))
	})
	if _, err := k.do(requests); err != nil {
		t.Fatal(err)
	}
	p, err := open(c.withDefaults(), k)
	if err != nil {
		t.Fatal(err)
	}
	if len(k.states) != 2 || len(k.policies) != 6+len(p.policies) {
		t.Fatalf("of another daemon's 2 states and 6 policies, %d and %d are left", len(k.states), len(k.policies))
	}
	k.rounds, k.messages = 0, 0
	return p, k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrips(t *testing.T) {
	p, k := onFake(t, Config{RekeyGrace: time.Hour})
	rounds := func(doing string, want int, err error) {
		t.Helper()
		must(t, err)
		if k.rounds > want {
			t.Errorf("%s took %d round trips, want at most %d", doing, k.rounds, want)
		}
		k.rounds = 0
	}
	rounds("installing", 1, p.Install(t.Context(), testChild(1, 1)))
	rounds("rekeying", 1, p.Rekey(t.Context(), 1, testChild(2, 1)))
	p.takeOver(p.children[2])
	rounds("taking over", 2, nil)
	rounds("removing", 1, p.Remove(t.Context(), 1))
	rounds("moving", 4, p.Move(t.Context(), 2, testPath(7)))
	_, err := p.Usage(t.Context(), nil)
	rounds("usage", 1, err)
	_, err = p.Reconcile(t.Context())
	rounds("reconciling", 2, err)
	rounds("removing", 1, p.Remove(t.Context(), 2))
	if len(k.states) != 2 || len(k.policies) != 6 {
		t.Errorf("%d states and %d policies are left", len(k.states), len(k.policies))
	}
}

// TestRefusedAnywhereLeavesNothing: whichever message the kernel refuses, what
// was there before is there after.
func TestRefusedAnywhereLeavesNothing(t *testing.T) {
	for at := 1; at <= 8; at++ {
		p, k := onFake(t, Config{})
		must(t, p.Install(t.Context(), testChild(1, 1)))
		states, policies := slices.Collect(maps.Keys(k.states)), maps.Clone(k.policies)
		before := k.messages
		k.refuse = func(n int, _ request) unix.Errno {
			if n == before+at {
				return unix.ENOSYS
			}
			return 0
		}
		// The same addresses, so that policies are taken over and given back.
		err := p.Install(t.Context(), testChild(2, 1))
		if !errors.Is(err, unix.ENOSYS) {
			t.Fatalf("message %d: %v", at, err)
		}
		same := maps.EqualFunc(k.policies, policies, slices.Equal)
		if len(k.states) != len(states) || !same {
			t.Errorf("message %d: %d states are left of %d, policies unchanged: %v", at, len(k.states), len(states), same)
		}
		if r, err := p.Reconcile(t.Context()); err != nil || r.Removed+r.Restored+len(r.Lost) != 0 {
			t.Errorf("message %d: %v, %v", at, r, err)
		}
		must(t, p.Install(t.Context(), testChild(2, 2)))
	}
}

// TestAddressLeasedAgain: the newer holder of an address has its policies, and
// keeps them when the older one goes; and the other way round.
func TestAddressLeasedAgain(t *testing.T) {
	for _, tc := range []struct{ goes, stays esp.ChildID }{{1, 2}, {2, 1}} {
		p, k := onFake(t, Config{})
		must(t, p.Install(t.Context(), testChild(1, 1)))
		must(t, p.Install(t.Context(), testChild(2, 1)))
		must(t, p.Remove(t.Context(), tc.goes))
		c := p.children[tc.stays]
		c.keys(func(key policyKey) {
			f, err := parsePolicy(k.policies[key])
			if err != nil || f.templates[0] != c.flow.template(key.direction, c.Path) {
				t.Errorf("child %d went: %v has template %v", tc.goes, key, f.templates)
			}
		})
	}
}

func TestThresholdsArePutBack(t *testing.T) {
	p, k := onFake(t, Config{})
	if k.hash != hostThresholds {
		t.Errorf("open: %v", k.hash)
	}
	must(t, p.shut())
	if want := (thresholds{[2]byte{32, 32}, [2]byte{128, 128}}); k.hash != want {
		t.Errorf("closed: %v, want %v", k.hash, want)
	}
}

func TestForeignPolicyIsNotTaken(t *testing.T) {
	p, k := onFake(t, Config{})
	conflict := testChild(1, 9000)
	err := p.Install(t.Context(), conflict)
	var refused *KernelError
	if !errors.As(err, &refused) || refused.Errno != unix.EEXIST {
		t.Errorf("installing over another daemon's policy: %v", err)
	}
	if len(k.states) != 2 || len(k.policies) != 6 {
		t.Errorf("%d states and %d policies are left", len(k.states), len(k.policies))
	}
}

// TestReconcileMends in both directions, and tells once of what it cannot mend.
func TestReconcileMends(t *testing.T) {
	var events []Event
	p, k := onFake(t, Config{OnEvent: func(e Event) { events = append(events, e) }})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	must(t, p.Install(t.Context(), testChild(2, 2)))
	stray, _ := onFake(t, Config{})
	stray.link = k
	must(t, stray.Install(t.Context(), testChild(3, 3)))
	for key := range k.policies {
		if p.policies[key] != nil && len(k.policies) > 23 {
			delete(k.policies, key)
		}
	}
	delete(k.states, p.children[2].inboundID(p.children[2].Path))
	r, err := p.Reconcile(t.Context())
	if err != nil || r.Removed != 8 || r.Restored != 1 || !slices.Equal(r.Lost, []esp.ChildID{2}) || r.Foreign != 8 {
		t.Errorf("reconciling: %v, %v", r, err)
	}
	r, err = p.Reconcile(t.Context())
	if err != nil || r.Removed != 0 || r.Restored != 0 || len(r.Lost) != 1 {
		t.Errorf("reconciling again: %v, %v", r, err)
	}
	if len(events) != 1 || events[0] != (Event{Kind: Lost, Child: 2}) {
		t.Errorf("events: %v", events)
	}
}

// TestModelIsTheKernel: whatever is done, kernel and model stay the same, at
// most one state of a flow sends, and at the end nothing is left.
func TestModelIsTheKernel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, k := onFake(t, Config{RekeyGrace: time.Hour, Protected: testProtected})
		next := esp.ChildID(0)
		var live []esp.ChildID
		pick := func() esp.ChildID { return rapid.SampledFrom(live).Draw(rt, "child") }
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			next++
			action := rapid.IntRange(0, 5).Draw(rt, "action")
			if len(live) == 0 {
				action = 0
			}
			switch n := rapid.IntRange(1, 4).Draw(rt, "addresses"); action {
			case 0:
				must(t, p.Install(t.Context(), testChild(next, n)))
				live = append(live, next)
			case 1:
				must(t, p.Rekey(t.Context(), pick(), testChild(next, n)))
				live = append(live, next)
			case 2:
				p.takeOver(p.children[pick()])
			case 3, 5:
				to := testPath(n)
				to.Encap = rapid.Bool().Draw(rt, "encap")
				to.Local = rapid.SampledFrom([]netip.AddrPort{to.Local, netip.MustParseAddrPort("192.0.2.3:4500"), netip.MustParseAddrPort("192.0.2.4:4500")}).Draw(rt, "local")
				if action == 3 {
					must(t, p.Move(t.Context(), pick(), to))
				} else {
					must(t, p.Expect(t.Context(), pick(), to))
				}
			case 4:
				id := pick()
				must(t, p.Remove(t.Context(), id))
				live = slices.DeleteFunc(live, func(o esp.ChildID) bool { return o == id })
			}
			if r, err := p.Reconcile(t.Context()); err != nil || r.Removed+r.Restored+len(r.Lost) != 0 {
				rt.Fatalf("after action %d: %v, %v", action, r, err)
			}
			if us, err := p.Usage(t.Context(), nil); err != nil || len(us) != len(live) {
				rt.Fatalf("usage of %d: %v, %v", len(live), us, err)
			}
		}
		must(t, p.shut())
		if len(k.states) != 2 || len(k.policies) != 6 {
			rt.Fatalf("%d states and %d policies are left", len(k.states), len(k.policies))
		}
	})
}

// TestMessagesGrowWithChildren: no Child SA costs more messages because of the
// others.
func TestMessagesGrowWithChildren(t *testing.T) {
	for _, many := range []int{500, 1000, 2000, 5000} {
		p, k := onFake(t, Config{})
		for i := range many {
			must(t, p.Install(t.Context(), testChild(esp.ChildID(i+1), i+1)))
		}
		installing := k.messages
		if _, err := p.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
		if installing != 8*many || k.messages-installing != 8*many+8 || k.rounds != many+2 {
			t.Errorf("%d: %d messages to install, %d to reconcile, %d round trips", many, installing, k.messages-installing, k.rounds)
		}
	}
}

func TestNothingPrintsKeys(t *testing.T) {
	p, k := onFake(t, Config{RekeyGrace: time.Hour})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	must(t, p.Rekey(t.Context(), 1, testChild(2, 1)))
	k.refuse = func(int, request) unix.Errno { return unix.EINVAL }
	err := p.Install(t.Context(), testChild(3, 3))
	add := newState(p.children[1].inbound(testPath(1)), false)
	secrecy.Check(t, counting(20), p, p.children[1], *p.children[1], p.children[2].out, *p.children[2].outbound(testPath(1)), err,
		add, step{do: add}, change{steps: []step{{do: add}}}, answer{body: add.body})
}

// TestKeysAreForgotten: neither the Plane nor the messages sent keep them.
func TestKeysAreForgotten(t *testing.T) {
	p, _ := onFake(t, Config{})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	kept := p.children[1].Out.EncrKey
	must(t, p.Remove(t.Context(), 1))
	if !slices.Equal(kept, make(suite.Secret, 20)) {
		t.Error("Remove keeps the key")
	}
}

func TestKernelErrorsSayWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		err  KernelError
		want string
	}{
		{KernelError{"add state 0000000a to 192.0.2.1", unix.EPERM, ""},
			"xfrm: add state 0000000a to 192.0.2.1: operation not permitted: run as root or with CAP_NET_ADMIN"},
		{KernelError{"add state 0000000a to 192.0.2.1", unix.ENOSYS, "Requested AEAD algorithm not found"},
			"xfrm: add state 0000000a to 192.0.2.1: function not implemented (Requested AEAD algorithm not found): the kernel lacks a cipher: load the crypto modules (gcm, authenc, cbc, chacha20poly1305), or choose other algorithms"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("%s\nwant\n%s", got, tc.want)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	a, _ := algorithmsOf(&esp.SA{Suite: suite.ESP{Encr: suite.EncrChaCha20Poly1305}, EncrKey: counting(36)})
	s := &state{id: stateID{netip.MustParseAddr("192.0.2.1"), 1}, source: netip.MustParseAddr("192.0.2.2"), algorithms: a, inbound: true}
	f.Add(appendMessage(nil, newState(s, false), 0, 1))
	f.Add(appendMessage(nil, newPolicy(policyKey{selector: selector{source: netip.MustParsePrefix("::/0"), destination: netip.MustParsePrefix("::/0")}},
		template{reqid: 1, source: netip.IPv6Unspecified(), destination: netip.IPv6Unspecified()}, 1, 0, false), 0, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		ms, err := parseMessages(b)
		if err != nil {
			return
		}
		for _, m := range ms {
			s, _ := parseState(m.body)
			p, _ := parsePolicy(m.body)
			e, _ := parseExpiry(m.body)
			o, _ := parseMapping(m.body)
			c, _ := parseCounters(m.body)
			_, text, _ := parseAck(m.body)
			_ = fmt.Sprint(s.id, p.key, e.id, o.source, c.bytes, text)
			if c.replay != nil && len(c.replay.append(nil)) > len(m.body) {
				t.Errorf("a replay window of %d words out of %d octets", len(c.replay.bitmap), len(m.body))
			}
			_ = attribute(m.body, nl.XFRMA_TMPL)
		}
	})
}
