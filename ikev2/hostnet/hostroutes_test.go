package hostnet

import (
	"strings"
	"testing"
)

// TestAddressesOfNoPoolLeadToTheDevice: for as long as they are leased, and not
// beyond a crash.
func TestAddressesOfNoPoolLeadToTheDevice(t *testing.T) {
	newNamespace(t).enter()
	addTUN(t, "tun-test")
	run(t, "ip link set tun-test up")
	ctx := t.Context()
	h, err := OpenHostRoutes("tun-test", prefixes("10.9.0.0/24", "fd09::/96"))
	must(t, err)
	routes := func() string {
		text := run(t, "ip -4 route show dev tun-test") + run(t, "ip -6 route show dev tun-test")
		var ours []string
		for line := range strings.Lines(text) {
			if strings.Contains(line, "proto 66") {
				ours = append(ours, strings.Fields(line)[0])
			}
		}
		return strings.Join(ours, " ")
	}
	want := func(when, want string) {
		t.Helper()
		if got := routes(); got != want {
			t.Errorf("%s: routes to %q, want %q", when, got, want)
		}
	}
	leased := addrs("10.9.0.7", "203.0.113.9", "fd09::7", "2001:db8::9")
	must(t, h.Add(ctx, leased))
	want("leased", "203.0.113.9 2001:db8::9")
	if err := h.Add(ctx, leased[1:2]); err == nil {
		t.Error("the address is led there twice")
	}
	if err := h.Add(ctx, addrs("203.0.113.10", "203.0.113.9")); err == nil || !strings.Contains(err.Error(), "203.0.113.9") {
		t.Errorf("half of the addresses: %v", err)
	}
	want("whole or nothing", "203.0.113.9 2001:db8::9")
	must(t, h.Remove(ctx, leased[:2]))
	must(t, h.Remove(ctx, leased[:2]))
	want("given back", "2001:db8::9")
	run(t, "ip route add 203.0.113.50/32 dev tun-test")
	_, err = OpenHostRoutes("tun-test", nil)
	must(t, err)
	want("after a crash", "")
	if !strings.Contains(run(t, "ip -4 route show dev tun-test"), "203.0.113.50") {
		t.Error("somebody else's route is gone")
	}
	if _, err := OpenHostRoutes("nothing", nil); err == nil {
		t.Error("no such device")
	}
}
