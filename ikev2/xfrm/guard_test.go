package xfrm

import (
	"net/netip"
	"testing"

	"bridgehead/ikev2/suite"
)

// testProtected are the networks of testChild's peers; one is the whole of what
// Child SA 1 may reach, so that its policies and the network's are the same to
// the kernel.
var testProtected = []netip.Prefix{
	netip.MustParsePrefix("10.91.0.0/24"), netip.MustParsePrefix("10.91.0.1/32"),
	netip.MustParsePrefix("fd00::/96"), netip.MustParsePrefix("10.91.0.0/24"),
}

// TestProtectedNetworks: what no Child SA carries is dropped, before, after and
// beside the Child SAs, and nothing of it is left at the end.
func TestProtectedNetworks(t *testing.T) {
	p, k := onFake(t, Config{Protected: testProtected})
	blocking := func() (n int) {
		for key, body := range k.policies {
			f, err := parsePolicy(body)
			must(t, err)
			if len(f.templates) != 1 || !f.templates[0].block {
				continue
			}
			n++
			inside := key.selector.source
			if key.direction == directionOut {
				inside = key.selector.destination
			}
			if inside.Bits() == 0 {
				t.Errorf("%v drops everything", key)
			}
		}
		return n
	}
	if n := blocking(); n != 9 {
		t.Fatalf("%d policies block three networks", n)
	}
	c := testChild(1, 1)
	must(t, p.Install(t.Context(), c))
	if n := blocking(); n != 6 {
		t.Errorf("%d policies block while one network is a Child SA's", n)
	}
	for key := range k.policies {
		if key.selector.source.Bits() == 0 && key.selector.destination == testProtected[2] {
			delete(k.policies, key)
		}
	}
	if r, err := p.Reconcile(t.Context()); err != nil || r.Restored != 1 || r.Removed != 0 {
		t.Errorf("reconciling: %v, %v", r, err)
	}
	must(t, p.Remove(t.Context(), 1))
	if n := blocking(); n != 9 {
		t.Errorf("%d policies block at the end", n)
	}
	must(t, p.shut())
	if len(k.states) != 2 || len(k.policies) != 6 {
		t.Errorf("%d states and %d policies are left", len(k.states), len(k.policies))
	}
}

// TestCarriedOutlivesChildSAs: a rekey or a logout takes nothing away from it.
func TestCarriedOutlivesChildSAs(t *testing.T) {
	p, k := onFake(t, Config{RekeyGrace: -1})
	must(t, p.Install(t.Context(), testChild(1, 1)))
	for id, s := range k.states {
		s.sent = 7 // packets of 100 octets, in the fake kernel
		k.states[id] = s
	}
	carried := func(when string) {
		t.Helper()
		if in, out, err := p.Carried(t.Context()); err != nil || in != 700 || out != 700 {
			t.Errorf("%s: %d in, %d out, %v", when, in, out, err)
		}
	}
	carried("at first")
	must(t, p.Rekey(t.Context(), 1, testChild(2, 1)))
	carried("after a rekey")
	must(t, p.Remove(t.Context(), 1))
	carried("after the old one went")
	must(t, p.Remove(t.Context(), 2))
	carried("at the end")
}

func TestMissing(t *testing.T) {
	all := Capabilities{ESP4: true, ESP6: true, Encap4: true, Encap6: true, GCM: true, CBC: true, ChaCha20: true}
	suites := []suite.ESP{{Encr: suite.EncrAESGCM16, KeyLength: 128}, {Encr: suite.EncrAESGCM16, KeyLength: 256}, {Encr: suite.EncrAESCBC, KeyLength: 256, Integ: suite.IntegHMACSHA2_256128}}
	both := Needs{IPv4: true, IPv6: true, Suites: suites}
	without := func(change func(*Capabilities)) Capabilities {
		c := all
		change(&c)
		return c
	}
	for _, tc := range []struct {
		name  string
		can   Capabilities
		needs Needs
		want  []string
	}{
		{"all there", all, both, nil},
		{"nothing there", Capabilities{}, both, []string{"ESP over IPv4 (module esp4)", "ESP over IPv6 (module esp6)"}},
		{"IPv6 not asked for", without(func(c *Capabilities) { c.ESP6, c.Encap6 = false, false }), Needs{IPv4: true, Suites: suites}, nil},
		{"before Linux 5.8", without(func(c *Capabilities) { c.Encap6 = false }), both, []string{"UDP encapsulation over IPv6 (Linux 5.8)"}},
		{"a cipher not asked for", without(func(c *Capabilities) { c.ChaCha20 = false }), both, nil},
		{"a cipher named twice", without(func(c *Capabilities) { c.GCM = false }), both, []string{"AES-GCM (module gcm)"}},
	} {
		got := tc.can.Missing(tc.needs)
		if len(got) != len(tc.want) {
			t.Errorf("%s: %q", tc.name, got)
			continue
		}
		for i := range got {
			if got[i] != tc.want[i] {
				t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
			}
		}
	}
}
