package auth

import (
	"context"
	"fmt"

	"bridgehead/auth/eap"
)

// MSCHAPv2Response is one answer of a client to be judged (RFC 2759 §4).
type MSCHAPv2Response struct {
	Peer                   Peer   // the client, as its conversation began
	Identity               string // from EAP-Identity, may be empty
	Name                   string // from the Response, as sent, DOMAIN\ included
	Ident                  uint8  // the MS-CHAPv2-ID of the answer
	AuthenticatorChallenge [16]byte
	PeerChallenge          [16]byte
	NTResponse             eap.NTResponse
	WholeName              bool // the name is looked up as it is alone
}

// Keys is the proof that an answer was right.
type Keys struct {
	AuthenticatorResponse [20]byte // what "S=" tells the client (RFC 2759 §8.7)
	Grant                 Grant    // Name and MSK are set
}

// Verifier judges one MS-CHAPv2 answer. A refusal is a *Refusal; any other
// error means that the verifier could not tell (Unavailable), an *OutageError
// with the reason for it.
type Verifier interface {
	Verify(ctx context.Context, r MSCHAPv2Response) (Keys, error)
}

// PasswordChange is a new password, encrypted so that only whoever knows the
// old one's hash can read it (RFC 2759 §7).
type PasswordChange struct {
	// Response answers the challenge with the new password.
	Response          MSCHAPv2Response
	EncryptedPassword eap.EncryptedPassword
	EncryptedHash     eap.EncryptedHash
	Flags             uint16
}

// PasswordChanger is a Verifier that can also set a new password for a client
// that it refused with ErrorPasswordExpired. Keys and errors are as those of
// Verify, and the keys are the new password's.
type PasswordChanger interface {
	Verifier
	ChangePassword(ctx context.Context, c PasswordChange) (Keys, error)
}

// MS-CHAPv2 error codes (RFC 2759 §6).
const (
	ErrorRestrictedLogonHours = 646
	ErrorAccountDisabled      = 647
	ErrorPasswordExpired      = 648
	ErrorNoDialinPermission   = 649
	ErrorAuthenticationFailed = 691
	ErrorChangingPassword     = 709
)

// Refusal is a Verifier's "no".
type Refusal struct {
	Code  int  // one of the MS-CHAPv2 error codes
	Retry bool // whether the client may try again in the same conversation
	// Challenge is the one that the next answer is for; nil: any that is new.
	Challenge *[16]byte
	Message   string // for the user; empty: what Code says
	Reason    Reason
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("refused with E=%d: %s", r.Code, r.Reason.Cause)
}

// OutageError tells why a Verifier could not judge an answer.
type OutageError struct {
	Reason Reason
	Err    error // what failed; may be nil
}

func (e *OutageError) Error() string {
	if e.Err == nil {
		return e.Reason.Text()
	}
	return e.Reason.Text() + " " + e.Err.Error()
}

func (e *OutageError) Unwrap() error { return e.Err }
