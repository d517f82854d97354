package radius

import (
	"context"
	"io"
	"time"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"bridgehead/auth"
)

// Start is who asks for the client's EAP identity (RFC 3579 §2.1).
type Start uint8

// Ways to start a conversation.
const (
	// AskClient has the gateway ask, which saves a round trip to the server.
	AskClient Start = iota
	// AskServer has the server ask: the gateway sends EAP-Start.
	AskServer
	// AssumeIDi asks nobody: the IKE identity is the EAP identity.
	AssumeIDi
)

// BackendConfig is the EAP pass-through.
type BackendConfig struct {
	Group  *Group            // asked where Realms has no other; nil: such users are refused
	Realms map[string]*Group // by realm in lower case: "example.org" of "alice@example.org"
	Start  Start
	// NASIdentifier names this gateway to the servers.
	NASIdentifier string
	// FramedMTU is the size of EAP packets that servers keep to, in octets
	// (RFC 3579 §2.4); 0: 1100.
	FramedMTU int
	// StationPort adds the port to Called- and Calling-Station-Id.
	StationPort bool
	// StepTime bounds each step, beside what its context allows; 0: no bound.
	StepTime time.Duration
	Rand     io.Reader // nil: crypto/rand
}

// Backend passes EAP through to RADIUS servers. It is an auth.Backend.
type Backend struct {
	access
	config BackendConfig
}

// NewBackend makes a backend over groups, which stay the caller's to close.
func NewBackend(c BackendConfig) (*Backend, error) {
	if c.Group == nil && len(c.Realms) == 0 {
		return nil, errNoGroup
	}
	if c.FramedMTU == 0 {
		c.FramedMTU = defaultFramedMTU
	}
	if c.FramedMTU < 64 || c.FramedMTU > 65535 { // RFC 2865 §5.12
		return nil, &ConfigError{Server: "(all)", Fault: "framed_mtu must be 64 to 65535"}
	}
	c.Rand = Options{Rand: c.Rand}.withDefaults().Rand
	return &Backend{access{c.Group, c.Realms, c.NASIdentifier, c.StationPort}, c}, nil
}

// Begin implements auth.Backend.
func (b *Backend) Begin(ctx context.Context, peer auth.Peer) (auth.Conversation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	about := b.about(peer)
	about.Add(rfc2865.FramedMTU_Type, codec.NewInteger(uint32(b.config.FramedMTU))) // RFC 3579 §2.4
	return &conversation{backend: b, peer: peer, about: about}, nil
}

// phase is what a conversation awaits.
type phase uint8

const (
	expectStart phase = iota
	expectIdentity
	expectResponse
	ended
)

// conversation is one login. Its server, state and method are those of the
// present try; a restart forgets all three.
type conversation struct {
	backend *Backend
	peer    auth.Peer
	about   codec.Attributes

	phase    phase
	id       uint8  // of the open request
	open     []byte // the open request, as relayed
	strays   int    // packets that answered no open request
	restarts int
	outage   auth.Reason // why the conversation started over

	identity string // as User-Name has it
	group    *Group
	server   *Server
	state    codec.Attributes
	method   string        // the last one that the server asked for
	failed   *auth.Refusal // what the server's MS-CHAPv2 Failure said
}
