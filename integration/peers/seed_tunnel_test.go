package peers

import (
	"context"
	"net/netip"
	"sync"
	"testing"

	"bridgehead/auth"
	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
	"bridgehead/ikev2/tunnel"
	"bridgehead/integration/lab"
)

// seedTunnel logs our own client in, with a TUN device that has routes to the
// host behind the gateway. Like a phone it stays on port 500 unless there is a
// NAT, and its ESP goes outside of UDP unless the gateway says otherwise:
// strongSwan without ESP in the kernel cannot do that.
func (s *seedSite) seedTunnel(t *testing.T, n *lab.Namespace, server string) *initiator.Session {
	t.Helper()
	profile := initiator.DefaultProfile()
	profile.StayUnlessNAT = true
	conf := initiator.Config{
		Server: server, ServerName: gatewayName, Roots: s.root.Pool(), User: seedUser, Password: auth.Secret(seedPassword), Profile: profile,
		IKE: proposals(message.ProtocolIKE, "aes256-sha256-modp2048"), ESP: proposals(message.ProtocolESP, "aes256-sha256"),
	}
	var session *initiator.Session
	var device *tunnel.Tunnel
	var err error
	n.Do(func() {
		var sockets *transport.Transport
		sockets, err = transport.Listen(transport.Config{IKEPort: 500, NATTPort: 4500, RawESP: true})
		if err != nil {
			return
		}
		t.Cleanup(func() { sockets.Close() })
		if device, err = tunnel.Open(tunnel.Config{Transport: sockets}); err != nil {
			return
		}
		client := initiator.NewClient(sockets, device.HandleESP)
		running, stop := context.WithCancel(context.Background())
		var parts sync.WaitGroup
		parts.Go(func() { _ = sockets.Serve(running, client) })
		parts.Go(func() { _ = device.Run(running) })
		t.Cleanup(func() { stop(); parts.Wait(); device.Close() })
		conf.Plane = device
		session, err = client.Dial(t.Context(), conf)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close(context.Background()) })
	for _, p := range session.Result().Config.Addresses {
		n.AddAddress(device.Name(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()).String())
	}
	n.Run("ip", "link", "set", device.Name(), "up")
	for _, host := range []string{seedHost4, seedHost6} {
		n.Run("ip", "route", "add", host, "dev", device.Name())
	}
	return session
}
