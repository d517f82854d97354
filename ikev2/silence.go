package ikev2

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bridgehead/auth"
)

// observations are what a login shows on its way; should it fall silent, they
// tell why.
type observations struct {
	initRepeats  int   // the same IKE_SA_INIT again, after our answer
	repeats      int   // the last request again, answered or not
	notAuthentic int   // messages whose checksum was wrong
	missing      []int // of the last message that came in fragments
	total        int
}

// manyRepeats is the number of repetitions from which on our answers are
// taken to be lost.
const manyRepeats = 2

func (sa *SA) observeNotAuthentic() {
	if sa.login != nil {
		sa.login.seen.notAuthentic++
	}
}

func (sa *SA) observeFresh() {
	if sa.login != nil {
		sa.login.seen.repeats, sa.login.seen.missing, sa.login.seen.total = 0, nil, 0
	}
}

func (sa *SA) observeRepeated() {
	if sa.login != nil {
		sa.login.seen.repeats++
	}
}

func (sa *SA) observeFragments() {
	if missing, total := sa.fragments.Missing(); sa.login != nil && total > 0 {
		sa.login.seen.missing, sa.login.seen.total = missing, total
	}
}

// fallSilent ends a login that took too long, with what was seen of it.
func (sa *SA) fallSilent(now time.Time, out *Outbox) {
	sa.observeFragments()
	cause := sa.silenceCause()
	sa.report(now, EventSilent, cause, sa.silenceEvidence(now), out)
	sa.release(now, cause, out)
	sa.die(out)
}

// silenceCause says where the login stopped.
func (sa *SA) silenceCause() Cause {
	seen := &sa.login.seen
	switch {
	case sa.work.job != nil:
		return CauseStuckHere
	case sa.login.held.step != nil: // the time of the login was over before its own
		return orCause(sa.login.held.step.step.Reason.Cause, CauseAuthRejected)
	case seen.total > 0:
		return CauseFragmentsMissing
	case sa.state == StateAwaitAuth && seen.notAuthentic > 0:
		return CauseKeysDiffer
	case sa.state == StateAwaitAuth && seen.initRepeats >= manyRepeats, seen.repeats >= manyRepeats:
		return CauseAnswersLost
	case sa.state == StateAwaitAuth:
		return CauseNoIKEAuth
	case sa.login.refused.Cause != "": // it may be waiting for its user to type another password
		return sa.login.refused.Cause
	case sa.state == StateAwaitEAP && sa.login.rounds == 0:
		return CauseLeftAfterAuth
	case sa.state == StateAwaitEAP:
		return CauseLeftInEAP
	}
	return CauseLeftBeforeAuth
}

// silenceEvidence is what was seen.
func (sa *SA) silenceEvidence(now time.Time) []auth.Evidence {
	seen := &sa.login.seen
	ev := []auth.Evidence{
		{Key: "waited", Value: now.Sub(sa.session.begun).Round(time.Second).String()},
		{Key: "state", Value: sa.state.String()},
		{Key: "port", Value: fmt.Sprint(sa.path.local.Port())},
	}
	add := func(key string, n int) {
		if n > 0 {
			ev = append(ev, auth.Evidence{Key: key, Value: fmt.Sprint(n)})
		}
	}
	add("IKE_SA_INIT repeated", seen.initRepeats)
	add("IKE_AUTH repeated", seen.repeats)
	add("not authentic", seen.notAuthentic)
	add("EAP rounds", sa.login.rounds)
	if seen.total > 0 {
		ev = append(ev, auth.Evidence{Key: "fragments missing", Value: fmt.Sprintf("%s of %d", strings.Trim(fmt.Sprint(seen.missing), "[]"), seen.total)})
	}
	return slices.Concat(ev, sa.login.refused.Evidence, sa.certificateEvidence())
}

// certificateEvidence is what the client saw of us, if it came to that.
func (sa *SA) certificateEvidence() []auth.Evidence {
	l := sa.login
	if l == nil || l.identity == nil {
		return nil
	}
	asked := "nothing"
	if l.askedIDr != nil {
		asked = l.askedIDr.String()
	}
	return []auth.Evidence{
		{Key: "name the client asked for", Value: asked},
		{Key: "names in the certificate", Value: l.identity.names()},
	}
}

// likely ranks what may lie behind a silence.
func (sa *SA) likely(c Cause) []string {
	l := sa.login
	switch c {
	case CauseNoIKEAuth:
		port := "UDP port 4500 does not reach the gateway: open it, and forward it where the gateway is behind a NAT."
		lost := "The client's IKE_AUTH is lost as IP fragments: let fragments pass, or use a client with IKEv2 fragmentation."
		answer := "The client never got our answer: look for a firewall that lets no answers out."
		if sa.fragmentation {
			return []string{port, answer, lost}
		}
		return []string{port, lost, answer}
	case CauseAnswersLost:
		return []string{
			"Answers leave by another address or interface than the requests came to.",
			"A firewall or NAT lets our answers not through.",
			"Our answers are too large for the path: lower the fragment size.",
		}
	case CauseLeftAfterAuth:
		var ranked []string
		if l.askedIDr != nil && !l.identity.has(l.askedIDr) {
			ranked = append(ranked, fmt.Sprintf("The client asked for %s, which is not among the certificate's names (%s).", l.askedIDr, l.identity.names()))
		}
		if !l.identity.rsa && sa.prefersRSA() {
			ranked = append(ranked, "The certificate's key is not RSA, and this client may accept nothing else.")
		}
		return append(ranked, sa.session.client.certificateAdvice(), "Our answer is too large for the path and was lost: lower the fragment size.")
	case CauseLeftInEAP:
		return []string{"The user cancelled or did not answer the password prompt.", "The client does not accept the EAP method offered.", "The client lost its network."}
	}
	return nil
}
