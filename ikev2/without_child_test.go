package ikev2

import (
	"net/netip"
	"testing"

	"bridgehead/ikev2/message"
)

// childlessLogin is a login whose first IKE_AUTH asks for no Child SA.
func (p *peer) childlessLogin(asks ...message.Payload) []message.Payload {
	p.Helper()
	p.init()
	p.from, p.to = netip.AddrPortFrom(p.from.Addr(), 4500), netip.AddrPortFrom(p.to.Addr(), 4500)
	p.hear(p.request(message.ExchangeAuth, append([]message.Payload{p.idi}, asks...)...))
	for range 3 {
		p.answerEAP()
	}
	if _, err := p.eap.Respond(p.challenge); err != nil {
		p.Fatal(err)
	}
	return p.prove()
}

// A client logs in without a Child SA, has its address, makes a Child SA with
// a key exchange later, and the session lasts when that is gone again (RFC
// 6023).
func TestLoginWithoutAChildSA(t *testing.T) {
	w := newWorld(t, 1, nil)
	p := w.newPeer()
	answer := p.childlessLogin(configRequest(message.InternalIP4Address))
	cp := message.Find[*message.CP](answer)
	if message.Find[*message.Auth](answer) == nil || cp == nil || len(cp.Attributes) != 1 || message.Find[*message.SA](answer) != nil {
		t.Fatalf("the last answer is %s", describe(answer))
	}
	wantNotify(t, "announcement", p.parse(p.initAnswer).Payloads, message.ChildlessIKEv2Supported)
	if w.count(EventUp) != 1 || len(w.plane.children) != 0 {
		t.Errorf("%d sessions up, %d Child SAs", w.count(EventUp), len(w.plane.children))
	}
	ke, _ := p.ke(p.suite.Group)
	p.esp = espProposals(t, "aes256-sha256-x25519-noesn")
	answer = p.request(message.ExchangeCreateChildSA, append(p.child(), &message.Nonce{Data: p.ni}, ke)...)
	tsi := message.FindTS(answer, false)
	if tsi == nil || len(tsi.Selectors) != 1 || tsi.Selectors[0].Start != p.sa().session.lease.IPv4 {
		t.Fatalf("CREATE_CHILD_SA is answered with %s", describe(answer))
	}
	w.plane.only(t)
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolESP, SPISize: 4, SPIs: [][]byte{p.childSPI}})
	p.wantState("without its Child SA", StateEstablished)
	p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	w.run(w.gateway.cfg.Timers.Linger*2, nil)
	w.mustBeEmpty()
}

// Without a Child SA and without an address there is nothing to log in for;
// and where it is switched off, it is neither announced nor taken.
func TestLoginWithoutAChildSARefused(t *testing.T) {
	p := newWorld(t, 1, nil).newPeer()
	wantNotify(t, "no address", p.childlessLogin(), message.FailedCPRequired)

	p = newWorld(t, 1, func(c *Config) { c.NoChildless = true }).newPeer()
	wantNotify(t, "switched off", p.childlessLogin(configRequest(message.InternalIP4Address)), message.InvalidSyntax)
	if message.FindNotify(p.parse(p.initAnswer).Payloads, message.ChildlessIKEv2Supported) != nil {
		t.Error("announced although switched off")
	}

	p = newWorld(t, 1, nil).newPeer()
	half := p.childlessLogin(configRequest(message.InternalIP4Address), p.child()[0])
	wantNotify(t, "SA without selectors", half, message.InvalidSyntax)
}

// A client that would do with EAP alone still gets chain and AUTH: the method
// is not one that may stand alone (RFC 5998 §4).
func TestEAPOnlyClientsGetTheCertificateToo(t *testing.T) {
	p := newWorld(t, 1, nil).newPeer()
	p.asks = append(p.asks, status(message.EAPOnlyAuthentication, nil))
	answer := p.init().identify()
	if message.Find[*message.Auth](answer) == nil || message.Find[*message.Cert](answer) == nil {
		t.Errorf("answered with %s", describe(answer))
	}
	for range 3 {
		p.answerEAP()
	}
	if _, err := p.eap.Respond(p.challenge); err != nil || message.FindTS(p.prove(), false) == nil {
		t.Errorf("no login: %v", err)
	}
}
