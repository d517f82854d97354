package ikev2

import (
	"bytes"
	"net/netip"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
)

// natSituation is what NAT detection found (RFC 7296 §2.23).
type natSituation struct {
	supported bool // the client sent the notifications
	client    bool // a NAT in front of the client
	gateway   bool // a NAT in front of us
	announced bool // we announce one, so that the client encapsulates
}

// encap tells whether ESP goes in UDP.
func (n natSituation) encap() bool { return n.supported && (n.client || n.gateway || n.announced) }

// detectNAT compares the hashes of a request with the addresses it came with.
func detectNAT(m *message.Message, local, remote netip.AddrPort, announced bool) natSituation {
	source := exchange.NATHash(m.Header.InitiatorSPI, m.Header.ResponderSPI, remote)
	destination := exchange.NATHash(m.Header.InitiatorSPI, m.Header.ResponderSPI, local)
	var sawSource, sawDestination, sourceFits, destinationFits bool
	for n := range message.All[*message.Notify](m.Payloads) {
		switch n.Kind {
		case message.NATDetectionSourceIP: // one for each address the client may send from
			sawSource = true
			sourceFits = sourceFits || bytes.Equal(n.Data, source[:])
		case message.NATDetectionDestinationIP:
			sawDestination = true
			destinationFits = destinationFits || bytes.Equal(n.Data, destination[:])
		}
	}
	supported := sawSource && sawDestination
	return natSituation{
		supported: supported,
		client:    supported && !sourceFits,
		gateway:   supported && !destinationFits,
		announced: announced,
	}
}

// notifies are our own two notifications. To announce a NAT the source hash
// covers the unspecified address, which no packet comes from.
func (n natSituation) notifies(spii, spir message.SPI, local, remote netip.AddrPort) []message.Payload {
	from := local
	if n.announced {
		from = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	source := exchange.NATHash(spii, spir, from)
	destination := exchange.NATHash(spii, spir, remote)
	return []message.Payload{
		status(message.NATDetectionSourceIP, source[:]),
		status(message.NATDetectionDestinationIP, destination[:]),
	}
}
