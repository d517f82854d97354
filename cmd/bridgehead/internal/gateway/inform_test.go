package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2"
)

func TestWhereDHCPAnswersComeFrom(t *testing.T) {
	host := func(prefix string, p place) hostAddress {
		return hostAddress{Prefix: netip.MustParsePrefix(prefix), place: p}
	}
	list := []hostAddress{
		host("127.0.0.1/8", onLoopback), host("198.51.100.7/24", onRealLink), host("fd00::1/64", onRealLink), host("10.1.0.1/24", onRealLink), host("10.1.0.2/24", onRealLink),
	}
	for _, c := range []struct {
		name    string
		subnets []string
		want    string
	}{
		{"within the routes", []string{"172.16.0.0/12", "fd00::/8", "10.0.0.0/8"}, "10.1.0.1"},
		{"never the loopback", []string{"127.0.0.0/8"}, "192.0.0.8"},
		{"nothing within the routes", []string{"172.16.0.0/12"}, "192.0.0.8"},
		{"no routes, then no address of the host", nil, "192.0.0.8"},
	} {
		var subnets []netip.Prefix
		for _, s := range c.subnets {
			subnets = append(subnets, netip.MustParsePrefix(s))
		}
		if got := informAddress(subnets, list); got.String() != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

// inform is a DHCPINFORM that Windows broadcasts from an address.
func inform(from netip.Addr) []byte {
	b := make([]byte, 28+244)
	copy(b, []byte{0x45, 0, 1, 16, 0, 0, 0, 0, 64, 17})
	copy(b[12:], from.AsSlice())
	copy(b[16:], []byte{255, 255, 255, 255, 0, 68, 0, 67, 0, 252})
	copy(b[28:], []byte{1, 8, 6})
	copy(b[40:], from.AsSlice())
	copy(b[264:], []byte{99, 130, 83, 99, 53, 1, 8, 255})
	return b
}

// TestSessionsThatAreAnswered: only a session of a client that sends DHCPINFORM
// is, from when it is up until it is down.
func TestSessionsThatAreAnswered(t *testing.T) {
	g := &Gateway{logger: slog.New(slog.DiscardHandler)}
	c := config.Default()
	g.config.Store(c)
	if err := g.openInforms(false); err != nil {
		t.Fatal(err)
	}
	windows, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	up := func(kind ikev2.EventKind, id string, a netip.Addr, informs bool) {
		s := ikev2.SessionInfo{ID: id, IPv4: a}
		if informs {
			s.DHCPServer = ikev2.DummyAddress
		}
		g.informs.event(ikev2.SessionEvent{Kind: kind, Session: s})
	}
	answers := func(a netip.Addr) bool { reply, _ := g.informs.broadcast()(inform(a)); return reply != nil }
	other53 := inform(windows)
	other53[23] = 53
	for _, p := range [][]byte{inform(windows), other53} {
		if reply, taken := g.informs.broadcast()(p); reply != nil || !taken {
			t.Errorf("a broadcast without a session: answered %v, kept from the host %v", reply, taken)
		}
	}
	up(ikev2.EventUp, "w", windows, true)
	up(ikev2.EventUp, "o", other, false)
	if !answers(windows) || answers(other) {
		t.Error("not the one session that wants answers has them")
	}
	up(ikev2.EventDown, "o", windows, false)
	up(ikev2.EventRekeyed, "w", windows, true)
	if !answers(windows) {
		t.Error("not answered any more before the end of the session")
	}
	up(ikev2.EventDown, "w", windows, true)
	if answers(windows) {
		t.Error("answered after the end of the session")
	}
	r := prometheus.NewRegistry()
	r.MustRegister(g.informs)
	families, err := r.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "bridgehead_dhcp_messages_total" {
		t.Fatalf("metrics %v, %v", families, err)
	}
	counted := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		counted[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	want := map[string]float64{"answered": 2, "foreign": 0, "malformed": 0, "no_session": 3, "not_inform": 0, "send_failed": 0, "too_many": 0}
	if diff := cmp.Diff(want, counted); diff != "" {
		t.Error(diff)
	}
}

// TestNoDHCPWhereNotWanted: switched off, every use of it is harmless.
func TestNoDHCPWhereNotWanted(t *testing.T) {
	g := &Gateway{logger: slog.New(slog.DiscardHandler)}
	c := config.Default()
	c.Addresses.DHCPInform = false
	g.config.Store(c)
	if err := g.openInforms(true); err != nil {
		t.Fatal(err)
	}
	g.informs.event(ikev2.SessionEvent{Kind: ikev2.EventUp, Session: ikev2.SessionInfo{DHCPServer: ikev2.DummyAddress}})
	g.informs.run(context.Background())
	r := prometheus.NewRegistry()
	r.MustRegister(g.informs)
	if metrics, err := r.Gather(); err != nil || len(metrics) != 0 || g.informs.address().IsValid() || g.informs.broadcast() != nil {
		t.Errorf("%v, %v, from %v", metrics, err, g.informs.address())
	}
}
