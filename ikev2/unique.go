package ikev2

import (
	"fmt"

	"bridgehead/auth"
)

// Unique is the policy for a client that logs in while a session of the same
// client stands: of the same verified user and IKE identity and, where that
// identity is an address, from the same outer address. A user may have any
// number of other sessions unless the Grant limits them.
type Unique uint8

// Policies. By INITIAL_CONTACT a client says that its former sessions are
// gone (RFC 7296 §2.4); UniqueNever alone does not heed it.
const (
	UniqueNo      Unique = iota // former sessions end by INITIAL_CONTACT alone
	UniqueReplace               // a new login ends the former session in any case
	UniqueKeep                  // a new login is refused while the former session stands
	UniqueNever                 // former sessions always stay
)

// fate is what becomes of a client's former sessions at a login.
type fate uint8

const (
	stay   fate = iota
	end         // for the sake of the login
	forbid      // they stay, and the login is refused
)

// fate is that of the client's former sessions, and the cause if they end.
func (u Unique) fate(initialContact bool) (fate, Cause) {
	switch {
	case initialContact && u != UniqueNever:
		return end, CauseReplaced
	case u == UniqueReplace:
		return end, CauseSuperseded
	case u == UniqueKeep:
		return forbid, ""
	}
	return stay, ""
}

// keptFault is a login refused for the sake of a session that stands. That is
// not asked whether it still lives: the answer would come after the client
// has lost its patience, and strongSwan does not ask either.
func keptFault(session string) error {
	return &PeerFault{Cause: CauseSessionKept, Evidence: []auth.Evidence{
		{Key: "policy", Value: "keep: the former session stays"},
		{Key: "former session", Value: session},
		{Key: "liveness", Value: "not asked"},
	}}
}

func tooManyFault(allowed int) error {
	return &PeerFault{Cause: CauseTooManySessions, Evidence: []auth.Evidence{{Key: "allowed", Value: fmt.Sprint(allowed)}}}
}
