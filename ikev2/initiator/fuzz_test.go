package initiator

import (
	"slices"
	"testing"
	"time"

	"bridgehead/ikev2/message"
)

// stage is how far a login has come when the hostile gateway speaks.
var stages = []struct {
	name string
	sent int // datagrams that reach the gateway; 0: all
	then Command
}{
	{"IKE_SA_INIT sent", 1, nil},
	{"first IKE_AUTH sent", 2, nil},
	{"EAP under way", 3, nil},
	{"last AUTH sent", 6, nil},
	{"established", 0, nil},
	{"Child rekey under way", 0, RekeyChild{KE: true}},
	{"IKE rekey under way", 0, RekeyIKE{}},
}

// atStage is a client that waits for an answer which was lost.
func atStage(t testing.TB, n int) *conn {
	t.Helper()
	s := stages[n%len(stages)]
	cfg := testConfig()
	cfg.Plane = plane{}
	c := newConn(t, 50, cfg)
	if s.sent > 0 {
		answers := 0
		c.lose = func(toGateway bool, n int, _ []byte) bool {
			if !toGateway {
				answers++
			}
			return !toGateway && answers >= s.sent
		}
	}
	c.login()
	if s.sent == 0 {
		c.handle(Installed{})
		c.established()
		c.lose = func(toGateway bool, n int, _ []byte) bool { return toGateway }
		if s.then != nil {
			c.handle(s.then)
		}
	}
	c.lose = func(toGateway bool, n int, _ []byte) bool { return toGateway }
	return c
}

// check tells what must hold of an SA whatever the gateway sends.
func (c *conn) check() {
	c.t.Helper()
	if missing := needs[c.sa.state] &^ c.sa.proof; c.sa.state != stateClosed && missing != 0 {
		c.t.Fatalf("state %d without the proof %04b", c.sa.state, missing)
	}
	if c.sa.state == stateClosed {
		if f := c.failure(); f.Error() == "" || f.Verdict() == VerdictLocalFault {
			c.t.Fatalf("ended with %v", f)
		}
	}
	if c.sa.state != stateClosed && c.sa.state != stateEstablished && c.sa.state != stateInstalling && c.out.Deadline.IsZero() {
		c.t.Fatalf("state %d waits for ever", c.sa.state)
	}
}

// FuzzDatagrams sends a client anything at all.
func FuzzDatagrams(f *testing.F) {
	c := newConn(f, 51, testConfig())
	c.login()
	for _, d := range slices.Concat(c.wire, [][]byte{c.gateway.initAnswer, {}}) {
		for stage := range stages {
			f.Add(uint8(stage), d)
		}
	}
	f.Fuzz(func(t *testing.T, stage uint8, data []byte) {
		c := atStage(t, int(stage))
		before := c.sa.state
		c.handle(Datagram{data})
		c.check()
		if before >= stateAuth && c.sa.state != before {
			t.Fatalf("a datagram without our keys moved state %d to %d", before, c.sa.state)
		}
	})
}

// FuzzProtected sends a client anything that is protected with the right
// keys: as the answer that it waits for, or as a request.
func FuzzProtected(f *testing.F) {
	g := newConn(f, 52, testConfig())
	g.gateway.onAuth = func(ps []message.Payload) []message.Payload {
		f.Add(uint8(1), true, uint8(message.ExchangeAuth), uint8(ps[0].Type()), message.AppendPayloads(nil, ps))
		return ps
	}
	g.gateway.onFinal = func(ps []message.Payload) []message.Payload {
		f.Add(uint8(3), true, uint8(message.ExchangeAuth), uint8(ps[0].Type()), message.AppendPayloads(nil, ps))
		return ps
	}
	g.gateway.onChild = func(request, ps []message.Payload) []message.Payload {
		for stage := uint8(4); stage < 7; stage++ {
			f.Add(stage, true, uint8(message.ExchangeCreateChildSA), uint8(ps[0].Type()), message.AppendPayloads(nil, ps))
			f.Add(stage, false, uint8(message.ExchangeCreateChildSA), uint8(request[0].Type()), message.AppendPayloads(nil, request))
		}
		return ps
	}
	g.login()
	g.handle(RekeyChild{KE: true})
	g.handle(RekeyIKE{})
	deletion := []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}
	f.Add(uint8(4), false, uint8(message.ExchangeInformational), uint8(message.TypeDelete), message.AppendPayloads(nil, deletion))
	f.Fuzz(func(t *testing.T, stage uint8, response bool, exchange, first uint8, plaintext []byte) {
		c := atStage(t, int(stage))
		if c.sa.ike == nil {
			return
		}
		sa := c.gateway.sessions[0]
		h := sa.header(message.ExchangeType(exchange), c.sa.ike.responses.Expected(), 0)
		if response {
			h.Flags, h.MessageID = message.FlagResponse, c.sa.ike.requests.NextID()
		}
		ps := []message.Payload{&message.Unknown{Kind: message.PayloadType(first), Body: plaintext}}
		if inner, err := message.ParsePayloads(message.PayloadType(first), plaintext); err == nil {
			ps = inner
		}
		sealed, err := sa.protection.Seal(h, ps, 0, c.gateway.rand)
		c.gateway.must(err)
		c.deliver(sealed)
		c.check()
		for range 3 { // nothing that was learnt may trip a timer
			c.handle(Tick{})
			c.now = c.now.Add(time.Minute)
		}
	})
}
