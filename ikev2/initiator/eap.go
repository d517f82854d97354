package initiator

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"time"

	"bridgehead/auth/eap"
	"bridgehead/auth/mschapv2"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// maxEAPRounds bounds the EAP conversation: MSCHAPv2 needs four, with a Nak
// five.
const maxEAPRounds = 16

// method is the EAP conversation of a login.
type method struct {
	client *mschapv2.Client
	rounds int
	naked  string // the method last refused by us; empty if none
}

// eapTask waits for the gateway's next EAP packet. refused is set once the
// method has failed and only its end is awaited.
type eapTask struct {
	at      Step
	refused error
}

func (t eapTask) step() Step { return t.at }

func (sa *SA) newMethod() *method {
	c := mschapv2.NewClient(sa.cfg.User, sa.cfg.Password, sa.cfg.Rand)
	c.NewPassword = bytes.Clone(sa.cfg.NewPassword) // the client wipes it
	if sa.cfg.Profile.EmptyIdentity {
		c.Identity = ""
	}
	return &method{client: c}
}

func (t eapTask) answer(sa *SA, now time.Time, r response, out *Outbox) error {
	packet := message.Find[*message.EAP](r.payloads)
	if packet == nil {
		if t.refused != nil {
			return t.refused
		}
		if n := refusal(r.payloads); n != nil {
			return &RefusedError{at{t.at}, n.Kind, n.Data}
		}
		return missing(t.at, "EAP")
	}
	return sa.answerEAP(now, packet.Packet, out)
}

// answerEAP takes one EAP packet and sends the answer, or our AUTH after
// EAP-Success.
func (sa *SA) answerEAP(now time.Time, packet []byte, out *Outbox) error {
	m, last := sa.login.eap, sa.login.step
	if m.rounds++; m.rounds > maxEAPRounds {
		return &ProtocolError{at{last}, errors.New("ikev2: the EAP conversation does not end")}
	}
	request, err := eap.Parse(packet)
	if err != nil {
		return &ProtocolError{at{last}, err}
	}
	answer, err := m.client.Respond(packet)
	task := eapTask{at: last}
	if err != nil {
		if task.refused = sa.eapFailure(err); answer == nil {
			return task.refused
		}
	} else {
		sa.finish(now, out)
		if m.client.Done() {
			return sa.eapSucceeded(now, out)
		}
		task.at = sa.eapStep(request, answer)
		sa.begin(now, task.at)
	}
	return sa.request(now, sa.ike, message.ExchangeAuth, []message.Payload{&message.EAP{Packet: answer}}, task, out)
}

// eapStep names what our answer to request begins.
func (sa *SA) eapStep(request eap.Packet, answer []byte) Step {
	if p, err := eap.Parse(answer); err == nil && p.IsNak() {
		sa.login.eap.naked = request.Type.String()
		return StepMethod
	}
	if request.Type == eap.TypeIdentity {
		sa.result.EAPIdentity = true
		return StepIdentity
	}
	if m, err := eap.ParseMSCHAPv2(request); err == nil {
		sa.result.Method = "MSCHAPv2"
		switch m.(type) {
		case *eap.SuccessRequest:
			return StepSuccess
		case *eap.FailureRequest: // one that asks for a new password
			sa.result.PasswordChanged = true
		}
	}
	return StepChallenge
}

// eapFailure names why the conversation failed.
func (sa *SA) eapFailure(err error) error {
	var refused *mschapv2.FailedError
	step := sa.login.step
	switch {
	case errors.As(err, &refused) && refused.Code == 0 && sa.login.eap.naked != "" && sa.result.Method == "":
		return &MethodError{at{step}, sa.login.eap.naked}
	case errors.As(err, &refused):
		return &CredentialsError{at{step}, sa.cfg.User, refused.Code, refused.Message}
	case errors.Is(err, mschapv2.ErrServerProof), errors.Is(err, mschapv2.ErrSuccessTooEarly):
		return &SignatureError{at{step}, err}
	}
	return &ProtocolError{at{step}, err}
}

func (sa *SA) eapSucceeded(now time.Time, out *Outbox) error {
	sa.login.msk = suite.Secret(sa.login.eap.client.MSK())
	sa.proof |= proofEAP
	return sa.sendFinal(now, out)
}

// equal compares authenticators in constant time.
func equal(a, b []byte) bool { return hmac.Equal(a, b) }
