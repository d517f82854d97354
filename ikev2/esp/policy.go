package esp

// Policy holds the inner packets of one Child SA to its traffic selectors, in
// both directions (RFC 4301 §5.1, §5.2). It is immutable.
type Policy struct {
	local, remote selectors
	onlyAddresses bool
}

// NewPolicy compiles c's selectors.
func NewPolicy(c *Child) *Policy {
	p := &Policy{local: compileSelectors(c.Local), remote: compileSelectors(c.Remote)}
	p.onlyAddresses = p.local.onlyAddresses() && p.remote.onlyAddresses()
	return p
}

// In checks a packet that came out of the tunnel: its source must lie within
// the peer's selectors and its destination within the local ones. The error is
// ErrInnerPacket or ErrSelector.
func (p *Policy) In(inner []byte) error {
	return p.check(inner, p.remote, p.local)
}

// Out checks a packet that is to enter the tunnel, the other way round.
func (p *Policy) Out(inner []byte) error {
	return p.check(inner, p.local, p.remote)
}

func (p *Policy) check(inner []byte, source, destination selectors) error {
	f, err := parseFlow(inner, p.onlyAddresses)
	if err != nil {
		return err
	}
	if !source.match(f.source, f.protocol, f.sourcePort) ||
		!destination.match(f.destination, f.protocol, f.destinationPort) {
		return ErrSelector
	}
	return nil
}
