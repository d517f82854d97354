package ikev2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// leastSPI is the first SPI that is not reserved. Zero would even look like
// IKE where ESP goes in UDP (RFC 3948 §2.2).
const leastSPI = 256

// child is what an SA remembers of a Child SA; the rest is the data plane's.
type child struct {
	id      esp.ChildID
	in, out uint32 // SPIs; out is the client's
	suite   suite.ESP
	group   suite.Group // of the key exchange that made it; none of the first one
	stage   stage
	carries *carries  // nil: all that the client may send and reach
	due     time.Time // when the gateway rekeys it; zero: not by time
}

// stage is how far the end of a Child SA has come.
type stage uint8

const (
	inUse    stage = iota
	replaced       // by a rekey; whoever began that one is about to delete it
	deleting       // our DELETE is on its way
)

// carries is what the traffic selectors of a Child SA admit.
type carries struct{ local, remote []message.Selector }

func (sa *SA) childIDs() []esp.ChildID {
	if len(sa.children) == 0 {
		return nil
	}
	ids := make([]esp.ChildID, len(sa.children))
	for i, c := range sa.children {
		ids[i] = c.id
	}
	return ids
}

// childByOutSPI gives the index of the Child SA whose packets to the client
// carry this SPI, -1 if there is none.
func (sa *SA) childByOutSPI(spi []byte) int {
	if len(spi) != 4 {
		return -1
	}
	return slices.IndexFunc(sa.children, func(c child) bool { return c.out == binary.BigEndian.Uint32(spi) })
}

// childByID gives the index of the Child SA of this id, -1 if there is none.
func (sa *SA) childByID(id esp.ChildID) int {
	return slices.IndexFunc(sa.children, func(c child) bool { return c.id == id })
}

// childRequest is what a client asks of a Child SA, in IKE_AUTH or
// CREATE_CHILD_SA.
type childRequest struct {
	sa       *message.SA
	tsi, tsr *message.TS
	cp       *message.CP // a request; nil if it sent none
}

func readChildRequest(ps []message.Payload) childRequest {
	r := childRequest{sa: message.Find[*message.SA](ps), tsi: message.FindTS(ps, false), tsr: message.FindTS(ps, true)}
	if cp := message.Find[*message.CP](ps); cp != nil && cp.Kind == message.CPRequest {
		r.cp = cp
	}
	return r
}

// createFirstChild gives the session its addresses and its Child SA, whose
// answer is part of the last IKE_AUTH answer (RFC 7296 §1.2).
func (sa *SA) createFirstChild(now time.Time, out *Outbox) {
	l := sa.login
	choice, err := sa.chooseFirstChild(out)
	if err != nil {
		sa.childless(now, err, out)
		return
	}
	w := wishesOf(l.child.cp)
	sa.session.claimed = true
	await(sa, out, &claimLease{
		job: job{sa}, client: sa.session.clientID(), unique: sa.cfg.Unique,
		initialContact: l.initialContact, allowed: allowance{l.grant.MaxSessions, l.grant.WhenFull}, limits: sa.informed(limitsOf(l.grant)),
		request: lease.Request{
			Holder: sa.session.id, Identity: sa.session.user, Pool: l.grant.Pool, Pool6: l.grant.Pool6,
			WantIPv4: w.ipv4, WantIPv6: w.ipv6, OneIsBest: sa.withholdsIPv6(), Fixed: l.grant.Addresses, Wish: w.addresses,
		},
	}, func(sa *SA, now time.Time, j *claimLease, out *Outbox) { sa.leaseClaimed(now, j, choice, out) })
}

// chooseFirstChild checks that the request has what it needs, and selects.
func (sa *SA) chooseFirstChild(out *Outbox) (suite.Choice, error) {
	r := sa.login.child
	if !sa.wantsNoChild() && (r.sa == nil || r.tsi == nil || r.tsr == nil) {
		return suite.Choice{}, &PeerFault{Cause: CauseNoChildAsked}
	}
	if r.cp == nil {
		return suite.Choice{}, &PeerFault{Cause: CauseNoAddressAsked}
	}
	if w := wishesOf(r.cp); !w.ipv4 && !w.ipv6 {
		return suite.Choice{}, &PeerFault{Cause: CauseNoAddressAsked}
	}
	if sa.nat.announced && !sa.nat.supported {
		return suite.Choice{}, &PeerFault{Cause: CauseNoNATTraversal}
	}
	if r.none() {
		return suite.Choice{}, nil
	}
	if err := sa.cfg.numbered(r.sa.Proposals); err != nil {
		return suite.Choice{}, err
	}
	choice, err := suite.SelectFirstChild(sa.cfg.ESP, r.sa.Proposals, sa.order())
	if err != nil {
		return suite.Choice{}, proposalFault(CauseNoESPProposal, sa.cfg.ESP, r.sa.Proposals, err)
	}
	sa.noteProposals(out, "ESP", suite.Describe(r.sa.Proposals), sa.cfg.espText, choice.String())
	return choice, nil
}

func (sa *SA) leaseClaimed(now time.Time, j *claimLease, choice suite.Choice, out *Outbox) {
	if j.err != nil {
		var fault *PeerFault
		if errors.As(j.err, &fault) && !fatalToChildOnly(fault.Cause) {
			sa.refuse(now, j.err, out)
			return
		}
		sa.childless(now, j.err, out)
		return
	}
	sa.session.lease, sa.session.leased = j.lease, true
	l := sa.login
	sa.session.given = newGiven(l.grant)
	if l.child.none() {
		sa.keepAccount(now, suite.Choice{}, nil, out)
		return
	}
	c, err := sa.newChild(choice, l.child, nil, l.ni, l.nr)
	if err != nil {
		sa.childless(now, err, out)
		return
	}
	sa.install(c, 0, out, func(sa *SA, now time.Time, j *installChild, out *Outbox) {
		sa.answerLogin(now, j, choice, out)
	})
}

// newChild narrows the selectors, derives the keys and puts a Child SA
// together. shared is nil without a key exchange of its own.
func (sa *SA) newChild(choice suite.Choice, r childRequest, shared suite.Secret, ni, nr []byte) (esp.Child, error) {
	tsi, tsr, err := sa.narrowChild(r)
	if err != nil {
		return esp.Child{}, err
	}
	algorithms, err := choice.ESP()
	if err != nil || len(choice.SPI) != 4 {
		return esp.Child{}, &GatewayFault{Cause: CauseInternal, Err: errors.Join(err, errors.New("no usable ESP proposal"))}
	}
	theirs := binary.BigEndian.Uint32(choice.SPI)
	if theirs < leastSPI || sa.childByOutSPI(choice.SPI) >= 0 {
		return esp.Child{}, syntaxFault("a Child SA needs an SPI of its own, not below 256 (RFC 4303 §2.1)")
	}
	spi, err := sa.reg.espSPI()
	if err != nil {
		return esp.Child{}, err
	}
	keys := algorithms.Derive(sa.suite.PRF, sa.d, shared, ni, nr)
	return esp.Child{
		ID: sa.reg.childID(), Session: sa.session.id,
		In:   esp.SA{SPI: spi, Suite: algorithms, EncrKey: keys.InitiatorEncr, IntegKey: keys.InitiatorInteg},
		Out:  esp.SA{SPI: theirs, Suite: algorithms, EncrKey: keys.ResponderEncr, IntegKey: keys.ResponderInteg},
		Path: sa.espPath(), Local: tsr, Remote: tsi,
	}, nil
}

// narrowChild holds the client's side to its own addresses, and ours to what
// clients, or this user, may reach.
func (sa *SA) narrowChild(r childRequest) (tsi, tsr []message.Selector, err error) {
	leased, allowed := sa.leased(), sa.reachable()
	tsi, tsr = narrow(leased, r.tsi.Selectors), narrow(allowed, r.tsr.Selectors)
	tsr = ofFamilies(tsr, tsi)
	tsi = ofFamilies(tsi, tsr)
	if len(tsi) == 0 {
		return nil, nil, &PeerFault{Cause: CauseTSUnacceptable, Evidence: []auth.Evidence{
			{Key: "client asked", Value: describeSelectors(r.tsi.Selectors) + " to " + describeSelectors(r.tsr.Selectors)},
			{Key: "gateway allows", Value: describeSelectors(leased) + " to " + describeSelectors(allowed)},
		}}
	}
	return tsi, tsr, nil
}

// leased are the client's own addresses.
func (sa *SA) leased() []message.Selector {
	var own []message.Selector
	for _, a := range []netip.Addr{sa.session.lease.IPv4, sa.session.lease.IPv6} {
		if a.IsValid() {
			own = append(own, hostSelector(a))
		}
	}
	return own
}

// widest is what a Child SA of this client admits at most.
func (sa *SA) widest() carries {
	leased, allowed := sa.leased(), sa.reachable()
	return carries{local: ofFamilies(allowed, leased), remote: ofFamilies(leased, allowed)}
}

// narrowed is what a Child SA admits, nil if that is all it may: most do, and
// need not remember it.
func (sa *SA) narrowed(c *esp.Child) *carries {
	all := sa.widest()
	same := func(a, b []message.Selector) bool {
		return len(a) == len(b) && !slices.ContainsFunc(a, func(s message.Selector) bool { return !slices.Contains(b, s) })
	}
	if same(c.Local, all.local) && same(c.Remote, all.remote) {
		return nil
	}
	return &carries{local: slices.Clone(c.Local), remote: slices.Clone(c.Remote)}
}

// describeSelectors writes selectors for evidence, not more than a line.
func describeSelectors(set []message.Selector) string {
	const most = 8
	var words []string
	for i, s := range set {
		switch {
		case i == most:
			words = append(words, "...")
		case i > most:
		case s.Raw != nil:
			words = append(words, fmt.Sprintf("type %d", s.Raw.Kind))
		case s.Start == s.End:
			words = append(words, s.Start.String())
		default:
			words = append(words, s.Start.String()+"-"+s.End.String())
		}
	}
	return strings.Join(words, " ")
}

// childPayloads answer a Child SA request: SA, TSi and TSr.
func childPayloads(c *esp.Child, choice suite.Choice) (sa, tsi, tsr message.Payload) {
	spi := binary.BigEndian.AppendUint32(nil, c.In.SPI)
	return &message.SA{Proposals: []message.Proposal{choice.Answer(spi)}},
		&message.TS{Selectors: c.Remote},
		&message.TS{Responder: true, Selectors: c.Local}
}

// install starts putting a Child SA into the data plane.
func (sa *SA) install(c esp.Child, old esp.ChildID, out *Outbox, then func(*SA, time.Time, *installChild, *Outbox)) {
	sa.session.busy++
	await(sa, out, &installChild{job: job{sa}, of: sa.session, child: c, old: old}, then)
}

// uninstall starts taking Child SAs of a session out of the data plane.
func (sa *SA) uninstall(of *session, out *Outbox, ids ...esp.ChildID) {
	of.busy++
	out.Jobs = append(out.Jobs, &teardown{job: job{sa}, of: of, children: ids})
}

// planeSettled notes that a job on a session's Child SAs, if it was one, is
// over. A lease that the session owes goes back after the last of them.
func (sa *SA) planeSettled(of *session, out *Outbox) {
	if of == nil {
		return
	}
	if of.busy--; of.busy == 0 && of.owes {
		of.owes = false
		out.Jobs = append(out.Jobs, &teardown{job: job{sa}, user: of.user, holder: of.id, account: sa.settlement(of, of.end)})
	}
}

// adopt takes an installed Child SA into the SA's own, g being the group of
// the key exchange that made it. The client may have moved while it was being
// installed.
func (sa *SA) adopt(now time.Time, c *esp.Child, g suite.Group, out *Outbox) {
	sa.children = append(sa.children, child{
		id: c.ID, in: c.In.SPI, out: c.Out.SPI, suite: c.In.Suite, group: g,
		carries: sa.narrowed(c), due: sa.childDue(now),
	})
	sa.reg.children[c.ID] = sa
	if c.Path != sa.espPath() {
		sa.moveChildren(out)
	}
}

// moveChildren has the data plane send to where the client is now. One such
// job runs at a time: of two the later must win.
func (sa *SA) moveChildren(out *Outbox) {
	if ids := sa.childIDs(); len(ids) > 0 && !sa.moving {
		sa.moving = true
		out.Jobs = append(out.Jobs, &moveChildren{job: job{sa}, ids: ids, path: sa.espPath()})
	}
}

// childrenMoved moves them once more if the client has moved on, or if others
// have come.
func (sa *SA) childrenMoved(j *moveChildren, out *Outbox) {
	sa.moving = false
	ids := sa.childIDs()
	if slices.Equal(j.ids, ids) { // else one may be gone, which cannot be moved
		sa.noteFailed(out, "moving the Child SAs failed", j.err)
	}
	others := slices.ContainsFunc(ids, func(id esp.ChildID) bool { return !slices.Contains(j.ids, id) })
	if j.path != sa.espPath() || others {
		sa.moveChildren(out)
	}
}

// removeChild forgets a Child SA and takes it out of the data plane.
func (sa *SA) removeChild(i int, out *Outbox) {
	id := sa.children[i].id
	sa.forgetChild(i)
	sa.uninstall(sa.session, out, id)
}

// forgetChild forgets a Child SA. Should the client delete a new one instead of
// that which it replaced, the old one is in use again.
func (sa *SA) forgetChild(i int) {
	sa.reg.forgetChild(sa.children[i])
	sa.children = slices.Delete(sa.children, i, i+1)
	if slices.ContainsFunc(sa.children, func(c child) bool { return c.stage == inUse }) {
		return
	}
	for i := range slices.Backward(sa.children) {
		if sa.children[i].stage == replaced {
			sa.children[i].stage = inUse
			return
		}
	}
}

// answerLogin completes the login once the Child SA carries traffic.
func (sa *SA) answerLogin(now time.Time, j *installChild, choice suite.Choice, out *Outbox) {
	if j.err != nil {
		sa.reg.releaseSPI(j.child.In.SPI)
		sa.childless(now, j.err, out)
		return
	}
	sa.adopt(now, &j.child, suite.GroupNone, out)
	sap, tsi, tsr := childPayloads(&j.child, choice)
	sa.keepAccount(now, choice, []message.Payload{sap, tsi, tsr}, out)
}

// childless ends a login whose IKE SA is good but whose first Child SA is
// not to be had. The IKE SA is created as usual and the notification tells
// why there is no Child SA (RFC 7296 §1.2, §2.21.2); since this gateway has
// no use for an IKE SA alone, it deletes it unless the client does so first.
func (sa *SA) childless(now time.Time, err error, out *Outbox) {
	cause, evidence := faultOf(err)
	if !fatalToChildOnly(cause) {
		sa.refuse(now, err, out)
		return
	}
	sa.report(now, EventRefused, cause, evidence, out)
	if !sa.establish(now, []message.Payload{status(notifyFor(cause), nil)}, out) {
		return
	}
	sa.expires = now.Add(sa.cfg.Timers.Childless)
}
