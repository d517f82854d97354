package ikev2

import (
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/message"
)

// Clients leave an unfinished login in several ways; what is reported is why.
func TestFarewellsOfUnfinishedLoginsAreExplained(t *testing.T) {
	authFailed := func(p *peer) {
		p.request(message.ExchangeInformational, status(message.AuthenticationFailed, nil))
	}
	disconnect := func(p *peer) {
		p.request(message.ExchangeInformational, &message.Delete{Protocol: message.ProtocolIKE})
	}
	nothing := func(*peer) {}
	for _, c := range []struct {
		name     string
		password string
		rounds   int // of EAP
		leave    func(*peer)
		cause    Cause
		silent   bool
	}{
		{"our certificate refused", "wonderland", 0, authFailed, CauseClientRefusedServer, false},
		{"deleted at the certificate", "wonderland", 0, disconnect, CauseClientGaveUp, false},
		{"gave up in EAP", "wonderland", 1, authFailed, CauseClientGaveUp, false},
		{"wrong password", "looking-glass", 2, authFailed, auth.CauseWrongPassword, false},
		{"wrong password, deleted", "looking-glass", 2, disconnect, auth.CauseWrongPassword, false},
		{"wrong password, silent", "looking-glass", 2, nothing, auth.CauseWrongPassword, true},
		{"right password, our proof refused", "wonderland", 2, authFailed, CauseClientGaveUp, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			p := w.newPeer().init()
			p.eap = mschapv2.NewClient("alice", []byte(c.password), w.octets)
			p.identify()
			for range c.rounds {
				p.answerEAP()
			}
			c.leave(p)
			w.run(2*time.Minute, nil)
			rs := w.refusals()
			if len(rs) != 1 || rs[0].Cause != c.cause || rs[0].Silent != c.silent || len(rs[0].Evidence) == 0 {
				t.Errorf("refusals %s, expected %s, silent: %t", describeRefusals(rs), c.cause, c.silent)
			}
			w.mustBeEmpty()
		})
	}
}
