package initiator

import (
	"time"

	"bridgehead/ikev2/message"
)

// livenessTask waits for any answer.
type livenessTask struct{}

func (livenessTask) step() Step { return StepLiveness }

func (livenessTask) answer(sa *SA, _ time.Time, _ response, out *Outbox) error {
	sa.done(nil, out)
	return nil
}

// deleteTask waits for the gateway to agree to the end of the IKE SA.
type deleteTask struct{}

func (deleteTask) step() Step { return StepDelete }

func (sa *SA) requestDelete(now time.Time, out *Outbox) error {
	ps := []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}
	return sa.request(now, sa.ike, message.ExchangeInformational, ps, deleteTask{}, out)
}

// answer ends the SA, whatever the gateway said: there is nothing to refuse.
func (deleteTask) answer(sa *SA, _ time.Time, _ response, out *Outbox) error {
	sa.done(nil, out)
	sa.close(nil, out)
	return nil
}

// leave tells the gateway that this end is gone, in one datagram whose answer
// nobody awaits (RFC 7296 §2.21.2): a deletion if it takes us for logged in,
// else that it is not acceptable.
func (sa *SA) leave(now time.Time, err error, out *Outbox) {
	if sa.ike == nil || sa.ike.requests.Outstanding() || sa.cfg.Profile.SilentLeave && sa.state < stateInstalling {
		return
	}
	switch err := err.(type) {
	case *DeletedError:
		if !err.ChildOnly {
			return // the gateway has ended it
		}
	case *RefusedError, *CredentialsError, *MethodError:
		if sa.proof&proofMSK == 0 {
			return // the gateway has ended it
		}
	}
	ps := []message.Payload{&message.Notify{Kind: message.AuthenticationFailed}}
	if sa.proof&proofMSK != 0 {
		ps = []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}
	}
	// A failure to say goodbye must not hide why.
	_ = sa.request(now, sa.ike, message.ExchangeInformational, ps, deleteTask{}, out)
}
