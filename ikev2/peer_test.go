package ikev2

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
)

// peer is a scripted client: it sends only what a test tells it to, however
// wrong, and hands back what the gateway answers.
type peer struct {
	*world
	from, to   netip.AddrPort
	spii, spir message.SPI
	ni, nr     []byte
	suite      suite.IKE
	keys       suite.IKEKeys
	protection *exchange.Protection
	id         uint32 // of the next request
	respondent bool   // of an IKE SA whose original initiator is the gateway

	initRequest, initAnswer []byte
	idi                     *message.ID
	idrBody                 []byte
	eap                     *mschapv2.Client
	challenge               []byte // the gateway's last EAP packet
	esp                     suite.Proposals
	extensions              []message.Payload // of IKE_SA_INIT
	noNATT                  bool              // sends no NAT detection
	asks                    []message.Payload // of the first IKE_AUTH, beside IDi
	childSPI                []byte            // our inbound SPI
	heard                   [][]byte          // datagrams not yet looked at
	echo                    echo              // answers checks of the path; nil: nobody does
	self                    netip.AddrPort    // where it takes itself to be behind a NAT; zero: there is none
}

func (w *world) newPeer() *peer {
	w.Helper()
	ike, err := suite.ParseProposals(message.ProtocolIKE, "aes256-sha256-x25519")
	if err != nil {
		w.Fatal(err)
	}
	choice, err := suite.Select(ike, ike.Offer(nil), suite.GatewayOrder)
	if err != nil {
		w.Fatal(err)
	}
	p := &peer{
		world: w, from: netip.MustParseAddrPort("198.51.100.200:500"), to: netip.AddrPortFrom(gatewayV4, 500),
		spii: message.SPI{1, 2, 3, 4, 5, 6, 7, byte(len(w.peers) + 1)}, ni: bytes.Repeat([]byte{9}, 32),
		idi: fqdn("alice.example.org"), eap: mschapv2.NewClient("alice", []byte("wonderland"), w.octets),
		extensions: []message.Payload{status(message.IKEv2FragmentationSupported, nil)}, childSPI: []byte{0xc0, 0, 0, 1},
	}
	if p.suite, err = choice.IKE(); err != nil {
		w.Fatal(err)
	}
	if p.esp, err = suite.ParseProposals(message.ProtocolESP, "aes256-sha256-noesn"); err != nil {
		w.Fatal(err)
	}
	p.asks = []message.Payload{configRequest(message.InternalIP4Address, message.InternalIP6Address, message.InternalIP4DNS, message.InternalIP6DNS)}
	w.peers = append(w.peers, p)
	return p
}

func configRequest(ts ...message.CPAttributeType) *message.CP {
	cp := &message.CP{Kind: message.CPRequest}
	for _, t := range ts {
		cp.Attributes = append(cp.Attributes, message.CPAttribute{Type: t})
	}
	return cp
}

// raw puts octets on the wire and gives the datagrams that come back.
func (p *peer) raw(data []byte) [][]byte {
	p.heard = nil
	p.deliver(true, datagram(p, data))
	p.run(time.Second, nil)
	return p.heard
}

// datagram is what the gateway receives from the peer.
func datagram(p *peer, data []byte) transport.Datagram {
	return transport.Datagram{Data: bytes.Clone(data), Local: p.to, Remote: p.from}
}

// initMessage is an IKE_SA_INIT request.
func (p *peer) initMessage(proposals []message.Proposal, ke *message.KE, more ...message.Payload) []byte {
	m := message.Message{
		Header: message.Header{InitiatorSPI: p.spii, Version: message.Version2, Exchange: message.ExchangeSAInit, Flags: message.FlagInitiator},
	}
	self := p.from
	if p.self.IsValid() {
		self = p.self
	}
	source, destination := exchange.NATHash(p.spii, message.SPI{}, self), exchange.NATHash(p.spii, message.SPI{}, p.to)
	m.Payloads = append(more, &message.SA{Proposals: proposals}, ke, &message.Nonce{Data: p.ni})
	if !p.noNATT {
		m.Payloads = append(m.Payloads, status(message.NATDetectionSourceIP, source[:]), status(message.NATDetectionDestinationIP, destination[:]))
	}
	m.Payloads = append(m.Payloads, p.extensions...)
	return m.Append(nil)
}

// init runs IKE_SA_INIT and derives the keys.
func (p *peer) init() *peer {
	p.Helper()
	pair, err := p.suite.Group.Generate(p.octets)
	if err != nil {
		p.Fatal(err)
	}
	offer := suite.Proposals{p.suite.Proposal()}.Offer(nil)
	p.initRequest = p.initMessage(offer, &message.KE{Group: uint16(p.suite.Group), Data: pair.Public()})
	answers := p.raw(p.initRequest)
	if len(answers) != 1 {
		p.Fatalf("%d answers to IKE_SA_INIT", len(answers))
	}
	p.initAnswer = answers[0]
	m := p.parse(answers[0])
	ke, nonce := message.Find[*message.KE](m.Payloads), message.Find[*message.Nonce](m.Payloads)
	if ke == nil || nonce == nil {
		p.Fatalf("the answer to IKE_SA_INIT is %v", m.Payloads)
	}
	shared, err := pair.Shared(ke.Data)
	if err != nil {
		p.Fatal(err)
	}
	p.spir, p.nr = m.Header.ResponderSPI, nonce.Data
	p.use(p.suite.Derive(shared, p.ni, p.nr, p.spii, p.spir))
	p.id = 1
	return p
}

func (p *peer) use(keys suite.IKEKeys) {
	p.Helper()
	var err error
	if p.protection, err = exchange.NewProtection(p.suite, keys, !p.respondent); err != nil {
		p.Fatal(err)
	}
	p.keys = keys
}

func (p *peer) parse(data []byte) *message.Message {
	p.Helper()
	m, err := message.Parse(data)
	if err != nil {
		p.Fatal(err)
	}
	return m
}

// seal protects a message of ours in one piece.
func (p *peer) seal(x message.ExchangeType, flags message.Flags, id uint32, ps []message.Payload, limit int) [][]byte {
	p.Helper()
	if !p.respondent {
		flags |= message.FlagInitiator
	}
	ds, err := p.protection.Seal(message.Header{
		InitiatorSPI: p.spii, ResponderSPI: p.spir, Version: message.Version2, Exchange: x, Flags: flags, MessageID: id,
	}, ps, limit, p.octets)
	if err != nil {
		p.Fatal(err)
	}
	return ds
}

// request sends the next request and gives the payloads of the answer; nil
// if there is none. The message id moves only with an answer.
func (p *peer) request(x message.ExchangeType, ps ...message.Payload) []message.Payload {
	p.Helper()
	var answer []message.Payload
	for _, d := range p.seal(x, 0, p.id, ps, 0) {
		answer = p.open(p.raw(d), message.FlagResponse, p.id)
	}
	for _, d := range p.heard {
		if got := p.parse(d).Header.Exchange; got != x {
			p.Errorf("%s is answered with %s", x, got)
		}
	}
	if answer != nil {
		p.id++
	}
	return answer
}

// open reads the one message that came: its payloads, not nil.
func (p *peer) open(datagrams [][]byte, flags message.Flags, id uint32) []message.Payload {
	p.Helper()
	var fragments exchange.Reassembler
	for _, d := range datagrams {
		m := p.parse(d)
		if p.respondent {
			m.Header.Flags &^= message.FlagInitiator
		}
		if m.Header.Flags != flags || m.Header.MessageID != id {
			p.Fatalf("header %+v, expected flags %#x and message id %d", m.Header, flags, id)
		}
		first, plaintext, err := p.protection.Open(m, d)
		if err != nil {
			p.Fatal(err)
		}
		if f := exchange.FragmentOf(m); f != nil {
			if first, plaintext, err = fragments.Add(p.now, id, f, plaintext); err != nil {
				p.Fatal(err)
			}
			if plaintext == nil {
				continue
			}
		}
		ps, err := message.ParsePayloads(first, plaintext)
		if err != nil {
			p.Fatal(err)
		}
		if body := exchange.PayloadBody(first, plaintext, message.TypeIDr); body != nil {
			p.idrBody = body
		}
		return ps
	}
	return nil
}

// child asks for a Child SA between everything and everything.
func (p *peer) child() []message.Payload {
	return []message.Payload{
		&message.SA{Proposals: p.esp.Offer(p.childSPI)},
		&message.TS{Selectors: everything()}, &message.TS{Responder: true, Selectors: everything()},
	}
}

func everything() []message.Selector {
	return []message.Selector{message.SelectorOf(netip.MustParsePrefix("0.0.0.0/0")), message.SelectorOf(netip.MustParsePrefix("::/0"))}
}

// identify sends the first IKE_AUTH and gives the answer, which holds the
// first EAP packet.
func (p *peer) identify() []message.Payload {
	p.Helper()
	p.from = netip.AddrPortFrom(p.from.Addr(), 4500)
	p.to = netip.AddrPortFrom(p.to.Addr(), 4500)
	ps := append([]message.Payload{p.idi}, append(p.asks, p.child()...)...)
	answer := p.request(message.ExchangeAuth, ps...)
	p.hear(answer)
	return answer
}

func (p *peer) hear(answer []message.Payload) {
	if e := message.Find[*message.EAP](answer); e != nil {
		p.challenge = e.Packet
	}
}

// answerEAP answers the gateway's last EAP packet.
func (p *peer) answerEAP() []message.Payload {
	p.Helper()
	response, err := p.eap.Respond(p.challenge)
	if err != nil {
		p.Fatal(err)
	}
	answer := p.request(message.ExchangeAuth, &message.EAP{Packet: response})
	p.hear(answer)
	return answer
}

// throughEAP runs the whole conversation to EAP-Success.
func (p *peer) throughEAP() *peer {
	p.Helper()
	p.identify()
	for range 3 {
		p.answerEAP()
	}
	if _, err := p.eap.Respond(p.challenge); err != nil || !p.eap.Done() {
		p.Fatalf("EAP did not succeed: %v", err)
	}
	return p
}

// proof is our AUTH over the master session key.
func (p *peer) proof() *message.Auth { return p.proofOver(p.eap.MSK()) }

func (p *peer) proofOver(msk []byte) *message.Auth {
	prf := p.suite.PRF
	octets := suite.SignedOctets(prf, p.initRequest, p.nr, p.keys.Pi, p.idi.AppendBody(nil))
	return &message.Auth{Method: message.AuthSharedKey, Data: prf.SharedKeyAuth(msk, octets)}
}

// prove sends it and gives the last answer of the login.
func (p *peer) prove() []message.Payload {
	p.Helper()
	return p.request(message.ExchangeAuth, p.proof())
}

// establish is the whole login.
func (p *peer) establish() *peer {
	p.Helper()
	answer := p.init().throughEAP().prove()
	if message.Find[*message.Auth](answer) == nil || message.FindTS(answer, false) == nil {
		p.Fatalf("the last answer of the login is %v", answer)
	}
	p.heard = nil
	return p
}

// sa is the gateway's end.
func (p *peer) sa() *SA {
	p.Helper()
	sa := p.gateway.reg.sas[p.spir]
	if p.respondent {
		sa = p.gateway.reg.sas[p.spii]
	}
	if sa == nil {
		p.Fatal("the gateway has no such SA")
	}
	return sa
}

// wantState checks where the gateway's end stands.
func (p *peer) wantState(why string, want State) {
	p.Helper()
	if got := p.sa().State(); got != want {
		p.Errorf("%s: state %s, expected %s", why, got, want)
	}
}

// wantNotify checks that an answer holds this notification.
func wantNotify(t testing.TB, why string, answer []message.Payload, kind message.NotifyType) *message.Notify {
	t.Helper()
	n := message.FindNotify(answer, kind)
	if n == nil {
		t.Fatalf("%s: the answer %s lacks %s", why, describe(answer), kind)
	}
	return n
}

func describe(ps []message.Payload) string {
	var b bytes.Buffer
	for _, p := range ps {
		b.WriteString(p.Type().String())
		if n, ok := p.(*message.Notify); ok {
			b.WriteString("(" + n.Kind.String() + ")")
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// outSPI is a Child SA's SPI as the client knows it.
func spiOctets(spi uint32) []byte { return binary.BigEndian.AppendUint32(nil, spi) }
