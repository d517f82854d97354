package initiator

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"bridgehead/ikev2/message"
)

// loseRequests keeps the client's requests from the gateway.
func loseRequests(toGateway bool, _ int, data []byte) bool {
	m, err := message.Parse(data)
	return err == nil && toGateway && !m.Header.IsResponse()
}

// answers gives what the client answered last on an IKE SA.
func (sa *gatewaySA) lastAnswer() []message.Payload { return sa.answered[len(sa.answered)-1] }

func deleteESP(spi uint32) *message.Delete {
	return &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, spi)}}
}

// What the gateway begins while the client's own rekey or deletion is under way
// (RFC 7296 §2.8.2, §2.25.1, §2.25.2).
func TestCollisions(t *testing.T) {
	ike := &message.Delete{Protocol: message.ProtocolIKE}
	askIKE := func(c *conn) []message.Payload {
		sa := c.gateway.latest()
		offer := []message.Proposal{{Number: 1, Protocol: message.ProtocolIKE, SPI: make([]byte, 8)}}
		c.deliver(c.gateway.request(sa, message.ExchangeCreateChildSA, &message.SA{Proposals: offer}, &message.Nonce{Data: c.gateway.octets(32)}))
		return sa.lastAnswer()
	}
	for _, test := range []struct {
		name string
		own  Command
		run  func(c *conn)
	}{
		{"rekey of the IKE SA while it rekeys the Child SA", RekeyChild{}, func(c *conn) {
			if n := refusal(askIKE(c)); n == nil || n.Kind != message.TemporaryFailure {
				c.t.Errorf("answered with %v", n)
			}
		}},
		{"rekey of the IKE SA while it deletes that", Delete{}, func(c *conn) {
			if n := refusal(askIKE(c)); n == nil || n.Kind != message.TemporaryFailure {
				c.t.Errorf("answered with %v", n)
			}
		}},
		{"rekey of the Child SA while it deletes the IKE SA", Delete{}, func(c *conn) {
			child, _ := c.sa.Child()
			if n := refusal(c.askRekey(child.Out.SPI)); n == nil || n.Kind != message.TemporaryFailure {
				c.t.Errorf("answered with %v", n)
			}
		}},
		{"rekey of an unknown Child SA while it rekeys one", RekeyChild{}, func(c *conn) {
			if n := refusal(c.askRekey(77)); n == nil || n.Kind != message.TemporaryFailure {
				c.t.Errorf("answered with %v", n)
			}
		}},
		{"rekey of the Child SA that it rekeys, by a gateway that refuses its own", RekeyChild{}, func(c *conn) {
			child, _ := c.sa.Child()
			if n := refusal(c.askRekey(child.Out.SPI)); n != nil {
				c.t.Fatalf("refused with %s", n.Kind)
			}
			c.gateway.onChild = func(_, _ []message.Payload) []message.Payload {
				return notification(message.TemporaryFailure, nil)
			}
			c.lose = nil
			c.pass()
			if err := c.done(); err != nil {
				c.t.Errorf("the rekey ended with %v, although there are new keys", err)
			}
		}},
		{"DELETE of the Child SA that it rekeys, and the rekey succeeds", RekeyChild{}, func(c *conn) {
			child, _ := c.sa.Child()
			sa := c.gateway.latest()
			c.deliver(c.gateway.request(sa, message.ExchangeInformational, deleteESP(child.Out.SPI)))
			if message.Find[*message.Delete](sa.lastAnswer()) == nil {
				c.t.Errorf("answered with %v", sa.lastAnswer())
			}
			c.lose = nil
			c.pass()
			if next, ok := c.sa.Child(); !ok || next.ID == child.ID || !slices.Equal(c.kinds(), []ChangeKind{RemoveChild, InstallChild}) {
				c.t.Errorf("data plane %v", c.kinds())
			}
		}},
		{"DELETE of the Child SA that it rekeys, and the rekey fails", RekeyChild{}, func(c *conn) {
			child, _ := c.sa.Child()
			c.deliver(c.gateway.request(c.gateway.latest(), message.ExchangeInformational, deleteESP(child.Out.SPI)))
			c.gateway.onChild = func(_, _ []message.Payload) []message.Payload {
				return notification(message.ChildSANotFound, nil)
			}
			c.lose = nil
			c.pass()
			var gone *DeletedError
			if f := c.failure(); !errors.As(f, &gone) || !gone.ChildOnly {
				c.t.Errorf("ended with %v", f)
			}
		}},
		{"both rekey the IKE SA, and the gateway uses what it made", RekeyIKE{}, func(c *conn) {
			c.gatewayRekeysIKE()
			c.deliver(c.gateway.request(c.gateway.latest(), message.ExchangeInformational))
			if err := c.done(); err != nil {
				c.t.Errorf("the rekey ended with %v, although there is a new IKE SA", err)
			}
			c.lose = nil
			c.works()
		}},
		{"both rekey the IKE SA, and the gateway deletes the old one", RekeyIKE{}, func(c *conn) {
			old := c.gatewayRekeysIKE()
			c.deliver(c.gateway.request(old, message.ExchangeInformational, ike))
			if err := c.done(); err != nil || len(c.sa.others) != 0 {
				c.t.Errorf("the rekey ended with %v, %d other IKE SAs are left", err, len(c.sa.others))
			}
			c.lose = nil
			c.works()
		}},
		{"both rekey the IKE SA, and the gateway refuses", RekeyIKE{}, func(c *conn) {
			old := c.gatewayRekeysIKE()
			c.gateway.onChild = func(_, _ []message.Payload) []message.Payload {
				return notification(message.TemporaryFailure, nil)
			}
			c.lose = nil
			c.pass()
			if err := c.done(); err != nil {
				c.t.Errorf("the rekey ended with %v, although there is a new IKE SA", err)
			}
			c.deliver(c.gateway.request(old, message.ExchangeInformational, ike))
			c.gateway.onChild = nil
			c.works()
		}},
		{"DELETE of the IKE SA that it rekeys", RekeyIKE{}, func(c *conn) {
			c.deliver(c.gateway.request(c.gateway.latest(), message.ExchangeInformational, ike))
			var gone *DeletedError
			if f := c.failure(); !errors.As(f, &gone) {
				c.t.Errorf("ended with %v", f)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := established(t, 35)
			c.lose = loseRequests
			c.handle(test.own)
			test.run(c)
		})
	}
}

// DELETE of a Child SA that the client is deleting names nothing more.
func TestBothDeleteAChildSA(t *testing.T) {
	c := established(t, 36)
	old, _ := c.sa.Child()
	c.lose = func(toGateway bool, _ int, data []byte) bool {
		m, err := message.Parse(data)
		return err == nil && toGateway && m.Header.Exchange == message.ExchangeInformational && !m.Header.IsResponse()
	}
	c.handle(RekeyChild{})
	sa := c.gateway.latest()
	c.deliver(c.gateway.request(sa, message.ExchangeInformational, deleteESP(old.Out.SPI)))
	if len(sa.lastAnswer()) != 0 {
		t.Errorf("answered with %v", sa.lastAnswer())
	}
	c.lose = nil
	c.pass()
	if err := c.done(); err != nil || len(c.sa.retired) != 0 {
		t.Errorf("the rekey ended with %v, %d Child SAs are left", err, len(c.sa.retired))
	}
}
