package initiator

import (
	"fmt"
	"strings"
	"time"

	"bridgehead/ikev2/message"
)

// Step names a part of a login or a later exchange. The names are stable:
// they stand in reports.
type Step string

// Steps of a login in their order, then those of an established SA.
const (
	StepResolve     Step = "resolve"      // the gateway's name
	StepInit        Step = "IKE_SA_INIT"  // cookies and another group included
	StepCertificate Step = "certificate"  // first IKE_AUTH: identity, certificate, signature
	StepIdentity    Step = "EAP identity" // only if the gateway asks for it
	StepMethod      Step = "EAP method"   // only if the gateway begins with another than MSCHAPv2
	StepChallenge   Step = "EAP challenge"
	StepSuccess     Step = "EAP success"
	StepFinal       Step = "final AUTH" // both AUTH payloads over the MSK, addresses, Child SA
	StepInstall     Step = "install"    // the Child SA in the data plane, if there is one

	StepRekeyChild Step = "rekey Child SA"
	StepRekeyIKE   Step = "rekey IKE SA"
	StepMove       Step = "move"
	StepLiveness   Step = "liveness"
	StepDelete     Step = "delete"
)

// Verdict is the name of an outcome, stable for scripts and reports.
type Verdict string

// Verdicts of a login.
const (
	VerdictOK             Verdict = "ok"
	VerdictUnresolved     Verdict = "name-not-resolved"
	VerdictNoAnswer       Verdict = "no-answer"
	VerdictNoProposal     Verdict = "no-common-proposal"
	VerdictCertificate    Verdict = "certificate-refused"
	VerdictSignature      Verdict = "gateway-not-authentic"
	VerdictCredentials    Verdict = "wrong-user-or-password"
	VerdictMethod         Verdict = "eap-method-not-supported"
	VerdictNoAddress      Verdict = "no-address"
	VerdictTraffic        Verdict = "no-traffic-selectors"
	VerdictRefused        Verdict = "refused"
	VerdictProtocol       Verdict = "gateway-broke-protocol"
	VerdictDeletedByPeer  Verdict = "deleted-by-gateway"
	VerdictInterrupted    Verdict = "interrupted"
	VerdictLocalFault     Verdict = "local-fault"
	VerdictUnknownOutcome Verdict = "failed"
)

// Failure is an error with a name. Every error that ends a login is one.
type Failure interface {
	error
	// Verdict is the outcome's name.
	Verdict() Verdict
	// At is the step that failed.
	At() Step
}

// at is the step that failed.
type at struct{ Step Step }

// At is the step that failed.
func (a at) At() Step { return a.Step }

// ResolveError reports that the gateway's name gave no address.
type ResolveError struct {
	at
	Name string
	Err  error
}

func (e *ResolveError) Error() string {
	return fmt.Sprintf("%s: %s has no usable address: %v; check the name and the resolver", e.Step, e.Name, e.Err)
}

// Unwrap is the resolver's error.
func (e *ResolveError) Unwrap() error { return e.Err }

// Verdict is VerdictUnresolved.
func (*ResolveError) Verdict() Verdict { return VerdictUnresolved }

// TimeoutError reports that a request was never answered.
type TimeoutError struct {
	at
	Remote  string        // where the request went
	Sent    int           // how often
	Waited  time.Duration // since the first time
	Answers bool          // whether the gateway had answered an earlier step
	Missing []int         // numbers of the answer's fragments that never came
	Total   int           // of how many; 0 if none came at all
	Undone  error         // why the last answer that came was dropped; nil if none was
	Unsent  error         // why the last transmission was not even sent; nil if it was
}

func (e *TimeoutError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: no answer from %s to %d transmissions in %s", e.Step, e.Remote, e.Sent, e.Waited.Round(time.Millisecond))
	switch {
	case e.Unsent != nil:
		fmt.Fprintf(&b, "; the last could not be sent: %v; check this machine's network", e.Unsent)
	case e.Total > 0:
		fmt.Fprintf(&b, "; %d of %d fragments of an answer never came: look for packet loss or a firewall that drops them", len(e.Missing), e.Total)
	case e.Undone != nil:
		fmt.Fprintf(&b, "; the last answer was dropped: %v", e.Undone)
	case !e.Answers:
		b.WriteString("; check that the gateway runs and that UDP 500 is open")
	case e.Step == StepCertificate:
		b.WriteString("; the gateway answered before: check that UDP 4500 is open and that fragments pass")
	default:
		b.WriteString("; the gateway answered before: look into its log")
	}
	return b.String()
}

// Unwrap is why the last transmission was not sent, and why the last answer
// was dropped.
func (e *TimeoutError) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Unsent, e.Undone} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Verdict is VerdictNoAnswer.
func (*TimeoutError) Verdict() Verdict { return VerdictNoAnswer }

// RefusedError reports an error notification of the gateway.
type RefusedError struct {
	at
	Notify message.NotifyType
	Data   []byte
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s: the gateway refused with %s (%d)%s", e.Step, e.Notify, uint16(e.Notify), e.advice())
}

func (e *RefusedError) advice() string {
	switch e.Notify {
	case message.AuthenticationFailed:
		return "; its log says why: identity, user or peer configuration"
	case message.InternalAddressFailure:
		return "; its address pool is exhausted or has none of the families asked for"
	case message.TSUnacceptable:
		return "; ask for other subnets"
	case message.InvalidSyntax:
		return "; it could not read the request"
	}
	return "; look into its log"
}

// Verdict follows from the notification.
func (e *RefusedError) Verdict() Verdict {
	switch e.Notify {
	case message.InternalAddressFailure, message.FailedCPRequired:
		return VerdictNoAddress
	case message.TSUnacceptable:
		return VerdictTraffic
	}
	return VerdictRefused
}

// NoProposalError reports that the gateway takes none of our proposals, or
// answered with one that was not offered.
type NoProposalError struct {
	at
	Protocol message.Protocol
	Offered  string // in strongSwan's notation
	Answered string // what the gateway chose instead; empty if it refused
	Err      error  // why that cannot be used, or which group it asks for
}

func (e *NoProposalError) Error() string {
	if e.Answered != "" {
		return fmt.Sprintf("%s: the gateway chose %s %s, offered was %s: %v", e.Step, e.Protocol, e.Answered, e.Offered, e.Err)
	}
	if e.Err != nil {
		return fmt.Sprintf("%s: no common %s proposal, offered was %s: %v", e.Step, e.Protocol, e.Offered, e.Err)
	}
	return fmt.Sprintf("%s: the gateway takes none of the %s proposals offered, %s; offer one that it has", e.Step, e.Protocol, e.Offered)
}

// Unwrap is why the answer cannot be used.
func (e *NoProposalError) Unwrap() error { return e.Err }

// Verdict is VerdictNoProposal.
func (*NoProposalError) Verdict() Verdict { return VerdictNoProposal }

// CertificateRule is what a gateway's certificate failed.
type CertificateRule string

// Certificate rules.
const (
	RulePresent   CertificateRule = "present"   // a certificate must come, unless the signature is checked otherwise
	RuleParse     CertificateRule = "readable"  // it must be X.509
	RuleAuthority CertificateRule = "authority" // a chain must lead to a trusted root
	RuleValidity  CertificateRule = "validity"  // now must be within its time
	RuleUsage     CertificateRule = "usage"     // it must be good for servers
	RuleKey       CertificateRule = "key"       // its key must be of a kind the client knows
	RuleName      CertificateRule = "name"      // its SAN must hold the name dialled
	RuleIdentity  CertificateRule = "identity"  // IDr must be what was asked for and stand in the certificate
)

// CertificateError reports that the gateway's certificate is not acceptable.
type CertificateError struct {
	at
	Rule     CertificateRule
	Subject  string   // of the gateway's certificate
	Issuer   string   // who issued it
	Names    []string // its SANs
	Expected string   // the name it should carry, where that is the rule
	Err      error
}

func (e *CertificateError) Error() string {
	what := fmt.Sprintf("%s: certificate %q of the gateway fails the rule %q", e.Step, e.Subject, string(e.Rule))
	switch e.Rule {
	case RuleName, RuleIdentity:
		return fmt.Sprintf("%s: expected %q, it carries %s; dial one of these or issue a certificate with that name", what, e.Expected, strings.Join(e.Names, ", "))
	case RuleAuthority:
		return fmt.Sprintf("%s: issued by %q: %v; trust that authority, or have the gateway send the intermediate certificates", what, e.Issuer, e.Err)
	case RuleValidity:
		return fmt.Sprintf("%s: %v; renew it, or set this clock", what, e.Err)
	}
	return fmt.Sprintf("%s: %v", what, e.Err)
}

// Unwrap is the finding of crypto/x509, where there is one.
func (e *CertificateError) Unwrap() error { return e.Err }

// Verdict is VerdictCertificate.
func (*CertificateError) Verdict() Verdict { return VerdictCertificate }

// SignatureError reports that the gateway could not prove that it holds the
// key: of its certificate, of the EAP method, or the user's password.
type SignatureError struct {
	at
	Err error
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("%s: the gateway's proof is wrong: %v; this may be another machine in its place", e.Step, e.Err)
}

// Unwrap is what was wrong with the proof.
func (e *SignatureError) Unwrap() error { return e.Err }

// Verdict is VerdictSignature.
func (*SignatureError) Verdict() Verdict { return VerdictSignature }

// CredentialsError reports that the gateway refuses user and password.
type CredentialsError struct {
	at
	User string
	Code int    // E= of the MS-CHAPv2 failure (RFC 2759 §6); 0 if it gave none
	Text string // its message to the user
}

func (e *CredentialsError) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("%s: the gateway refuses user %q with EAP-Failure and gives no reason; check name and password", e.Step, e.User)
	}
	return fmt.Sprintf("%s: the gateway refuses user %q: E=%d %q; check name and password", e.Step, e.User, e.Code, e.Text)
}

// Verdict is VerdictCredentials.
func (*CredentialsError) Verdict() Verdict { return VerdictCredentials }

// MethodError reports that the gateway wants an EAP method other than
// MSCHAPv2 and does not take a Nak.
type MethodError struct {
	at
	Wanted string
}

func (e *MethodError) Error() string {
	return fmt.Sprintf("%s: the gateway wants EAP method %s, this client has MSCHAPv2; set eap-mschapv2 at the gateway", e.Step, e.Wanted)
}

// Verdict is VerdictMethod.
func (*MethodError) Verdict() Verdict { return VerdictMethod }

// ProtocolError reports that the gateway's answer breaks the protocol.
type ProtocolError struct {
	at
	Err error
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%s: the gateway's answer: %v", e.Step, e.Err)
}

// Unwrap is what was wrong.
func (e *ProtocolError) Unwrap() error { return e.Err }

// Verdict is VerdictProtocol.
func (*ProtocolError) Verdict() Verdict { return VerdictProtocol }

// DeletedError reports that the gateway ended the IKE SA, or the only Child
// SA, without which the other is of no use to a client.
type DeletedError struct {
	at
	ChildOnly bool
}

func (e *DeletedError) Error() string {
	what := "IKE SA"
	if e.ChildOnly {
		what = "Child SA"
	}
	return fmt.Sprintf("%s: the gateway deleted the %s; its log says why", e.Step, what)
}

// Verdict is VerdictDeletedByPeer.
func (*DeletedError) Verdict() Verdict { return VerdictDeletedByPeer }

// LocalError reports a fault at this end.
type LocalError struct {
	at
	Err error
}

func localError(s Step, err error) *LocalError { return &LocalError{at{s}, err} }

func (e *LocalError) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }

// Unwrap is the fault.
func (e *LocalError) Unwrap() error { return e.Err }

// Verdict is VerdictLocalFault.
func (*LocalError) Verdict() Verdict { return VerdictLocalFault }

// InterruptedError reports that the caller's context ended.
type InterruptedError struct {
	at
	Err error
}

func (e *InterruptedError) Error() string { return fmt.Sprintf("%s: interrupted: %v", e.Step, e.Err) }

// Unwrap is the context's error.
func (e *InterruptedError) Unwrap() error { return e.Err }

// Verdict is VerdictInterrupted.
func (*InterruptedError) Verdict() Verdict { return VerdictInterrupted }
