package provision

import (
	"fmt"
	"strconv"
)

// NameError reports a name that cannot stand in a profile.
type NameError struct {
	What    string // whose name it is
	Name    string
	Problem string
}

// Error names the name and the problem.
func (e *NameError) Error() string {
	if e.Name == "" {
		return e.What + " " + e.Problem + ": choose one"
	}
	return e.What + " " + strconv.Quote(e.Name) + ": " + e.Problem + ": choose another one"
}

// PortError reports a gateway whose ports a client cannot be told.
type PortError struct {
	Client    Client
	IKE, NATT uint16 // the gateway's
}

// Error names the ports and the way out.
func (e *PortError) Error() string {
	return fmt.Sprintf("the gateway's ports are %d and %d, but %s dials 500 and 4500 only: "+
		"leave server.ike_port and server.nat_port at their defaults, or profile another client", e.IKE, e.NATT, e.Client)
}

// SuiteError reports that a client can be set to nothing that the gateway
// accepts.
type SuiteError struct {
	Client Client
	Err    error // a *suite.NoProposalError
}

// Error says what is accepted, what the client can do, and what to add.
func (e *SuiteError) Error() string {
	return fmt.Sprintf("%s cannot be set to anything that the gateway accepts: %v; "+
		"every client knows aes256-sha256-modp2048 for [ike] and aes256-sha256 for [esp]", e.Client, e.Err)
}

// Unwrap gives the cause.
func (e *SuiteError) Unwrap() error { return e.Err }
