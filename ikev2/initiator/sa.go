package initiator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
)

// SA is the client's end of one login and of what comes after it, rekeys
// included. One goroutine at a time may use it.
type SA struct {
	cfg   Config
	state state
	proof proof

	endpoints Endpoints
	natt      bool // IKE runs over port 4500
	natLocal  bool // a NAT was detected in front of this end
	natRemote bool // and in front of the gateway
	fragments bool // the gateway takes fragments (RFC 7383)

	login    *login        // nil once established
	ike      *generation   // the IKE SA in use; nil until IKE_SA_INIT is answered
	others   []*generation // that it replaced or that are redundant, until they are deleted
	child    *child
	retired  []*child // replaced Child SAs the gateway has to delete
	result   Result
	dropped  error // why the last datagram that was dropped, was
	unsent   error // why the last datagrams could not be sent
	queue    []Command
	command  Command   // being carried out
	keepNext time.Time // the next NAT keepalive
	settled  Endpoints // those agreed with the gateway last
	mobility mobility
	diary    diary
}

// state is how far a login has come. Only advance changes it.
type state uint8

const (
	stateNew         state = iota
	stateInit              // IKE_SA_INIT sent
	stateAuth              // first IKE_AUTH sent
	stateEAP               // answering the EAP method
	stateFinal             // our AUTH over the MSK sent
	stateInstalling        // the data plane has the Child SA
	stateEstablished       // everything is proved
	stateClosed
)

// proof is the evidence that a login has gathered.
type proof uint8

const (
	proofKeys   proof = 1 << iota // a key exchange was done: messages are protected
	proofServer                   // the certificate is good and its key signed the exchange
	proofEAP                      // the method succeeded and gave an MSK
	proofMSK                      // the gateway's AUTH over the MSK is right
)

const (
	proofInstalling = proofKeys | proofServer | proofEAP | proofMSK
)

// needs is the evidence without which a state must not be reached.
var needs = [...]proof{
	stateAuth:        proofKeys,
	stateEAP:         proofKeys | proofServer,
	stateFinal:       proofKeys | proofServer | proofEAP,
	stateInstalling:  proofInstalling,
	stateEstablished: proofInstalling,
	stateClosed:      0,
}

// advance is the only way from state to state. A move without its evidence is
// a fault of this package, and refused.
func (sa *SA) advance(to state) error {
	if missing := needs[to] &^ sa.proof; missing != 0 || to < sa.state {
		return &LocalError{at{sa.step()}, fmt.Errorf("ikev2: refused to move from state %d to %d, evidence %04b is missing", sa.state, to, missing)}
	}
	sa.state = to
	return nil
}

// NewSA makes an SA that waits for Start. The error is a *LocalError.
func NewSA(cfg Config) (*SA, error) {
	cfg = cfg.withDefaults()
	if len(cfg.ikeProposals()) == 0 || len(cfg.espProposals()) == 0 {
		return nil, &LocalError{at{StepInit}, errors.New("ikev2: no proposals configured; name at least one for IKE and one for ESP")}
	}
	return &SA{cfg: cfg}, nil
}

// generation is one IKE SA: a rekey begins another (RFC 7296 §2.18).
type generation struct {
	spii, spir message.SPI
	initiator  bool  // we are its original initiator
	number     uint8 // of the proposal that was chosen in IKE_SA_INIT
	suite      suite.IKE
	keys       suite.IKEKeys // protection uses them: wiped when the IKE SA ends
	protection *exchange.Protection

	requests    exchange.Requests
	responses   exchange.Responses
	inRequests  exchange.Reassembler
	inResponses exchange.Reassembler
	task        task
	firstSent   time.Time // of the outstanding request
	contends    bool      // made by the gateway while our rekey of the same IKE SA is under way
	until       time.Time // when it is forgotten if nobody deletes it; zero while in use
	heard       bool      // the gateway has used it
}

// task is an exchange of ours that waits for its answer. Each exchange has
// one, beside the code that builds its request.
type task interface {
	step() Step
	// answer acts on the gateway's answer. An error ends the SA.
	answer(sa *SA, now time.Time, r response, out *Outbox) error
}

// response is an answer with verified integrity.
type response struct {
	header    message.Header
	payloads  []message.Payload
	first     message.PayloadType
	plaintext []byte // what payloads were parsed from
}

// Handle takes one event. now never goes back.
func (sa *SA) Handle(now time.Time, ev Event, out *Outbox) {
	if sa.state != stateClosed {
		err := sa.dispatch(now, ev, out)
		if err == nil {
			err = sa.follow(now, out)
		}
		if err != nil {
			sa.fail(now, err, out)
		} else {
			sa.runQueue(now, out)
		}
	} else if c, ok := ev.(Command); ok {
		out.Notices = append(out.Notices, Done{c, &LocalError{at{c.step()}, errors.New("the IKE SA has ended; log in again")}})
	}
	out.Deadline = sa.deadline()
}

func (sa *SA) dispatch(now time.Time, ev Event, out *Outbox) error {
	switch ev := ev.(type) {
	case Start:
		if sa.state != stateNew {
			return nil
		}
		sa.endpoints, sa.settled = ev.Endpoints, ev.Endpoints
		return sa.startLogin(now, out)
	case Datagram:
		return sa.receive(now, ev.Data, out)
	case Tick:
		return sa.tick(now, out)
	case Unsent:
		sa.unsent = ev.Err
	case Installed:
		return sa.installed(now, ev, out)
	case Traffic:
		sa.diary.note(ev)
	case Move:
		_ = sa.relocate(now, ev, out) // tried again, and its fault told, in its turn
		sa.queue = append(sa.queue, ev)
	case Command:
		sa.queue = append(sa.queue, ev)
	}
	return nil
}

// runQueue begins the next command if nothing else is under way.
func (sa *SA) runQueue(now time.Time, out *Outbox) {
	for sa.state == stateEstablished && sa.command == nil && len(sa.queue) > 0 && !sa.ike.requests.Outstanding() {
		next := 0
		if g := sa.shared(); g != sa.ike {
			// All but a move has time until the gateway shows that it has our
			// answer to its rekey.
			next = slices.IndexFunc(sa.queue, func(c Command) bool { _, moves := c.(Move); return moves })
			if next < 0 || g.requests.Outstanding() {
				return
			}
		}
		c := sa.queue[next]
		sa.queue = slices.Delete(sa.queue, next, next+1)
		sa.carryOut(now, c, out)
	}
}

// carryOut begins a command; nothing else may be under way.
func (sa *SA) carryOut(now time.Time, command Command, out *Outbox) {
	sa.command = command
	if h, ok := command.(habitual); ok {
		command = h.Command
	}
	var err error
	switch c := command.(type) {
	case RekeyChild:
		err = sa.rekeyChild(now, c.KE, out)
	case RekeyIKE:
		err = sa.rekeyIKE(now, out)
	case Liveness:
		err = sa.request(now, sa.ike, message.ExchangeInformational, nil, livenessTask{}, out)
	case Delete:
		err = sa.requestDelete(now, out)
	case Move:
		err = sa.updateAddresses(now, c, out)
	}
	if err != nil {
		sa.done(err, out)
	}
}

// done ends the command under way.
func (sa *SA) done(err error, out *Outbox) {
	switch sa.command.(type) {
	case nil:
	case habitual:
		sa.diary.refused = err
	default:
		out.Notices = append(out.Notices, Done{sa.command, err})
	}
	sa.command = nil
}

// step names what is under way.
func (sa *SA) step() Step {
	switch {
	case sa.login != nil:
		return sa.login.step
	case sa.ike != nil && sa.ike.task != nil:
		return sa.ike.task.step()
	case sa.command != nil:
		return sa.command.step()
	}
	return StepLiveness
}

// fail ends the SA because of err, telling the gateway where that helps it.
func (sa *SA) fail(now time.Time, err error, out *Outbox) {
	var failure Failure
	if !errors.As(err, &failure) {
		err = &LocalError{at{sa.step()}, err}
	}
	sa.leave(now, err, out)
	sa.close(err, out)
}

// close forgets everything and tells so.
func (sa *SA) close(err error, out *Outbox) {
	for _, c := range append(sa.retired, sa.child) {
		if c != nil && c.installed {
			out.Plane = append(out.Plane, Change{Kind: RemoveChild, Old: c.esp.ID, Child: c.esp})
		}
	}
	sa.done(err, out)
	for _, c := range sa.queue {
		out.Notices = append(out.Notices, Done{c, err})
	}
	for _, g := range sa.generations() {
		g.keys.Wipe()
		out.Notices = append(out.Notices, Unbound{g.ownSPI()})
	}
	if sa.login != nil {
		sa.login.wipe()
		if sa.ike == nil {
			out.Notices = append(out.Notices, Unbound{sa.login.spi})
		}
	}
	sa.queue, sa.login, sa.ike, sa.others, sa.child, sa.retired = nil, nil, nil, nil, nil, nil
	sa.state = stateClosed
	out.Notices = append(out.Notices, Closed{err})
}

// generations are all IKE SAs that there are, the one in use first.
func (sa *SA) generations() []*generation {
	if sa.ike == nil {
		return nil
	}
	return append([]*generation{sa.ike}, sa.others...)
}

// ownSPI is this end's SPI, by which the gateway's messages find the SA.
func (g *generation) ownSPI() message.SPI {
	if g.initiator {
		return g.spii
	}
	return g.spir
}

func (g *generation) header(x message.ExchangeType, id uint32, response bool) message.Header {
	h := message.Header{InitiatorSPI: g.spii, ResponderSPI: g.spir, Version: message.Version2, Exchange: x, MessageID: id}
	if g.initiator {
		h.Flags |= message.FlagInitiator
	}
	if response {
		h.Flags |= message.FlagResponse
	}
	return h
}

// request seals and sends a request of ours, which t waits for.
func (sa *SA) request(now time.Time, g *generation, x message.ExchangeType, ps []message.Payload, t task, out *Outbox) error {
	datagrams, err := g.protection.Seal(g.header(x, g.requests.NextID(), false), ps, sa.fragmentLimit(), sa.cfg.Rand)
	if err != nil {
		return &LocalError{at{t.step()}, err}
	}
	g.task, g.firstSent = t, now
	g.requests.Begin(now, datagrams, sa.cfg.Retransmit, sa.cfg.Rand)
	sa.send(datagrams, out)
	return nil
}

func (sa *SA) fragmentLimit() int {
	if sa.fragments {
		return sa.cfg.Profile.fragmentSize()
	}
	return 0
}

func (sa *SA) send(datagrams [][]byte, out *Outbox) {
	sa.unsent = nil
	local, remote := sa.path()
	for _, d := range datagrams {
		out.Send = append(out.Send, transport.Datagram{Data: d, Local: local, Remote: remote})
	}
}

// path is where IKE messages run at present.
func (sa *SA) path() (local, remote netip.AddrPort) {
	if sa.natt {
		return sa.endpoints.LocalNATT, sa.endpoints.RemoteNATT
	}
	return sa.endpoints.LocalIKE, sa.endpoints.RemoteIKE
}

// randomSPI is a new SPI of the IKE SA, never zero.
func (sa *SA) randomSPI() (message.SPI, error) {
	var spi message.SPI
	for spi.IsZero() {
		if _, err := io.ReadFull(sa.cfg.Rand, spi[:]); err != nil {
			return spi, fmt.Errorf("ikev2: reading randomness: %w", err)
		}
	}
	return spi, nil
}

func (sa *SA) randomOctets(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(sa.cfg.Rand, b); err != nil {
		return nil, fmt.Errorf("ikev2: reading randomness: %w", err)
	}
	return b, nil
}

// randomChildSPI is a new SPI of a Child SA: up to 255 are reserved (RFC 4303
// §2.1).
func (sa *SA) randomChildSPI() (uint32, error) {
	for {
		b, err := sa.randomOctets(4)
		if err != nil {
			return 0, err
		}
		if spi := binary.BigEndian.Uint32(b); spi > 255 {
			return spi, nil
		}
	}
}
