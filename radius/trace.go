package radius

import (
	"time"

	codec "layeh.com/radius"
)

// Direction is what became of a packet.
type Direction uint8

// Directions.
const (
	Sent      Direction = iota // to the server
	Received                   // from it, and authentic
	Discarded                  // from it, and not to be believed: Error says why
)

// Hop is one packet between the gateway and a server, for whoever watches a
// login closely. It holds no secret: what could be one is described.
type Hop struct {
	Time       time.Time
	Server     string // its name
	Direction  Direction
	Code       string // such as "Access-Request"
	Identifier uint8
	Try        int           // of what was sent: which sending of the same packet, from 1
	Answers    string        // of what was received: the code of the request
	RoundTrip  time.Duration // of what was received: since the request was sent the first time
	Attributes []NamedValue  // as they stand in the packet; of a packet that can't be read, none
	Error      error
}

// NamedValue is an attribute in words.
type NamedValue struct{ Name, Value string }

// trace tells Options.Observe of a packet.
func (s *Server) trace(h Hop, packet []byte) {
	if s.options.Observe == nil {
		return
	}
	h.Time, h.Server = s.options.Now(), s.Name()
	if len(packet) >= headerLen {
		h.Code, h.Identifier = codec.Code(packet[0]).String(), packet[1]
		if _, attrs, err := whole(packet); err == nil {
			h.Attributes = describe(attrs)
		}
	}
	s.options.Observe(h)
}
