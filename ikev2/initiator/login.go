package initiator

import (
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// login is what only the exchanges up to the first Child SA need. It is
// forgotten, and its secrets wiped, when they are over.
type login struct {
	step  Step
	began time.Time // the step

	// IKE_SA_INIT
	spi       message.SPI // ours
	nonce     []byte      // Ni
	peerNonce []byte      // Nr
	group     suite.Group
	pair      suite.KeyPair
	cookie    []byte
	restarts  int
	offered   []message.Proposal
	requests  exchange.Requests
	firstSent time.Time
	request   []byte // as sent and as received: the AUTH payloads sign
	answer    []byte // them octet for octet (RFC 7296 §2.15)

	// IKE_AUTH
	identity *message.ID // IDi
	peerID   []byte      // the body of IDr as received
	childSPI uint32
	esp      []message.Proposal // as offered
	eap      *method
	msk      suite.Secret
}

func (l *login) wipe() { l.msk.Wipe() }

// begin opens a step of the login.
func (sa *SA) begin(now time.Time, s Step) {
	sa.login.step, sa.login.began = s, now
}

// finish closes the step under way.
func (sa *SA) finish(now time.Time, out *Outbox) {
	out.Notices = append(out.Notices, StepDone{sa.login.step, now.Sub(sa.login.began)})
}

// Result is what a login brought. It is complete once Established came.
type Result struct {
	IKE         string // the suites chosen, in strongSwan's notation
	ESP         string
	Server      string      // IDr
	Certificate Certificate // of the gateway
	Signature   string      // how it signed
	EAPIdentity bool        // it asked for the EAP identity
	Method      string      // the EAP method
	// PasswordChanged tells that the password had expired, and that the
	// config's NewPassword is the user's now.
	PasswordChanged bool
	NATLocal        bool   // a NAT was seen, or announced, in front of this end
	NATRemote       bool   // in front of the gateway
	Fragments       bool   // it takes fragments (RFC 7383)
	Cookie          bool   // it asked for a cookie
	Group           string // the group it asked for instead of our first; empty if none
	Config          Configuration
	// Selectors as the gateway narrowed them.
	LocalSelectors, RemoteSelectors []message.Selector
}

// Result is what the login brought so far.
func (sa *SA) Result() Result { return sa.result }
