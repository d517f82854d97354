package auth

import (
	"context"
	"fmt"

	"bridgehead/auth/eap"
)

// MSCHAPv2Response is one answer of a client to be judged (RFC 2759 §4).
type MSCHAPv2Response struct {
	Identity               string // from EAP-Identity, may be empty
	Name                   string // from the Response, as sent, DOMAIN\ included
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
// error means the verifier could not tell (Unavailable).
type Verifier interface {
	Verify(ctx context.Context, r MSCHAPv2Response) (Keys, error)
}

// MS-CHAPv2 error codes (RFC 2759 §6).
const (
	ErrorRestrictedLogonHours = 646
	ErrorAccountDisabled      = 647
	ErrorPasswordExpired      = 648
	ErrorNoDialinPermission   = 649
	ErrorAuthenticationFailed = 691
)

// Refusal is a Verifier's "no".
type Refusal struct {
	Code   int  // one of the MS-CHAPv2 error codes
	Retry  bool // whether the client may try again in the same conversation
	Reason Reason
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("refused with E=%d: %s", r.Code, r.Reason.Cause)
}
