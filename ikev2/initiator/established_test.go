package initiator

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// plane marks that there is a data plane: the SA itself never calls it.
type plane struct{ esp.DataPlane }

// established is a client that has logged in, with a data plane.
func established(t testing.TB, seed uint64) *conn {
	t.Helper()
	cfg := testConfig()
	cfg.Plane = plane{}
	c := newConn(t, seed, cfg)
	c.login()
	if len(c.changes) != 1 || c.changes[0].Kind != InstallChild {
		t.Fatalf("changes of the data plane %+v, want one installation", c.changes)
	}
	if _, ok := notice[Established](c); ok {
		t.Fatal("established before the data plane has the Child SA")
	}
	c.handle(Installed{})
	c.established()
	c.notices, c.changes = nil, nil
	return c
}

// kinds are the changes of the data plane so far.
func (c *conn) kinds() []ChangeKind {
	var ks []ChangeKind
	for _, ch := range c.changes {
		ks = append(ks, ch.Kind)
	}
	return ks
}

func (c *conn) done() error {
	c.t.Helper()
	d, ok := notice[Done](c)
	if !ok {
		c.t.Fatal("the command is not over")
	}
	return d.Err
}

func TestDataPlaneFault(t *testing.T) {
	cfg := testConfig()
	cfg.Plane = plane{}
	c := newConn(t, 20, cfg)
	c.login()
	fault := errors.New("no device")
	c.handle(Installed{fault})
	if f := c.failure(); !errors.Is(f, fault) || f.Verdict() != VerdictLocalFault {
		t.Errorf("%v", f)
	}
	if len(c.gateway.asked) != 6 || c.gateway.asked[5].Exchange != message.ExchangeInformational {
		t.Errorf("the gateway was not told: %v", c.gateway.asked)
	}
}

func TestDataPlaneFaultLater(t *testing.T) {
	c := established(t, 20)
	c.handle(Installed{})
	if c.sa.state != stateEstablished {
		t.Fatalf("state %d", c.sa.state)
	}
	c.handle(Installed{errors.New("device gone")})
	if f := c.failure(); f.At() != StepInstall || f.Verdict() != VerdictLocalFault {
		t.Errorf("%v", f)
	}
}

func TestRekeyChild(t *testing.T) {
	for _, withKE := range []bool{false, true} {
		c := established(t, 21)
		old, _ := c.sa.Child()
		withKEs := 0
		c.gateway.onChild = func(request, answer []message.Payload) []message.Payload {
			if n := message.FindNotify(request, message.RekeySA); n == nil || binary.BigEndian.Uint32(n.SPI) != old.In.SPI {
				t.Errorf("REKEY_SA %+v, want the SPI %08x", n, old.In.SPI)
			}
			if message.Find[*message.KE](request) != nil {
				withKEs++
			}
			return answer
		}
		c.handle(RekeyChild{KE: withKE})
		if err := c.done(); err != nil {
			t.Fatal(err)
		}
		next, _ := c.sa.Child()
		if next.In.SPI == old.In.SPI || next.ID == old.ID || !slices.Equal(c.kinds(), []ChangeKind{ReplaceChild, RemoveChild}) || c.changes[1].Old != old.ID || len(c.sa.retired) != 0 {
			t.Errorf("key exchange %t: %+v", withKE, c.changes)
		}
		if (withKEs == 1) != withKE {
			t.Errorf("key exchange %t: %d requests had a KE payload", withKE, withKEs)
		}
	}
}

func TestRekeyIKE(t *testing.T) {
	c := established(t, 22)
	for range 2 {
		c.notices = nil
		before := c.sa.ike
		c.handle(RekeyIKE{})
		if err := c.done(); err != nil {
			t.Fatal(err)
		}
		if c.sa.ike == before || len(c.sa.others) != 0 || c.sa.ike.requests.NextID() != 0 {
			t.Errorf("IKE SA %p before, %p now, others %v", before, c.sa.ike, c.sa.others)
		}
		for _, k := range before.keys.D {
			if k != 0 {
				t.Fatal("SK_d of the old IKE SA is still in memory")
			}
		}
	}
	c.notices = nil
	c.handle(Liveness{})
	if err := c.done(); err != nil {
		t.Errorf("liveness on the third IKE SA: %v", err)
	}
	if got := len(c.gateway.latest().cached); got != 1 {
		t.Errorf("the newest IKE SA carried %d requests, want 1", got)
	}
}

func TestCommandsQueue(t *testing.T) {
	c := established(t, 23)
	c.lose = func(toGateway bool, n int, _ []byte) bool { return toGateway }
	for _, command := range []Command{Liveness{}, RekeyChild{}, RekeyIKE{}, Liveness{}} {
		c.handle(command)
	}
	if len(c.sa.queue) != 3 {
		t.Fatalf("%d commands wait, want 3", len(c.sa.queue))
	}
	c.lose = nil
	c.pass()
	var over []Command
	for _, n := range c.notices {
		if d, ok := n.(Done); ok && d.Err == nil {
			over = append(over, d.Command)
		}
	}
	if !slices.Equal(over, []Command{Liveness{}, RekeyChild{}, RekeyIKE{}, Liveness{}}) {
		t.Errorf("done in the order %v", over)
	}
}

func TestRefusedRekeysChangeNothing(t *testing.T) {
	for _, command := range []Command{RekeyChild{}, RekeyChild{KE: true}, RekeyIKE{}} {
		for _, test := range []struct {
			n       message.NotifyType
			data    []byte
			verdict Verdict
		}{
			{message.TemporaryFailure, nil, VerdictRefused},
			{message.NoProposalChosen, nil, VerdictNoProposal},
			{message.ChildSANotFound, nil, VerdictRefused},
			{message.InvalidKEPayload, []byte{0, byte(suite.MODP8192)}, VerdictRefused},
		} {
			c := established(t, 24)
			before, _ := c.sa.Child()
			c.gateway.onChild = func(_, _ []message.Payload) []message.Payload { return notification(test.n, test.data) }
			c.handle(command)
			var f Failure
			if err := c.done(); !errors.As(err, &f) || f.Verdict() != test.verdict || f.At() != command.step() {
				t.Errorf("%T refused with %s: %v", command, test.n, err)
			}
			if after, _ := c.sa.Child(); after.ID != before.ID || len(c.changes) != 0 || c.sa.state != stateEstablished {
				t.Errorf("%T refused with %s changed %+v", command, test.n, c.changes)
			}
		}
	}
}

func TestHalfARekeyEndsTheSA(t *testing.T) {
	for _, drop := range []message.PayloadType{message.TypeSA, message.TypeNonce, message.TypeKE} {
		for _, command := range []Command{RekeyChild{KE: true}, RekeyIKE{}} {
			c := established(t, 25)
			c.gateway.onChild = func(_, answer []message.Payload) []message.Payload {
				return slices.DeleteFunc(answer, func(p message.Payload) bool { return p.Type() == drop })
			}
			c.handle(command)
			if f := c.failure(); f.Verdict() != VerdictProtocol {
				t.Errorf("%T without %s: %v", command, drop, f)
			}
			if !slices.Equal(c.kinds(), []ChangeKind{RemoveChild}) {
				t.Errorf("%T without %s left %v in the data plane", command, drop, c.kinds())
			}
		}
	}
}

// askRekey sends the gateway's own rekey of the Child SA and gives the
// client's answer.
func (c *conn) askRekey(spi uint32, with ...message.Payload) []message.Payload {
	c.t.Helper()
	child, _ := c.sa.Child()
	g := c.gateway
	sa := g.latest()
	ps := append([]message.Payload{
		&message.Notify{Protocol: message.ProtocolESP, SPI: binary.BigEndian.AppendUint32(nil, spi), Kind: message.RekeySA},
		&message.SA{Proposals: g.esp.WithoutKE().Offer([]byte{9, 9, 9, 9})}, &message.Nonce{Data: g.octets(32)},
		&message.TS{Selectors: child.Remote}, &message.TS{Responder: true, Selectors: child.Local},
	}, with...)
	before := len(sa.answered)
	c.deliver(g.request(sa, message.ExchangeCreateChildSA, ps...))
	if len(sa.answered) != before+1 {
		c.t.Fatal("the client did not answer")
	}
	return sa.answered[before]
}

func TestGatewayRekeysChild(t *testing.T) {
	c := established(t, 26)
	old, _ := c.sa.Child()
	answer := c.askRekey(old.Out.SPI)
	next, _ := c.sa.Child()
	if refusal(answer) != nil || next.Out.SPI != 0x09090909 || next.In.SPI == old.In.SPI || next.Local[0] != old.Local[0] {
		t.Fatalf("answer %v, Child SA %+v", answer, next)
	}
	gone := &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, old.Out.SPI)}}
	c.deliver(c.gateway.request(c.gateway.latest(), message.ExchangeInformational, gone))
	answers := c.gateway.latest().answered
	d := message.Find[*message.Delete](answers[len(answers)-1])
	if d == nil || binary.BigEndian.Uint32(d.SPIs[0]) != old.In.SPI || !slices.Equal(c.kinds(), []ChangeKind{ReplaceChild, RemoveChild}) || c.changes[1].Old != old.ID {
		t.Errorf("deletion answered with %+v, data plane %v", d, c.kinds())
	}
}

func TestGatewayRequestsAreAnsweredAsTheyDeserve(t *testing.T) {
	for _, test := range []struct {
		name string
		ask  func(c *conn) []message.Payload
		want message.NotifyType
	}{
		{"rekey of an unknown Child SA", func(c *conn) []message.Payload { return c.askRekey(77) }, message.ChildSANotFound},
		{"rekey with a cipher that is not in use", func(c *conn) []message.Payload {
			child, _ := c.sa.Child()
			c.gateway.esp = parse(t, message.ProtocolESP, "aes256gcm16")
			return c.askRekey(child.Out.SPI)
		}, message.NoProposalChosen},
		{"rekey with an unknown critical payload", func(c *conn) []message.Payload {
			child, _ := c.sa.Child()
			return c.askRekey(child.Out.SPI, &message.Unknown{Kind: 200, Critical: true})
		}, message.UnsupportedCriticalPayload},
		{"rekey while ours of the IKE SA is under way", func(c *conn) []message.Payload {
			child, _ := c.sa.Child()
			c.lose = func(toGateway bool, n int, data []byte) bool {
				m, err := message.Parse(data)
				return err == nil && toGateway && !m.Header.IsResponse()
			}
			c.handle(RekeyIKE{})
			return c.askRekey(child.Out.SPI)
		}, message.TemporaryFailure},
		{"a further Child SA", func(c *conn) []message.Payload {
			g := c.gateway
			c.deliver(g.request(g.latest(), message.ExchangeCreateChildSA, &message.SA{Proposals: g.esp.Offer([]byte{1, 2, 3, 4})}, &message.Nonce{Data: g.octets(32)}))
			return g.latest().answered[0]
		}, message.NoAdditionalSAs},
		{"a request without nonce", func(c *conn) []message.Payload {
			g := c.gateway
			c.deliver(g.request(g.latest(), message.ExchangeCreateChildSA, &message.SA{Proposals: g.esp.Offer([]byte{1, 2, 3, 4})}))
			return g.latest().answered[0]
		}, message.InvalidSyntax},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := established(t, 27)
			before, _ := c.sa.Child()
			n := refusal(test.ask(c))
			if n == nil || n.Kind != test.want {
				t.Errorf("answered with %+v, want %s", n, test.want)
			}
			if after, _ := c.sa.Child(); after.ID != before.ID || len(c.changes) != 0 {
				t.Errorf("it changed %+v", c.changes)
			}
		})
	}
}

// gatewayRekeysIKE has the gateway rekey the IKE SA, which the client must take.
func (c *conn) gatewayRekeysIKE() (old *gatewaySA) {
	c.t.Helper()
	g := c.gateway
	old = g.latest()
	pair, err := old.suite.Group.Generate(g.rand)
	g.must(err)
	spi, nonce := message.SPI(g.octets(8)), g.octets(32)
	offer := suite.Proposals{old.suite.Proposal()}.Offer(spi[:])
	before := len(old.answered)
	c.deliver(g.request(old, message.ExchangeCreateChildSA,
		&message.SA{Proposals: offer}, &message.Nonce{Data: nonce}, &message.KE{Group: uint16(old.suite.Group), Data: pair.Public()}))
	answer := old.answered[before]
	if n := refusal(answer); n != nil {
		c.t.Fatalf("refused with %s", n.Kind)
	}
	shared, err := pair.Shared(message.Find[*message.KE](answer).Data)
	g.must(err)
	spir := message.SPI(message.Find[*message.SA](answer).Proposals[0].SPI)
	keys := old.suite.DeriveRekey(old.suite.PRF, old.keys.D, shared, nonce, message.Find[*message.Nonce](answer).Data, spi, spir)
	g.sessions = append(g.sessions, g.newSA(old.suite, keys, spi, spir, true))
	return old
}

// works checks that commands succeed, on an IKE SA that the gateway made.
func (c *conn) works() {
	c.t.Helper()
	for _, command := range []Command{Liveness{}, RekeyChild{}, RekeyIKE{}} {
		c.notices = nil
		c.handle(command)
		if err := c.done(); err != nil {
			c.t.Errorf("%T on the IKE SA that the gateway made: %v", command, err)
		}
	}
}

func TestGatewayRekeysIKE(t *testing.T) {
	c := established(t, 28)
	old := c.gatewayRekeysIKE()
	c.deliver(c.gateway.request(old, message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE}))
	if len(c.sa.others) != 0 {
		t.Error("the old IKE SA is still there")
	}
	c.works()
}

func TestGatewayChecksAndDeletes(t *testing.T) {
	c := established(t, 29)
	g := c.gateway
	ping := g.request(g.latest(), message.ExchangeInformational)
	c.deliver(ping)
	first := c.wire[len(c.wire)-1]
	c.deliver(ping)
	if again := c.wire[len(c.wire)-1]; string(again) != string(first) || len(g.latest().answered) != 2 {
		t.Error("the repeated request was not answered with the same octets")
	}
	c.deliver(g.request(g.latest(), message.ExchangeInformational, &message.Notify{Kind: message.Cookie2, Data: []byte("8 octets")}))
	if n := message.FindNotify(g.latest().answered[2], message.Cookie2); n == nil || string(n.Data) != "8 octets" {
		t.Errorf("COOKIE2 was answered with %+v", n)
	}
	c.deliver(g.request(g.latest(), message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE}))
	if len(g.latest().answered) != 4 {
		t.Error("the deletion was not answered")
	}
	var deleted *DeletedError
	if f := c.failure(); !errors.As(f, &deleted) || !slices.Equal(c.kinds(), []ChangeKind{RemoveChild}) {
		t.Errorf("%v; data plane %v", f, c.kinds())
	}
	sent := len(c.wire)
	c.handle(Liveness{})
	if err := c.done(); err == nil || len(c.wire) != sent {
		t.Errorf("a command to an SA that has ended: %v", err)
	}
}

func TestGatewayDeletesTheOnlyChild(t *testing.T) {
	c := established(t, 31)
	g := c.gateway
	child, _ := c.sa.Child()
	gone := &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, child.Out.SPI)}}
	c.deliver(g.request(g.latest(), message.ExchangeInformational, gone))
	var deleted *DeletedError
	if f := c.failure(); !errors.As(f, &deleted) || !deleted.ChildOnly || !slices.Equal(c.kinds(), []ChangeKind{RemoveChild}) {
		t.Errorf("%v; data plane %v", f, c.kinds())
	}
	if last := g.asked[len(g.asked)-1]; last.Exchange != message.ExchangeInformational {
		t.Errorf("the last request is %s, want the deletion of the IKE SA", last.Exchange)
	}
}

func TestGatewayFallsSilent(t *testing.T) {
	c := established(t, 30)
	c.lose = func(toGateway bool, n int, _ []byte) bool { return toGateway }
	c.handle(Liveness{})
	for c.pass() {
	}
	if f := c.failure(); f.Verdict() != VerdictNoAnswer || f.At() != StepLiveness {
		t.Errorf("%v", f)
	}
	if !errors.Is(c.done(), c.failure()) {
		t.Errorf("the command ended with %v", c.done())
	}
}

func TestNarrowedRekeySelectors(t *testing.T) {
	all, one := everything()[:1], []message.Selector{message.SelectorOf(mustPrefix("192.0.2.1/32"))}
	for _, test := range []struct {
		asked, inUse, want []message.Selector
	}{
		{one, one, one}, {one, all, one}, {all, one, one}, {everything()[1:], one, nil}, {nil, one, nil},
	} {
		got, ok := narrow(test.asked, test.inUse)
		if ok != (test.want != nil) || ok && !slices.Equal(got, test.want) {
			t.Errorf("narrow(%v, %v) = %v, %t", test.asked, test.inUse, got, ok)
		}
	}
}
