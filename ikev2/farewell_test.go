package ikev2

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/message"
)

// Windows alone is told by a code of its own why its user was refused for
// good, beside the EAP-Failure.
func TestWindowsIsToldWhy(t *testing.T) {
	microsoft := &message.VendorID{Data: append(slices.Clone(vendorMicrosoft), 0, 0, 0, 9)}
	for _, c := range []struct {
		cause   Cause
		windows bool
		code    []byte
	}{
		{auth.CauseWrongPassword, true, []byte{0, 0, 2, 0xb3}},
		{auth.CauseUnknownUser, true, []byte{0, 0, 2, 0xb3}},
		{auth.CauseAccountDisabled, true, []byte{0, 0, 2, 0x87}},
		{auth.CausePasswordExpired, true, []byte{0, 0, 2, 0x88}},
		{auth.CauseNoDialinPermission, true, []byte{0, 0, 2, 0x89}},
		{auth.CauseMethodRefused, true, nil},
		{auth.CauseWrongPassword, false, nil},
	} {
		b := &scripted{steps: []auth.Step{{Packet: []byte{1, 7, 0, 5, 1}}, {Verdict: auth.Reject, Reason: auth.Reason{Cause: c.cause}}}}
		w := newWorld(t, 1, func(cfg *Config) { cfg.Backend = b })
		p := w.newPeer()
		if c.windows {
			p.extensions = append(p.extensions, microsoft)
		}
		p.init().identify()
		answer := p.request(message.ExchangeAuth, &message.EAP{Packet: []byte{2, 7, 0, 5, 1}})
		if e := message.Find[*message.EAP](answer); e == nil || e.Packet[0] != eapFailed {
			t.Errorf("%s: the answer %s holds no EAP-Failure", c.cause, describe(answer))
		}
		var code []byte
		if n := message.FindNotify(answer, message.MSStatus); n != nil {
			code = n.Data
		}
		if !bytes.Equal(code, c.code) {
			t.Errorf("%s, Windows %v: code %x, expected %x", c.cause, c.windows, code, c.code)
		}
	}
}

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
