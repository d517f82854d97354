package peers

import (
	"context"
	"fmt"
	"testing"

	"bridgehead/ikev2/initiator"
	"bridgehead/integration/lab"
)

// Hosts behind the gateway.
const behind4, behind6 = "10.99.0.1", "fd00:99::1"

func TestConnectCarriesTrafficThroughStrongSwan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.RSA2048, "eap-mschapv2")
	w.gateway.AddAddress("lo", behind4+"/32")
	w.gateway.AddAddress("lo", behind6+"/128")
	w.gateway.Forward()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	up, ended := make(chan initiator.Interface, 1), make(chan error, 1)
	down := 0
	go w.client.Do(func() {
		ended <- initiator.Connect(ctx, initiator.ConnectConfig{
			Config: w.config(),
			Up: func(i initiator.Interface) (func() error, error) {
				if err := route(w.client, i); err != nil {
					return nil, err
				}
				up <- i
				return func() error { down++; return nil }, nil
			},
		})
	})
	var i initiator.Interface
	select {
	case i = <-up:
	case err := <-ended:
		t.Fatalf("connect: %v", err)
	}
	if len(i.Routes) != 2 || i.Routes[0].String() != "0.0.0.0/0" || i.Routes[1].String() != "::/0" || i.Gateway.String() != gatewayAddress {
		t.Errorf("interface %+v", i)
	}
	ping := func(when string) {
		t.Helper()
		for _, host := range []string{behind4, behind6} {
			if out, err := w.client.Try("ping", "-c", "2", "-i", "0.2", "-W", "20", host); err != nil {
				t.Errorf("%s: ping %s: %v\n%s", when, host, err, out)
			}
		}
	}
	ping("after the login")
	for _, withKE := range []bool{false, true} {
		if err := i.Session.RekeyChild(ctx, withKE); err != nil {
			t.Error(err)
		}
		ping(fmt.Sprintf("after our rekey, key exchange %t", withKE))
	}
	before := i.Session.Child().In.SPI
	w.charon.Swanctl("--rekey", "--child", "net")
	lab.Eventually(t, lab.Patience, "the gateway's rekey", func() bool { return i.Session.Child().In.SPI != before })
	ping("after the gateway's rekey")

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("connect ended with %v", err)
	}
	if down != 1 {
		t.Errorf("down was called %d times", down)
	}
	if sas := w.charon.Swanctl("--list-sas"); sas != "" {
		t.Errorf("after the end the gateway still has:\n%s", sas)
	}
	if out, err := w.client.Try("ip", "link", "show", i.Device); err == nil {
		t.Errorf("the device is still there:\n%s", out)
	}
}

// route gives the device its addresses and the hosts behind the gateway.
func route(n *lab.Namespace, i initiator.Interface) error {
	for _, args := range [][]string{
		{"addr", "add", i.Addresses[0].String(), "dev", i.Device},
		{"addr", "add", i.Addresses[1].String(), "dev", i.Device, "nodad"},
		{"link", "set", i.Device, "up"},
		{"route", "add", behind4, "dev", i.Device, "src", i.Addresses[0].Addr().String()},
		{"route", "add", behind6, "dev", i.Device, "src", i.Addresses[1].Addr().String()},
	} {
		if out, err := n.Try("ip", args...); err != nil {
			return fmt.Errorf("ip %v: %w\n%s", args, err, out)
		}
	}
	return nil
}
