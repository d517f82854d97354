package ikev2

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
	"bridgehead/ikev2/transport"
)

// SA is the responder's end of one IKE SA. A shard owns it: only that
// goroutine touches it.
type SA struct {
	cfg *settings
	reg *registrar

	state    State
	evidence evidence
	// initiator tells that we are the IKE SA's original initiator: it came of a
	// rekey that we began (RFC 7296 §2.18). Then spii is ours, else spir.
	initiator bool
	spii      message.SPI
	spir      message.SPI
	path      path                 // where the client is reached
	asker     path                 // where the request being answered came from
	asked     message.ExchangeType // its exchange
	nat       natSituation

	suite         suite.IKE
	d             suite.Secret // SK_d (RFC 7296 §2.14)
	protection    *exchange.Protection
	fragmentation bool // both ends support RFC 7383
	responses     exchange.Responses
	requests      exchange.Requests
	fragments     *exchange.Reassembler // of the client's request; nil while there are none

	session  *session // shared with no other SA; handed on by an IKE SA rekey
	heir     *SA      // that it was handed on to, with the Child SAs
	former   *SA      // whose session it may get, if its rekey is the one that counts
	login    *login   // nil once established: all that only a login needs
	children []child
	work     work

	expires  time.Time    // the end of a state that has one
	watch    watch        // of an established SA
	moving   bool         // the data plane is being told of another path
	asking   []ownRequest // the first is outstanding
	own      *rekeying    // begun by the gateway; nil: none
	mobike   bool         // both ends take part in MOBIKE (RFC 4555)
	mobility *mobility    // nil until it is needed

	// The shard's own notes.
	timer   int      // index in the heap of deadlines, -1 if there is none
	entry   *entry   // nil once the login is over
	indexed clientID // under which it is found; zero if it is not
}

// entry is by what a login is known until it is over.
type entry struct {
	key     initKey    // of its IKE_SA_INIT; zero once the gate has let go of it
	counted netip.Addr // among the half-open ones, by this address
}

// path is a pair of outer addresses.
type path struct{ local, remote netip.AddrPort }

// work is the job that the request being answered waits for. A window of one
// request means there is at most one.
type work struct {
	job  Job
	then func(now time.Time, out *Outbox)
}

// await starts a job; then is the step that follows it.
func await[J Job](sa *SA, out *Outbox, j J, then func(*SA, time.Time, J, *Outbox)) {
	sa.work = work{job: j, then: func(now time.Time, out *Outbox) { then(sa, now, j, out) }}
	out.Jobs = append(out.Jobs, j)
}

// Handle tells the SA that something happened. It does no I/O and never
// blocks; what is to be done is in out.
func (sa *SA) Handle(now time.Time, ev Event, out *Outbox) {
	switch ev := ev.(type) {
	case Received:
		sa.receive(now, ev.Datagram, out)
	case Finished:
		sa.finished(now, ev.Job, out)
	case TimerDue:
		sa.due(now, out)
	case Disconnect:
		sa.disconnect(now, ev.Cause, out)
	case Adjust:
		sa.adjust(now, ev, out)
	case Exhausting:
		sa.exhausting(now, ev.Child, out)
	case Lost:
		sa.lost(now, ev.Child, out)
	case Rebound:
		sa.rebound(now, ev, out)
	}
	sa.resumeRekey(now, out)
	if sa.state == StateEstablished {
		sa.protection.Rest()
	}
}

// State tells where the SA stands.
func (sa *SA) State() State { return sa.state }

// Deadline is when the SA wants its next TimerDue; zero means never.
func (sa *SA) Deadline() time.Time {
	next := sa.expires
	for _, t := range [...]time.Time{sa.requests.Deadline(), sa.fragments.Deadline(), sa.watchDeadline(), sa.rekeyDeadline(), sa.heldDeadline()} {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if sa.state == StateDead {
		return time.Time{}
	}
	return next
}

// receive takes one datagram. Until its checksum was verified it changes
// nothing but counters.
func (sa *SA) receive(now time.Time, d transport.Datagram, out *Outbox) {
	m, err := message.Parse(d.Data)
	if err != nil || len(d.Data) > exchange.MaxReassembled { // not in one piece what may not be in several
		sa.reg.count(DropMalformed)
		return
	}
	switch {
	case !sa.isFor(m.Header) || sa.state == StateDead:
		sa.reg.count(DropForeign)
	case m.Header.Exchange == message.ExchangeSAInit:
		sa.repeatInit(d, out)
	case sa.protection == nil:
		sa.reg.count(DropUnprotected)
	default:
		sa.receiveProtected(now, m, d, out)
	}
}

// ownSPI is this end's SPI, by which the client's messages find the SA.
func (sa *SA) ownSPI() message.SPI {
	if sa.initiator {
		return sa.spii
	}
	return sa.spir
}

// isFor tells whether a message claims to come from the SA's other end. The
// responder's SPI is unknown to a client that repeats its IKE_SA_INIT.
func (sa *SA) isFor(h message.Header) bool {
	return h.FromInitiator() != sa.initiator && h.InitiatorSPI == sa.spii &&
		(h.ResponderSPI == sa.spir || h.Exchange == message.ExchangeSAInit)
}

// receiveProtected opens a message and passes it on once it is whole and its
// turn has come.
func (sa *SA) receiveProtected(now time.Time, m *message.Message, d transport.Datagram, out *Outbox) {
	first, plaintext, err := sa.protection.Open(m, d.Data)
	if err != nil {
		sa.observeNotAuthentic()
		if errors.Is(err, exchange.ErrUnprotected) {
			sa.reg.count(DropUnprotected)
		} else {
			sa.reg.count(DropNotAuthentic)
		}
		return
	}
	sa.prove(provedKeys)
	if sa.login != nil {
		fresh := sa.responses.Classify(m.Header.MessageID) == exchange.Fresh
		sa.login.reach.heard(d.Remote.Addr(), len(d.Data), fresh)
	}
	fragment := exchange.FragmentOf(m)
	if !sa.wants(m.Header, fragment, d, out) {
		return
	}
	if fragment != nil {
		first, plaintext, err = sa.joiner(m.Header).Add(now, m.Header.MessageID, fragment, plaintext)
		if err != nil {
			sa.reg.count(DropFragment)
		}
		if plaintext == nil {
			return
		}
	}
	sa.watch.heard = now
	in := inbound{Header: m.Header, first: first, plaintext: plaintext}
	if m.Header.IsResponse() {
		if m := sa.mobility; m != nil {
			m.answered = path{d.Local, d.Remote}
		}
		if sa.requests.Answered(in.MessageID) {
			sa.receiveResponse(now, in, out)
		}
		return
	}
	sa.fragments = nil // of the same request, come in one piece after all
	sa.observeFresh()
	sa.watch.proven()
	sa.follow(now, path{d.Local, d.Remote}, out)
	sa.asked = m.Header.Exchange
	sa.responses.Begin()
	sa.receiveRequest(now, in, out)
}

// joiner joins the fragments of a message: requests of the client and answers
// have message ids of their own.
func (sa *SA) joiner(h message.Header) *exchange.Reassembler {
	if h.IsResponse() {
		return &sa.asking[0].fragments
	}
	if sa.fragments == nil {
		sa.fragments = new(exchange.Reassembler)
	}
	return sa.fragments
}

// wants tells whether an authentic message is the one to act on now. A
// request answered before gets the same answer again (RFC 7296 §2.1), in
// fragments only upon the first of its own (RFC 7383 §2.6.1).
func (sa *SA) wants(h message.Header, f *message.SKF, d transport.Datagram, out *Outbox) bool {
	if f != nil && !sa.fragmentation {
		sa.reg.count(DropFragment)
		return false
	}
	if h.IsResponse() {
		if !sa.requests.Outstanding() || h.MessageID != sa.requests.NextID() {
			sa.reg.count(DropWindow)
			return false
		}
		return true
	}
	switch sa.responses.Classify(h.MessageID) {
	case exchange.Fresh:
		if !sa.admits(h.Exchange) {
			sa.reg.count(DropUnexpected)
			return false
		}
		return true
	case exchange.Repeated:
		sa.observeRepeated()
		if f == nil || f.Number == 1 {
			sa.reg.count(Retransmitted)
			sa.answer(sa.responses.Last(), path{d.Local, d.Remote}, out)
		}
	case exchange.InProgress:
		sa.observeRepeated()
		sa.reg.count(DropInProgress)
	default:
		sa.reg.count(DropWindow)
	}
	return false
}

// admits tells which exchanges have a place in which state. Before the login
// is complete there is only its next message, and a word of farewell: nothing
// else may be created, rekeyed or moved.
func (sa *SA) admits(x message.ExchangeType) bool {
	switch x {
	case message.ExchangeAuth:
		return sa.state == StateAwaitAuth || sa.state == StateAwaitEAP || sa.state == StateAwaitProof
	case message.ExchangeInformational:
		return sa.state != StateKeying && sa.state != StateRefused
	case message.ExchangeCreateChildSA:
		return sa.state == StateEstablished || sa.state == StateReplaced || sa.state == StateClosing
	}
	return false
}

// inbound is a message whose protection was verified and removed.
type inbound struct {
	message.Header
	first     message.PayloadType
	plaintext []byte
	payloads  []message.Payload
}

// receiveRequest parses a fresh request and gives it to its exchange.
func (sa *SA) receiveRequest(now time.Time, in inbound, out *Outbox) {
	var err error
	if in.payloads, err = message.ParsePayloads(in.first, in.plaintext); err != nil {
		sa.refuseSyntax(now, err, out)
		return
	}
	if kind, found := message.UnsupportedCritical(in.payloads); found {
		sa.refuseCritical(now, kind, out)
		return
	}
	if farewell(in.payloads) == "" {
		sa.inherit(now, out)
	}
	switch in.Exchange {
	case message.ExchangeAuth:
		sa.receiveAuth(now, in, out)
	case message.ExchangeCreateChildSA:
		sa.receiveCreateChild(now, in, out)
	case message.ExchangeInformational:
		sa.receiveInformational(now, in, out)
	}
}

// refuseSyntax answers an authentic message that is not well formed.
func (sa *SA) refuseSyntax(now time.Time, err error, out *Outbox) {
	fault := &PeerFault{Cause: CauseInvalidSyntax, Err: err}
	if sa.state.halfOpen() {
		sa.refuse(now, fault, out)
		return
	}
	sa.refuseExchange(now, fault, out)
}

// refuseCritical answers a request with a critical payload that nobody here
// knows; the rest of it is ignored (RFC 7296 §2.5).
func (sa *SA) refuseCritical(now time.Time, kind message.PayloadType, out *Outbox) {
	if sa.state.halfOpen() {
		sa.refuse(now, &PeerFault{Cause: CauseCriticalPayload, Evidence: []auth.Evidence{
			{Key: "payload", Value: kind.String()},
		}, data: []byte{byte(kind)}}, out)
		return
	}
	sa.respond(now, []message.Payload{status(message.UnsupportedCriticalPayload, []byte{byte(kind)})}, out)
}

// respond answers the request begun.
func (sa *SA) respond(now time.Time, ps []message.Payload, out *Outbox) {
	datagrams, err := sa.seal(sa.asked, message.FlagResponse, sa.responses.Expected(), ps)
	if err != nil {
		// Without an answer the SA cannot go on.
		sa.fail(now, err, out)
		return
	}
	sa.responses.Answer(datagrams)
	sa.answer(datagrams, sa.asker, out)
}

// answer sends an answer where its request came from, during a login only as
// much as that address may get.
func (sa *SA) answer(datagrams [][]byte, to path, out *Outbox) {
	octets := 0
	for _, d := range datagrams {
		octets += len(d)
	}
	if sa.login != nil && !sa.login.reach.allows(to.remote.Addr(), octets) {
		sa.reg.count(DropAmplification)
		return
	}
	send(datagrams, to, out)
}

func (sa *SA) seal(x message.ExchangeType, flags message.Flags, id uint32, ps []message.Payload) ([][]byte, error) {
	h := message.Header{
		InitiatorSPI: sa.spii, ResponderSPI: sa.spir, Version: message.Version2,
		Exchange: x, Flags: flags, MessageID: id,
	}
	if sa.initiator {
		h.Flags |= message.FlagInitiator
	}
	datagrams, err := sa.protection.Seal(h, ps, sa.fragmentLimit(), sa.reg.rand)
	if err != nil {
		return nil, &GatewayFault{Cause: CauseInternal, Err: err}
	}
	return datagrams, nil
}

// fragmentLimit is the largest IKE message that fits the configured size of
// an IP datagram; 0 if the client knows no fragments.
func (sa *SA) fragmentLimit() int {
	const udp, nonESPMarker = 8, 4
	if !sa.fragmentation {
		return 0
	}
	ip := 40
	if sa.asker.remote.Addr().Unmap().Is4() {
		ip = 20
	}
	size := sa.cfg.FragmentSize
	if sa.quirk(QuirkW6) {
		size = minFragmentSize
	}
	return size - ip - udp - nonESPMarker
}

// send puts the datagrams of one message on a path.
func send(datagrams [][]byte, p path, out *Outbox) {
	for _, d := range datagrams {
		out.Datagrams = append(out.Datagrams, transport.Datagram{Data: d, Local: p.local, Remote: p.remote})
	}
}

// finished takes a job back. One that nobody waits for any more is undone.
func (sa *SA) finished(now time.Time, j Job, out *Outbox) {
	switch r := sa.own; {
	case sa.work.job == j:
		then := sa.work.then
		sa.work = work{}
		then(now, out)
	case r != nil && r.job == j:
		then := r.then
		r.job, r.then = nil, nil
		then(sa, now, out)
	default:
		sa.late(now, j, out)
	}
	switch j := j.(type) {
	case *installChild:
		sa.planeSettled(j.of, out)
	case *changeLimits:
		sa.planeSettled(j.of, out)
	case *openAccount:
		sa.planeSettled(j.of, out)
	case *teardown:
		sa.planeSettled(j.of, out)
	}
}

// late takes back a job that no step waits for, and undoes what it brought.
func (sa *SA) late(now time.Time, j Job, out *Outbox) {
	switch j := j.(type) {
	case *keyExchange:
		j.shared.Wipe()
	case *eapStep:
		if j.conversation != nil {
			out.Jobs = append(out.Jobs, &teardown{job: job{sa}, conversation: j.conversation})
		}
	case *claimLease:
		if j.err == nil {
			out.Jobs = append(out.Jobs, &teardown{job: job{sa}, user: j.client.user, holder: j.request.Holder})
		}
	case *installChild:
		sa.reg.releaseSPI(j.child.In.SPI)
		if j.err == nil {
			sa.uninstall(j.of, out, j.child.ID)
		}
	case *readUsage:
		sa.usageRead(now, j, out)
	case *moveChildren:
		sa.childrenMoved(j, out)
	case *changeLimits:
		sa.limitsChanged(now, j, out)
	case *openAccount:
		j.opened()
	case *teardown:
		sa.tornDown(j, out)
	}
}

func (sa *SA) noteFailed(out *Outbox, what string, err error) {
	if err != nil {
		sa.reg.count(JobsFailed)
		sa.note(out, slog.LevelError, what, slog.Any("error", err))
	}
}

// note writes a line for the log, under the session's id.
func (sa *SA) note(out *Outbox, level slog.Level, text string, attrs ...slog.Attr) {
	out.Notes = append(out.Notes, Note{Level: level, Session: sa.session.id, Text: text, Attrs: attrs})
}
