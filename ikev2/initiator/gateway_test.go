package initiator

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

const (
	testUser     = "alice"
	testPassword = "correct horse"
	testName     = "vpn.example.org"
)

// testChain is a root, an intermediate and a server certificate for testName,
// valid around epoch.
type testChain struct {
	root, issuing, leaf *x509.Certificate
	key                 *ecdsa.PrivateKey
	rsaLeaf             *x509.Certificate // for clients that take no other
	rsaKey              *rsa.PrivateKey
}

var chain = sync.OnceValue(func() testChain {
	var c testChain
	rootKey, issuingKey, leafKey := newKey(), newKey(), newKey()
	authority := func(name string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	}
	root, issuing := authority("root"), authority("issuing")
	c.root = sign(root, root, rootKey, rootKey)
	c.issuing = sign(issuing, c.root, issuingKey, rootKey)
	leaf := x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{testName}}
	rsaLeaf := leaf
	c.leaf = sign(&leaf, c.issuing, leafKey, issuingKey)
	c.key = leafKey
	var err error
	if c.rsaKey, err = rsa.GenerateKey(crand.Reader, 2048); err != nil {
		panic(err)
	}
	c.rsaLeaf = sign(&rsaLeaf, c.issuing, c.rsaKey, issuingKey)
	return c
})

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func sign(template, by *x509.Certificate, key crypto.Signer, byKey *ecdsa.PrivateKey) *x509.Certificate {
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), epoch.Add(-time.Hour), epoch.Add(time.Hour)
	der, err := x509.CreateCertificate(crand.Reader, template, by, key.Public(), byKey)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return c
}

func (c testChain) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.root)
	return p
}

// users is a store of one user.
type users struct{}

func (users) Lookup(_ context.Context, name string) (auth.Account, bool, error) {
	return auth.Account{Hash: auth.HashPassword([]byte(testPassword)), Grant: auth.Grant{Name: testUser}}, name == testUser, nil
}

// gateway is a scripted responder: it does what RFC 7296 says until a hook
// makes it do otherwise.
type gateway struct {
	t     testing.TB
	rand  io.Reader
	ike   suite.Proposals
	esp   suite.Proposals
	limit int // of its fragments
	// ownEAP leaves all of EAP but its first packet to onEAP.
	ownEAP bool
	rsa    bool // it has an RSA certificate, else one with ECDSA
	pss    bool // it signs with RSASSA-PSS

	onInit     func(request *message.Message) *message.Message           // replaces the IKE_SA_INIT answer unless nil
	onAuth     func(answer []message.Payload) []message.Payload          // alters the first IKE_AUTH answer
	onEAP      func(answer []message.Payload) []message.Payload          // alters those that carry EAP alone
	onResponse func(packet []byte)                                       // sees the client's EAP packets
	onFinal    func(answer []message.Payload) []message.Payload          // alters the last one
	onChild    func(request, answer []message.Payload) []message.Payload // alters CREATE_CHILD_SA answers
	forge      func(idr *message.ID, nonce []byte) (*message.ID, []byte) // what it signs instead

	sessions     []*gatewaySA
	asked        []message.Header // of the requests it took, in order
	conversation auth.Conversation
	inits        int
	initRequest  []byte
	initAnswer   []byte
	ni, nr       []byte
	idi          []byte
	idr          *message.ID
	offered      []message.Proposal // of the first Child SA
	announced    []suite.HashAlgorithm
	msk          auth.Secret
}

// gatewaySA is the gateway's end of one IKE SA.
type gatewaySA struct {
	spii, spir message.SPI
	initiator  bool
	suite      suite.IKE
	keys       suite.IKEKeys
	protection *exchange.Protection
	nextID     uint32 // of its own requests
	cached     map[uint32][][]byte
	joiner     exchange.Reassembler
	answered   [][]message.Payload // what the client answered
}

func newGateway(t testing.TB, seed uint64) *gateway {
	t.Helper()
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return &gateway{
		t: t, rand: rand.NewChaCha8(key),
		ike: parse(t, message.ProtocolIKE, "aes128gcm16-prfsha256-x25519,aes256-sha256-modp2048"),
		esp: parse(t, message.ProtocolESP, "aes128gcm16,aes256-sha256"),
	}
}

func parse(t testing.TB, p message.Protocol, s string) suite.Proposals {
	t.Helper()
	ps, err := suite.ParseProposals(p, s)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func (g *gateway) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) octets(n int) []byte {
	b := make([]byte, n)
	_, err := io.ReadFull(g.rand, b)
	g.must(err)
	return b
}

// take handles one datagram of the client and gives the answer's datagrams.
func (g *gateway) take(data []byte) [][]byte {
	g.t.Helper()
	m, err := message.Parse(data)
	g.must(err)
	if m.Header.Exchange == message.ExchangeSAInit {
		return g.init(m, data)
	}
	for _, sa := range g.sessions {
		if sa.spii == m.Header.InitiatorSPI && sa.spir == m.Header.ResponderSPI {
			return g.protected(sa, m, data)
		}
	}
	g.t.Fatalf("message for unknown SPIs %s/%s", m.Header.InitiatorSPI, m.Header.ResponderSPI)
	return nil
}

func (g *gateway) init(m *message.Message, data []byte) [][]byte {
	g.t.Helper()
	g.inits++
	if g.onInit != nil {
		if answer := g.onInit(m); answer != nil {
			return [][]byte{answer.Append(nil)}
		}
	}
	if bytes.Equal(data, g.initRequest) {
		return [][]byte{g.initAnswer}
	}
	ke, nonce := message.Find[*message.KE](m.Payloads), message.Find[*message.Nonce](m.Payloads)
	choice, err := suite.SelectFor(g.ike, message.Find[*message.SA](m.Payloads).Proposals, suite.GatewayOrder, suite.Group(ke.Group))
	answer := &message.Message{Header: message.Header{
		InitiatorSPI: m.Header.InitiatorSPI, Version: message.Version2, Exchange: message.ExchangeSAInit, Flags: message.FlagResponse,
	}}
	switch {
	case err != nil:
		answer.Payloads = notification(message.NoProposalChosen, nil)
		return [][]byte{answer.Append(nil)}
	case uint16(choice.Group()) != ke.Group:
		answer.Payloads = notification(message.InvalidKEPayload, binary.BigEndian.AppendUint16(nil, uint16(choice.Group())))
		return [][]byte{answer.Append(nil)}
	}
	pair, err := choice.Group().Generate(g.rand)
	g.must(err)
	shared, err := pair.Shared(ke.Data)
	g.must(err)
	g.ni, g.nr = nonce.Data, g.octets(32)
	if n := message.FindNotify(m.Payloads, message.SignatureHashAlgorithms); n != nil {
		g.announced = suite.ParseHashAlgorithms(n.Data)
	}
	answer.Header.ResponderSPI = message.SPI(g.octets(8))
	answer.Payloads = []message.Payload{
		&message.SA{Proposals: []message.Proposal{choice.Answer(nil)}},
		&message.KE{Group: ke.Group, Data: pair.Public()}, &message.Nonce{Data: g.nr},
		&message.Notify{Kind: message.IKEv2FragmentationSupported},
	}
	g.initRequest, g.initAnswer = bytes.Clone(data), answer.Append(nil)
	algorithms, err := choice.IKE()
	g.must(err)
	keys := algorithms.Derive(shared, g.ni, g.nr, m.Header.InitiatorSPI, answer.Header.ResponderSPI)
	g.sessions = []*gatewaySA{g.newSA(algorithms, keys, m.Header.InitiatorSPI, answer.Header.ResponderSPI, false)}
	return [][]byte{g.initAnswer}
}

func (g *gateway) newSA(s suite.IKE, keys suite.IKEKeys, spii, spir message.SPI, initiator bool) *gatewaySA {
	g.t.Helper()
	protection, err := exchange.NewProtection(s, keys, initiator)
	g.must(err)
	return &gatewaySA{spii: spii, spir: spir, initiator: initiator, suite: s, keys: keys, protection: protection, cached: map[uint32][][]byte{}}
}

// latest is the newest IKE SA.
func (g *gateway) latest() *gatewaySA { return g.sessions[len(g.sessions)-1] }

func (sa *gatewaySA) header(x message.ExchangeType, id uint32, flags message.Flags) message.Header {
	if sa.initiator {
		flags |= message.FlagInitiator
	}
	return message.Header{InitiatorSPI: sa.spii, ResponderSPI: sa.spir, Version: message.Version2, Exchange: x, Flags: flags, MessageID: id}
}

func (g *gateway) protected(sa *gatewaySA, m *message.Message, data []byte) [][]byte {
	g.t.Helper()
	h := m.Header
	if again, ok := sa.cached[h.MessageID]; ok && !h.IsResponse() {
		return again
	}
	first, plaintext, err := sa.protection.Open(m, data)
	g.must(err)
	if f := exchange.FragmentOf(m); f != nil {
		if first, plaintext, err = sa.joiner.Add(epoch, h.MessageID, f, plaintext); plaintext == nil {
			return nil
		}
	}
	g.must(err)
	ps, err := message.ParsePayloads(first, plaintext)
	g.must(err)
	if h.IsResponse() {
		sa.answered = append(sa.answered, ps)
		return nil
	}
	g.asked = append(g.asked, h)
	sealed, err := sa.protection.Seal(sa.header(h.Exchange, h.MessageID, message.FlagResponse), g.respond(sa, h, ps), g.limit, g.rand)
	g.must(err)
	sa.cached[h.MessageID] = sealed
	return sealed
}

// request is a request of the gateway's own.
func (g *gateway) request(sa *gatewaySA, x message.ExchangeType, ps ...message.Payload) [][]byte {
	g.t.Helper()
	sealed, err := sa.protection.Seal(sa.header(x, sa.nextID, 0), ps, 0, g.rand)
	g.must(err)
	sa.nextID++
	return sealed
}

func (g *gateway) respond(sa *gatewaySA, h message.Header, ps []message.Payload) []message.Payload {
	g.t.Helper()
	alter := func(hook func([]message.Payload) []message.Payload, ps []message.Payload) []message.Payload {
		if hook != nil {
			return hook(ps)
		}
		return ps
	}
	switch {
	case h.Exchange == message.ExchangeAuth && message.FindID(ps, false) != nil:
		return alter(g.onAuth, g.firstAuth(sa, ps))
	case h.Exchange == message.ExchangeAuth && message.Find[*message.EAP](ps) != nil:
		return alter(g.onEAP, g.eap(message.Find[*message.EAP](ps).Packet))
	case h.Exchange == message.ExchangeAuth:
		return alter(g.onFinal, g.final(sa, ps))
	case h.Exchange == message.ExchangeCreateChildSA:
		answer := g.createChild(sa, ps)
		if g.onChild != nil {
			return g.onChild(ps, answer)
		}
		return answer
	}
	return nil
}

func (g *gateway) firstAuth(sa *gatewaySA, ps []message.Payload) []message.Payload {
	g.t.Helper()
	g.idi = message.FindID(ps, false).AppendBody(nil)
	g.idr = &message.ID{Responder: true, Kind: message.IDFQDN, Data: []byte(testName)}
	g.offered = message.Find[*message.SA](ps).Proposals
	var err error
	g.conversation, err = mschapv2.NewBackend(mschapv2.NewHashVerifier(users{}), mschapv2.Options{Rand: g.rand}).Begin(context.Background(), auth.Peer{})
	g.must(err)
	idr, nonce := g.idr, g.ni
	if g.forge != nil {
		idr, nonce = g.forge(idr, nonce)
	}
	c := chain()
	leaf, key := c.leaf, crypto.Signer(c.key)
	if g.rsa {
		leaf, key = c.rsaLeaf, c.rsaKey
	}
	scheme, err := suite.ChooseScheme(key.Public(), g.announced)
	g.must(err)
	if g.pss {
		scheme = scheme.WithPSS()
	}
	octets := suite.SignedOctets(sa.suite.PRF, g.initAnswer, nonce, sa.keys.Pr, g.idr.AppendBody(nil))
	sig, err := scheme.Sign(g.rand, key, octets)
	g.must(err)
	return append([]message.Payload{
		idr, &message.Cert{Encoding: message.CertX509Signature, Data: leaf.Raw},
		&message.Cert{Encoding: message.CertX509Signature, Data: c.issuing.Raw}, sig,
	}, g.eap(nil)...)
}

func (g *gateway) eap(response []byte) []message.Payload {
	g.t.Helper()
	if g.onResponse != nil && response != nil {
		g.onResponse(response)
	}
	if g.ownEAP && response != nil {
		return nil
	}
	step, err := g.conversation.Next(context.Background(), response)
	g.must(err)
	if step.Verdict == auth.Accept {
		g.msk = step.Grant.MSK
	}
	return []message.Payload{&message.EAP{Packet: step.Packet}}
}

func (g *gateway) final(sa *gatewaySA, ps []message.Payload) []message.Payload {
	g.t.Helper()
	prf := sa.suite.PRF
	mac := message.Find[*message.Auth](ps)
	if want := prf.SharedKeyAuth(suite.Secret(g.msk), suite.SignedOctets(prf, g.initRequest, g.nr, sa.keys.Pi, g.idi)); !bytes.Equal(mac.Data, want) {
		g.t.Error("the client's AUTH over the MSK is wrong")
	}
	ours := prf.SharedKeyAuth(suite.Secret(g.msk), suite.SignedOctets(prf, g.initAnswer, g.ni, sa.keys.Pr, g.idr.AppendBody(nil)))
	choice, err := suite.SelectFirstChild(g.esp, g.offered, suite.GatewayOrder)
	if err != nil {
		return []message.Payload{&message.Auth{Method: message.AuthSharedKey, Data: ours}, &message.Notify{Kind: message.NoProposalChosen}}
	}
	inner := message.SelectorOf(netip.MustParsePrefix("192.0.2.1/32"))
	return []message.Payload{
		&message.Auth{Method: message.AuthSharedKey, Data: ours},
		&message.CP{Kind: message.CPReply, Attributes: []message.CPAttribute{
			{Type: message.InternalIP4Address, Value: []byte{192, 0, 2, 1}}, {Type: message.InternalIP4DNS, Value: []byte{192, 0, 2, 200}},
		}},
		&message.SA{Proposals: []message.Proposal{choice.Answer(g.octets(4))}},
		&message.TS{Selectors: []message.Selector{inner}},
		&message.TS{Responder: true, Selectors: everything()[:1]},
	}
}

// createChild answers the client's rekeys.
func (g *gateway) createChild(sa *gatewaySA, ps []message.Payload) []message.Payload {
	g.t.Helper()
	offer, ke, nonce := message.Find[*message.SA](ps).Proposals[0], message.Find[*message.KE](ps), message.Find[*message.Nonce](ps)
	ours := g.octets(32)
	answer := []message.Payload{&message.SA{Proposals: []message.Proposal{offer}}, &message.Nonce{Data: ours}}
	var shared suite.Secret
	if ke != nil {
		pair, err := suite.Group(ke.Group).Generate(g.rand)
		g.must(err)
		shared, err = pair.Shared(ke.Data)
		g.must(err)
		answer = append(answer, &message.KE{Group: ke.Group, Data: pair.Public()})
	}
	if offer.Protocol == message.ProtocolIKE {
		spir := message.SPI(g.octets(8))
		answer[0].(*message.SA).Proposals[0].SPI = spir[:]
		keys := sa.suite.DeriveRekey(sa.suite.PRF, sa.keys.D, shared, nonce.Data, ours, message.SPI(offer.SPI), spir)
		g.sessions = append(g.sessions, g.newSA(sa.suite, keys, message.SPI(offer.SPI), spir, false))
		return answer
	}
	answer[0].(*message.SA).Proposals[0].SPI = g.octets(4)
	return append(answer, message.FindTS(ps, false), message.FindTS(ps, true))
}
