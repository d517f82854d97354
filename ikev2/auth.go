package ikev2

import (
	"crypto/hmac"
	"errors"
	"log/slog"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// login is all that an SA needs until it is established, and drops then.
type login struct {
	initRequest, initAnswer []byte // as they stood on the wire: AUTH covers them (RFC 7296 §2.15)
	ni, nr                  []byte
	choice                  suite.Choice // until IKE_SA_INIT is answered
	hashes                  []suite.HashAlgorithm
	pi, pr                  suite.Secret // SK_pi, SK_pr

	idiBody, idrBody []byte // as they stood, or will stand, on the wire
	askedIDr         *message.ID
	identity         *identity
	idr              *message.ID
	auth             *message.Auth // our first
	child            childRequest
	initialContact   bool

	conversation auth.Conversation
	rounds       int
	lastEAP      uint8       // identifier of the last EAP packet relayed
	claimed      string      // the name the client claims, not authenticated
	refused      auth.Reason // of the client's last answer, if it may try again
	grant        *auth.Grant
	finalAuth    *message.Auth // over the MSK
	held         held          // an answer that is not to go out yet

	seen  observations
	reach reach
}

// profile is the name that the client asked for; empty if for none.
func (l *login) profile() string {
	if l.askedIDr == nil {
		return ""
	}
	return l.askedIDr.String()
}

// maxIdentity is the most octets of IDi: it stands in the log, in reports and
// in the session as long as that lasts.
const maxIdentity = 1024

// receiveAuth gives an IKE_AUTH request to the step that awaits it.
func (sa *SA) receiveAuth(now time.Time, in inbound, out *Outbox) {
	switch sa.state {
	case StateAwaitAuth:
		sa.identify(now, in, out)
	case StateAwaitEAP:
		sa.relayEAP(now, in, out)
	case StateAwaitProof:
		sa.verifyProof(now, in, out)
	}
}

// identify takes the first IKE_AUTH request: IDi, and what the client wants,
// but no AUTH, which asks for EAP (RFC 7296 §2.16). We authenticate ourselves
// first.
func (sa *SA) identify(now time.Time, in inbound, out *Outbox) {
	l := sa.login
	idi := message.FindID(in.payloads, false)
	if idi == nil {
		sa.refuse(now, syntaxFault("IKE_AUTH without IDi (RFC 7296 §1.2)"), out)
		return
	}
	if len(idi.Data) > maxIdentity {
		sa.refuse(now, syntaxFault("an identity of more than 1,024 octets"), out)
		return
	}
	l.idiBody = exchange.PayloadBody(in.first, in.plaintext, message.TypeIDi)
	sa.session.idi, sa.session.from = *idi, sa.path.remote.Addr()
	if a := message.Find[*message.Auth](in.payloads); a != nil {
		sa.refuse(now, &PeerFault{Cause: CauseNotEAP, Evidence: []auth.Evidence{{Key: "method", Value: a.Method.String()}}}, out)
		return
	}
	if err := sa.noteMobility(in.payloads); err != nil {
		sa.refuse(now, err, out)
		return
	}
	l.askedIDr = message.FindID(in.payloads, true)
	l.child = readChildRequest(in.payloads)
	sa.readQuirks(idi, &l.child, out)
	l.initialContact = l.initialContact || message.FindNotify(in.payloads, message.InitialContact) != nil
	l.identity, l.idr = sa.cfg.chooseIdentity(l.askedIDr, sa.prefersRSA())
	l.idrBody = l.idr.AppendBody(nil)
	scheme, err := suite.ChooseScheme(l.identity.Key.Public(), sa.signatureHashes())
	if err != nil {
		sa.refuse(now, &GatewayFault{Cause: CauseInternal, Err: err}, out)
		return
	}
	sa.note(out, slog.LevelInfo, "client identified itself",
		slog.String("identity", idi.String()), slog.String("client", sa.session.client.String()),
		slog.String("remote", sa.path.remote.String()), slog.String("idr", l.idr.String()), slog.String("auth", scheme.String()))
	await(sa, out, &signature{
		job: job{sa}, scheme: scheme, key: l.identity.Key,
		octets: suite.SignedOctets(sa.suite.PRF, l.initAnswer, l.ni, l.pr, l.idrBody),
	}, (*SA).beginEAP)
}

// verifyProof takes the client's AUTH over the master session key, makes ours
// (RFC 7296 §2.16), and turns to the first Child SA.
func (sa *SA) verifyProof(now time.Time, in inbound, out *Outbox) {
	l, prf := sa.login, sa.suite.PRF
	a := message.Find[*message.Auth](in.payloads)
	if a == nil || a.Method != message.AuthSharedKey {
		sa.refuse(now, &PeerFault{Cause: CauseOutOfOrder, Err: errors.New("expected AUTH by shared key after EAP success (RFC 7296 §2.16)")}, out)
		return
	}
	msk := suite.Secret(l.grant.MSK)
	want := prf.SharedKeyAuth(msk, suite.SignedOctets(prf, l.initRequest, l.nr, l.pi, l.idiBody))
	if !hmac.Equal(want, a.Data) {
		sa.refuse(now, &PeerFault{Cause: CauseAuthMismatch}, out)
		return
	}
	sa.prove(provedPeerAuth)
	l.initialContact = l.initialContact || message.FindNotify(in.payloads, message.InitialContact) != nil
	l.finalAuth = &message.Auth{
		Method: message.AuthSharedKey,
		Data:   prf.SharedKeyAuth(msk, suite.SignedOctets(prf, l.initAnswer, l.ni, l.pr, l.idrBody)),
	}
	sa.prove(provedOwnAuth)
	sa.createFirstChild(now, out)
}

// establish ends the login: it moves the SA, sends the last IKE_AUTH answer,
// whose payloads after AUTH are given, and drops what only the login needed.
func (sa *SA) establish(now time.Time, ps []message.Payload, out *Outbox) bool {
	l := sa.login
	if err := sa.move(StateEstablished); err != nil {
		sa.fail(now, err, out)
		return false
	}
	sa.expires = time.Time{}
	sa.session.up(now, l.grant)
	sa.watch = newWatch(now, sa.cfg, l.grant)
	sa.watch.rekey = sa.lifetime(now, sa.cfg.Rekey.IKE)
	sa.watch.paceUsage(now, &sa.cfg.Rekey, 0)
	if sa.session.reauthenticates() && !sa.watch.end.IsZero() {
		ps = append(ps, authLifetime(now, sa.watch.end))
	}
	sa.respond(now, append([]message.Payload{l.finalAuth}, ps...), out)
	if l.conversation != nil {
		out.Jobs = append(out.Jobs, &teardown{job: job{sa}, conversation: l.conversation})
	}
	sa.dropLogin()
	return sa.state == StateEstablished
}

// dropLogin forgets the login and its secrets.
func (sa *SA) dropLogin() {
	l := sa.login
	if l == nil {
		return
	}
	l.pi.Wipe()
	l.pr.Wipe()
	if l.grant != nil {
		l.grant.MSK.Wipe()
	}
	sa.login = nil
}
