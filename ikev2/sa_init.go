package ikev2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
)

// nonceLen is the length of our nonces: at least half the longest PRF's key
// (RFC 7296 §2.10).
const nonceLen = 32

// initRequest is an IKE_SA_INIT request that was understood.
type initRequest struct {
	*message.Message
	ke     *message.KE
	nonce  []byte
	client client
	choice suite.Choice
}

// readInit understands an IKE_SA_INIT request without keeping anything. The
// error is a *PeerFault; with errWrongGroup the choice is good but for the
// group, which the client must be told.
func (s *settings) readInit(m *message.Message) (initRequest, error) {
	sa, ke := message.Find[*message.SA](m.Payloads), message.Find[*message.KE](m.Payloads)
	nonce := message.Find[*message.Nonce](m.Payloads)
	if sa == nil || ke == nil || nonce == nil {
		return initRequest{}, syntaxFault("IKE_SA_INIT without SA, KE or Nonce payload (RFC 7296 §1.2)")
	}
	if kind, found := message.UnsupportedCritical(m.Payloads); found {
		return initRequest{}, &PeerFault{Cause: CauseCriticalPayload, data: []byte{byte(kind)}, Evidence: []auth.Evidence{{Key: "payload", Value: kind.String()}}}
	}
	kind := recognise(m.Payloads)
	if err := s.numbered(sa.Proposals); err != nil {
		return initRequest{}, err
	}
	choice, err := suite.SelectFor(s.IKE, sa.Proposals, s.orderFor(kind), suite.Group(ke.Group))
	if err != nil {
		return initRequest{}, proposalFault(CauseNoIKEProposal, s.IKE, sa.Proposals, err)
	}
	req := initRequest{Message: m, ke: ke, nonce: nonce.Data, client: kind, choice: choice}
	if choice.Group() != suite.Group(ke.Group) {
		if s.quirksOf(kind).has(QuirkD2) {
			req.choice = s.groupForAll(sa.Proposals, choice)
		}
		return req, errWrongGroup
	}
	return req, nil
}

// errWrongGroup tells that the KE payload is of a group other than the chosen
// one: INVALID_KE_PAYLOAD (RFC 7296 §1.3).
var errWrongGroup = errors.New("ikev2: key exchange of another group than the chosen one")

func proposalFault(c Cause, configured suite.Proposals, offered []message.Proposal, err error) *PeerFault {
	return &PeerFault{Cause: c, Err: err, Evidence: []auth.Evidence{
		{Key: "offered", Value: suite.Describe(offered)},
		{Key: "configured", Value: configured.String()},
	}}
}

// invalidKE is the notification that names the group to come back with.
func invalidKE(g suite.Group) message.Payload {
	return status(message.InvalidKEPayload, binary.BigEndian.AppendUint16(nil, uint16(g)))
}

// newSA makes the SA for an IKE_SA_INIT request that was admitted and starts
// its key exchange.
func newSA(now time.Time, cfg *settings, reg *registrar, d transport.Datagram, req initRequest, out *Outbox) (*SA, error) {
	spir, err := reg.ikeSPI()
	if err != nil {
		return nil, err
	}
	id, err := reg.sessionID()
	if err != nil {
		return nil, err
	}
	nr, err := reg.octets(nonceLen)
	if err != nil {
		return nil, err
	}
	algorithms, err := req.choice.IKE()
	if err != nil {
		return nil, &GatewayFault{Cause: CauseInternal, Err: err}
	}
	sa := &SA{
		cfg: cfg, reg: reg,
		spii: req.Header.InitiatorSPI, spir: spir,
		path: path{d.Local, d.Remote}, asker: path{d.Local, d.Remote},
		suite: algorithms,
		session: &session{
			id: id, begun: now, client: req.client, quirks: cfg.quirksOf(req.client),
		},
		login: &login{
			initRequest: d.Data, ni: req.nonce, nr: nr, choice: req.choice,
			reach: reach{proven: d.Remote.Addr()},
		},
		expires: now.Add(cfg.Timers.HalfOpen),
		timer:   -1,
	}
	sa.nat = sa.natOn(req.Message, sa.path)
	sa.login.initialContact = sa.saysInitialContact(req.Payloads)
	if n := message.FindNotify(req.Payloads, message.SignatureHashAlgorithms); n != nil {
		sa.login.hashes = suite.ParseHashAlgorithms(n.Data)
	}
	sa.fragmentation = message.FindNotify(req.Payloads, message.IKEv2FragmentationSupported) != nil
	sa.responses.Begin()
	reg.count(LoginsBegun)
	sa.noteProposals(out, "IKE", suite.Describe(message.Find[*message.SA](req.Payloads).Proposals), cfg.ikeText, req.choice.String())
	await(sa, out, &keyExchange{job: job{sa}, group: req.choice.Group(), peer: req.ke.Data, opening: true}, (*SA).answerInit)
	return sa, nil
}

// noteProposals logs what was received, configured and chosen, a line each.
func (sa *SA) noteProposals(out *Outbox, protocol, received, configured, chosen string) {
	p := slog.String("protocol", protocol)
	sa.note(out, slog.LevelInfo, "received proposals", p, slog.String("proposals", received))
	sa.note(out, slog.LevelInfo, "configured proposals", p, slog.String("proposals", configured))
	sa.note(out, slog.LevelInfo, "chosen proposal", p, slog.String("proposal", chosen))
}

// answerInit derives the keys and answers IKE_SA_INIT: SAr1, KEr, Nr and the
// extensions the client knows too (RFC 7296 §1.2).
func (sa *SA) answerInit(now time.Time, j *keyExchange, out *Outbox) {
	if j.err != nil {
		sa.refuse(now, j.err, out)
		return
	}
	l := sa.login
	keys := sa.suite.Derive(j.shared, l.ni, l.nr, sa.spii, sa.spir)
	j.shared.Wipe()
	if err := sa.protect(keys); err != nil {
		sa.fail(now, err, out)
		return
	}
	l.pi, l.pr = keys.Pi, keys.Pr
	ps := []message.Payload{
		&message.SA{Proposals: []message.Proposal{l.choice.Answer(nil)}},
		&message.KE{Group: uint16(sa.suite.Group), Data: j.public},
		&message.Nonce{Data: l.nr},
	}
	if sa.nat.supported {
		ps = append(ps, sa.nat.notifies(sa.spii, sa.spir, sa.path.local, sa.path.remote)...)
	}
	if l.hashes != nil {
		ps = append(ps, status(message.SignatureHashAlgorithms, suite.AppendHashAlgorithms(nil, suite.SupportedHashes()...)))
	}
	if sa.fragmentation {
		ps = append(ps, status(message.IKEv2FragmentationSupported, nil))
	}
	if !sa.cfg.NoChildless {
		ps = append(ps, status(message.ChildlessIKEv2Supported, nil))
	}
	m := message.Message{Header: message.Header{
		InitiatorSPI: sa.spii, ResponderSPI: sa.spir, Version: message.Version2,
		Exchange: message.ExchangeSAInit, Flags: message.FlagResponse,
	}, Payloads: ps}
	l.initAnswer = m.Append(nil)
	l.choice = suite.Choice{}
	if !fits(len(l.initAnswer), len(l.initRequest)) {
		sa.reg.count(DropAmplification)
		sa.die(out)
		return
	}
	if err := sa.move(StateAwaitAuth); err != nil {
		sa.fail(now, err, out)
		return
	}
	sa.responses.Answer([][]byte{l.initAnswer})
	send(sa.responses.Last(), sa.asker, out) // fits, see above
}

// protect takes new keys into use.
func (sa *SA) protect(keys suite.IKEKeys) error {
	p, err := exchange.NewProtection(sa.suite, keys, sa.initiator)
	if err != nil {
		return &GatewayFault{Cause: CauseInternal, Err: err}
	}
	sa.protection, sa.d = p, keys.D
	return nil
}

// repeatInit sends the answer to IKE_SA_INIT again for the very same request
// while the login is under way (RFC 7296 §2.1).
func (sa *SA) repeatInit(d transport.Datagram, out *Outbox) {
	if sa.login == nil || sa.login.initAnswer == nil || !bytes.Equal(sa.login.initRequest, d.Data) {
		sa.reg.count(DropInProgress)
		return
	}
	sa.login.seen.initRepeats++
	sa.reg.count(Retransmitted)
	send([][]byte{sa.login.initAnswer}, path{d.Local, d.Remote}, out)
}
