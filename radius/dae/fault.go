package dae

import (
	"errors"
	"fmt"

	codec "layeh.com/radius"
)

var (
	errNoSession    = errors.New("nothing in the request identifies a session; expected Acct-Session-Id or another such attribute")
	errNoChange     = errors.New("the CoA-Request changes nothing; expected Session-Timeout or another such attribute")
	errNoSuchChange = errors.New("a value asks for what a session that is up can't be changed to")
	errNotFound     = errors.New("no session is what the request says")
	errNotAllowed   = errors.New("the client's configuration does not allow this kind of request")
)

// attributeFault names the attribute that a request failed for.
func attributeFault(t codec.Type) error { return fmt.Errorf("attribute %d of the request", int(t)) }

func severalFault(n int) error {
	return fmt.Errorf("%d sessions are what the request says; expected one, unless Acct-Multi-Session-Id is given or the client has many = true", n)
}
