package ikev2

import (
	"fmt"
	"strings"
)

// State is where an IKE SA stands, named for what it awaits.
type State uint8

// States.
const (
	StateKeying      State = iota // IKE_SA_INIT came, our key exchange runs
	StateAwaitAuth                // IKE_SA_INIT answered; awaits the first IKE_AUTH
	StateAwaitEAP                 // we authenticated ourselves; awaits EAP responses
	StateAwaitProof               // EAP succeeded; awaits the client's AUTH
	StateEstablished              // both ends are authenticated
	StateReplaced                 // rekeyed; awaits the client's DELETE
	StateClosing                  // our DELETE is sent; awaits its answer
	StateRefused                  // the login failed; only repeats its last answer, if any
	StateDead                     // nothing is left but to be forgotten
)

var stateNames = [...]string{"keying", "await-auth", "await-eap", "await-proof", "established", "replaced", "closing", "refused", "dead"}

// String is the state's name in kebab case.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// halfOpen tells a login under way from everything after it.
func (s State) halfOpen() bool { return s < StateEstablished }

// evidence is what an SA has seen proved, as bits.
type evidence uint8

const (
	provedKeys        evidence = 1 << iota // the client opened a message with SKEYSEED's keys
	provedSignature                        // our signature over our first message was made
	provedEAP                              // the backend accepted the user
	provedMSK                              // the master session key is known
	provedPeerAuth                         // the client's AUTH was verified over the MSK
	provedOwnAuth                          // our AUTH over the MSK was made
	provedInheritance                      // made by an established SA's own rekey exchange
)

var evidenceNames = [...]string{"keys", "our signature", "EAP success", "master session key", "client's AUTH", "our AUTH", "inheritance"}

func (e evidence) String() string {
	var names []string
	for i, n := range evidenceNames {
		if e&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}

// transition is one way from a state to another and the evidence it needs.
type transition struct {
	from, to State
	needs    evidence
}

const provedLogin = provedKeys | provedSignature | provedEAP | provedMSK | provedPeerAuth | provedOwnAuth

// transitions are all there are, but for the way to StateDead, which is open
// to all. No way leads to StateEstablished but over both AUTH payloads, or
// from an SA that has gone it.
var transitions = []transition{
	{StateKeying, StateAwaitAuth, 0},
	{StateAwaitAuth, StateAwaitEAP, provedKeys | provedSignature},
	{StateAwaitEAP, StateAwaitProof, provedKeys | provedSignature | provedEAP | provedMSK},
	{StateAwaitProof, StateEstablished, provedLogin},
	{StateKeying, StateEstablished, provedInheritance},
	{StateEstablished, StateReplaced, 0},
	{StateEstablished, StateClosing, 0},
	{StateKeying, StateRefused, 0},
	{StateAwaitAuth, StateRefused, provedKeys},
	{StateAwaitEAP, StateRefused, provedKeys},
	{StateAwaitProof, StateRefused, provedKeys},
	{StateEstablished, StateRefused, 0},
	{StateReplaced, StateRefused, 0},
	{StateClosing, StateRefused, 0},
}

// TransitionError is a move between states that the evidence does not allow:
// a fault of this program, caught before it does harm.
type TransitionError struct {
	From, To State
	Missing  string // the evidence lacking; empty if there is no such way at all
}

func (e *TransitionError) Error() string {
	if e.Missing == "" {
		return fmt.Sprintf("ikev2: refused move: no way leads from %s to %s", e.From, e.To)
	}
	return fmt.Sprintf("ikev2: refused move from %s to %s: lacking %s", e.From, e.To, e.Missing)
}

// prove records evidence. It is called where the proof was checked, nowhere
// else.
func (sa *SA) prove(e evidence) { sa.evidence |= e }

// move is the only function that changes the state.
func (sa *SA) move(to State) error {
	if to == StateDead {
		sa.state = StateDead
		return nil
	}
	for _, t := range transitions {
		if t.from != sa.state || t.to != to {
			continue
		}
		if lacking := t.needs &^ sa.evidence; lacking != 0 {
			sa.reg.count(DropRefusedMove)
			return &TransitionError{From: sa.state, To: to, Missing: lacking.String()}
		}
		sa.state = to
		return nil
	}
	sa.reg.count(DropRefusedMove)
	return &TransitionError{From: sa.state, To: to}
}
