package radius

import (
	"errors"
	"fmt"
	"time"
)

var errBusy = errors.New("radius: every identifier is in use")

var errTurnedAway = errors.New("the server ended the connection before it answered anything: it may not take this gateway's certificate")

var errNoGroup = &ConfigError{Server: "(none)", Fault: "no group of servers is given; name one, for users of all realms or of some"}

// ErrClosed tells that the Server was closed.
var ErrClosed = errors.New("radius: the client of this server is closed")

// ConfigError is a setting of a server that can't work.
type ConfigError struct {
	Server string // its name, or its address
	Fault  string // what is wrong and what to do
}

func (e *ConfigError) Error() string { return fmt.Sprintf("radius server %s: %s", e.Server, e.Fault) }

// SilentError tells that a server did not answer a request, and how long it
// was waited for.
type SilentError struct {
	Server   string
	Waited   time.Duration
	Sent     int    // how often the request went out at most
	Forged   uint64 // replies discarded meanwhile: malformed, or with a wrong authenticator
	Unsigned uint64 // replies discarded meanwhile: without Message-Authenticator
	Cause    error  // what the network said, such as "connection refused"; may be nil
}

func (e *SilentError) Error() string {
	text := fmt.Sprintf("RADIUS server %s did not answer within %s", e.Server, e.Waited.Round(time.Millisecond))
	if e.Forged > 0 {
		text += fmt.Sprintf("; %d replies were not authentic: compare the shared secrets", e.Forged)
	}
	if e.Unsigned > 0 {
		text += fmt.Sprintf("; %d replies had no Message-Authenticator: have the server add one to every reply", e.Unsigned)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

func (e *SilentError) Unwrap() error { return e.Cause }
