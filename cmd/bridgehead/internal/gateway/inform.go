package gateway

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bridgehead/ikev2"
	"bridgehead/ikev2/dhcp"
)

// informs answers the DHCPINFORM of Windows; nil answers none.
type informs struct {
	server *dhcp.Server
	from   netip.Addr   // of the answers
	socket *dhcp.Socket // nil: the data plane hands over what is to be answered
	logger *slog.Logger
}

// openInforms makes ready to answer where the configuration wants it. A socket
// that cannot be had costs Windows its routes but no session, so the gateway
// starts without.
func (g *Gateway) openInforms(kernel bool) error {
	c := g.config.Load()
	if !c.Addresses.DHCPInform {
		return nil
	}
	list, err := hostAddresses()
	if err != nil {
		return err
	}
	g.informs = &informs{server: dhcp.NewServer(time.Now), from: informAddress(c.Addresses.Subnets, list), logger: g.logger}
	if !kernel {
		return nil
	}
	if g.informs.socket, err = dhcp.Listen(g.informs.server); err != nil {
		g.logger.Warn(err.Error())
		return nil
	}
	g.onClose(g.informs.socket.Close)
	return nil
}

// informAddress picks where answers come from: an address of the host that
// clients with split routes reach anyway. Elsewhere it is none of the host's,
// which they would come to reach by it: least of all the one that their tunnel
// goes to, and that is never routed through it.
func informAddress(subnets []netip.Prefix, list []hostAddress) netip.Addr {
	for _, a := range list {
		within := func(p netip.Prefix) bool { return p.Contains(a.Addr()) }
		if a.Addr().Is4() && a.place != onLoopback && slices.ContainsFunc(subnets, within) {
			return a.Addr()
		}
	}
	return ikev2.DummyAddress
}

// address is where answers come from; zero where there are none.
func (i *informs) address() netip.Addr {
	if i == nil {
		return netip.Addr{}
	}
	return i.from
}

// broadcast takes what clients send to all in the userspace data plane; nil
// where nothing is answered. The host sees none of it: no router passes it on,
// and a client that may broadcast for the sake of DHCPINFORM alone is not to
// reach the host's own services by it.
func (i *informs) broadcast() func(packet []byte) (reply []byte, taken bool) {
	if i == nil {
		return nil
	}
	return func(packet []byte) (reply []byte, taken bool) {
		reply, _ = i.server.Answer(packet)
		return reply, true
	}
}

// event keeps the sessions that are answered. It never blocks.
func (i *informs) event(e ikev2.SessionEvent) {
	s := e.Session
	switch {
	case i == nil || !s.DHCPServer.IsValid():
	case e.Kind == ikev2.EventUp:
		i.server.Add(dhcp.Session{ID: s.ID, Client: s.IPv4, Server: s.DHCPServer, Routes: s.Routes, DNS: s.DNS, Domains: s.Domains})
	case e.Kind == ikev2.EventDown:
		i.server.Remove(s.ID, s.IPv4)
	}
}

// run answers what the host receives, until ctx ends.
func (i *informs) run(ctx context.Context) {
	if i == nil || i.socket == nil {
		return
	}
	if err := i.socket.Run(ctx); err != nil {
		i.logger.Error("Windows clients get no routes any more", slog.Any("error", err))
	}
}

var descInforms = desc("dhcp_messages_total", "DHCP messages of clients inside their tunnels by result; only DHCPINFORM is ever answered.", "result")

// Describe implements prometheus.Collector.
func (i *informs) Describe(out chan<- *prometheus.Desc) { out <- descInforms }

// Collect implements prometheus.Collector.
func (i *informs) Collect(out chan<- prometheus.Metric) {
	if i == nil {
		return
	}
	for outcome, n := range i.server.Counts() {
		out <- prometheus.MustNewConstMetric(descInforms, prometheus.CounterValue, float64(n), dhcp.Outcome(outcome).String())
	}
}
