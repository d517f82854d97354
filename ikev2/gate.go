package ikev2

import (
	"errors"
	"hash/maphash"
	"net/netip"
	"time"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/transport"
)

// gate stands before the SAs of one shard. It answers what needs no SA, keeps
// nothing for it, and lets in IKE_SA_INIT requests up to the limits.
type gate struct {
	cfg      *settings
	reg      *registrar
	halfOpen *halfOpenCount
	cookies  cookieJar
	reports  budget
	seed     maphash.Seed
	inits    map[initKey]*SA // by request; nil once the SA is gone
	expiry   []initExpiry    // of inits, the oldest first
}

// initKey tells IKE_SA_INIT requests apart. A client that comes again with
// another nonce or group under the same SPI makes another request.
type initKey struct {
	spii   message.SPI
	remote netip.AddrPort
	hash   uint64
}

type initExpiry struct {
	key  initKey
	when time.Time
}

func newGate(cfg *settings, reg *registrar, h *halfOpenCount) *gate {
	return &gate{cfg: cfg, reg: reg, halfOpen: h, seed: maphash.MakeSeed(), inits: make(map[initKey]*SA)}
}

// maxInit is the most octets of an IKE_SA_INIT request. All are kept while
// the login is under way, since the client's AUTH covers them; real ones have
// less than a tenth, and post-quantum keys would fit.
const maxInit = 8 << 10

// receiveInit takes an IKE_SA_INIT request: it gives the SA it belongs to, or
// a new one in out.Successors, or answers without any.
func (g *gate) receiveInit(now time.Time, d transport.Datagram, out *Outbox) {
	g.expire(now)
	if len(d.Data) > maxInit {
		g.reg.count(DropMalformed)
		return
	}
	key := initKey{message.SPI(d.Data[:8]), d.Remote, maphash.Bytes(g.seed, d.Data)}
	if sa, known := g.inits[key]; known {
		if sa == nil { // a copy that comes after the login
			g.reg.count(DropInProgress)
			return
		}
		sa.Handle(now, Received{d}, out)
		return
	}
	m, err := message.Parse(d.Data)
	if err != nil {
		g.reg.count(DropMalformed)
		return
	}
	if !m.Header.FromInitiator() || m.Header.IsResponse() || m.Header.MessageID != 0 || m.Header.InitiatorSPI.IsZero() {
		g.reg.count(DropForeign)
		return
	}
	if !g.admit(now, m, d, out) {
		return
	}
	req, err := g.cfg.readInit(m)
	if err != nil {
		g.turnAway(now, m, req, d, err, out)
		return
	}
	sa, err := newSA(now, g.cfg, g.reg, d, req, out)
	if err != nil {
		g.reg.count(JobsFailed)
		return
	}
	sa.entry = &entry{key: key, counted: d.Remote.Addr()}
	g.halfOpen.enter(sa.entry.counted)
	g.inits[key] = sa
	g.expiry = append(g.expiry, initExpiry{key, now.Add(g.cfg.Timers.HalfOpen)})
	out.Successors = append(out.Successors, sa)
}

// admit holds a request against the limits. Where many logins are under way
// the client must first show that it receives what we send to its address
// (RFC 7296 §2.6).
func (g *gate) admit(now time.Time, m *message.Message, d transport.Datagram, out *Outbox) bool {
	total := int(g.halfOpen.total.Load())
	switch l := &g.cfg.Limits; {
	case total >= l.HalfOpen:
		g.reg.count(DropHalfOpenTotal)
		return false
	case int(g.halfOpen.of(d.Remote.Addr()).Load()) >= l.HalfOpenPerAddress:
		g.reg.count(DropHalfOpenAddress)
		return false
	case total < l.CookieThreshold:
		return true
	}
	nonce := message.Find[*message.Nonce](m.Payloads)
	if nonce == nil {
		g.reg.count(DropMalformed)
		return false
	}
	if err := g.cookies.rotate(now, g.reg.rand); err != nil {
		g.reg.count(JobsFailed)
		return false
	}
	if c := message.FindNotify(m.Payloads, message.Cookie); c != nil {
		if g.cookies.valid(c.Data, m.Header.InitiatorSPI, d.Remote.Addr(), nonce.Data) {
			return true
		}
		g.reg.count(DropBadCookie)
	}
	g.reg.count(SentCookie)
	cookie := g.cookies.bake(m.Header.InitiatorSPI, d.Remote.Addr(), nonce.Data)
	g.answer(m.Header, status(message.Cookie, cookie), d, out)
	return false
}

// turnAway answers a request that makes no SA. Its sender may be anybody, so
// that reports are rationed; the counters tell the rest.
func (g *gate) turnAway(now time.Time, m *message.Message, req initRequest, d transport.Datagram, err error, out *Outbox) {
	if errors.Is(err, errWrongGroup) {
		g.reg.count(SentInvalidKE)
		g.answer(m.Header, invalidKE(req.choice.Group()), d, out)
		return
	}
	var fault *PeerFault
	if !errors.As(err, &fault) {
		g.reg.count(JobsFailed)
		return
	}
	if fault.Cause == CauseInvalidSyntax {
		g.reg.count(DropMalformed)
		return
	}
	g.reg.count(SentNoProposal)
	g.answer(m.Header, status(notifyFor(fault.Cause), fault.data), d, out)
	g.reg.count(LoginsRefused)
	if !g.reports.take(now, rationStrangers) {
		return
	}
	r := newRefusal(now, fault.Cause, withError(fault.Evidence, fault.Err))
	kind := recognise(m.Payloads)
	r.Peer, r.Local, r.Client, r.Remedy = d.Remote, d.Local, kind.String(), kind.remedy(fault.Err, g.cfg.ESP)
	out.Events = append(out.Events, SessionEvent{Kind: EventRefused, Time: now, Cause: r.Cause, Refusal: r})
}

// answer sends one notification from nowhere: the responder SPI is zero,
// since there is no SA (RFC 7296 §2.6).
func (g *gate) answer(h message.Header, p message.Payload, d transport.Datagram, out *Outbox) {
	h.Version, h.Flags, h.ResponderSPI = message.Version2, message.FlagResponse, message.SPI{}
	m := message.Message{Header: h, Payloads: []message.Payload{p}}
	answer := m.Append(nil)
	if !fits(len(answer), len(d.Data)) {
		g.reg.count(DropAmplification)
		return
	}
	send([][]byte{answer}, path{d.Local, d.Remote}, out)
}

// refuseVersion answers a message of a later major version with the one we
// speak (RFC 7296 §2.5). Whatever is not a request of such is dropped: IKEv1,
// and Microsoft's AuthIP, which shares the port (quirk W10).
func (g *gate) refuseVersion(h message.Header, d transport.Datagram, out *Outbox) {
	const authIP = 243
	silent := !g.cfg.without.has(QuirkW10)
	switch {
	case h.Exchange == authIP && silent:
		g.reg.count(DropAuthIP)
	case h.MajorVersion() < 2 && silent:
		g.reg.count(DropVersion1)
	case h.IsResponse():
		g.reg.count(DropMalformed)
	default:
		g.reg.count(DropMajorVersion)
		g.answer(h, status(message.InvalidMajorVersion, nil), d, out)
	}
}

// forget lets go of an SA that is no longer half open. Its request stays
// known until the login's time is over, so that a late copy makes no new one.
func (g *gate) forget(sa *SA) {
	if g.inits[sa.entry.key] == sa {
		g.inits[sa.entry.key] = nil
	}
}

// expire drops what is known about requests that are too old to come again.
func (g *gate) expire(now time.Time) {
	n := 0
	for n < len(g.expiry) && !now.Before(g.expiry[n].when) {
		delete(g.inits, g.expiry[n].key)
		n++
	}
	g.expiry = g.expiry[n:]
}
