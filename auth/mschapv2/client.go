package mschapv2

import (
	"errors"
	"fmt"
	"io"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// clientState is what a Client awaits.
type clientState uint8

const (
	expectChallenge clientState = iota
	expectResult                // the server's Success or Failure request
	expectEAPSuccess
	clientDone
	clientFailed
)

// ErrSuccessTooEarly tells that the server claimed success before it proved
// that it knows the password.
var ErrSuccessTooEarly = errors.New("the server announced success without proving that it knows the password: don't trust it")

// ErrServerProof tells that the server's proof "S=" is wrong: it doesn't know
// the password.
var ErrServerProof = errors.New("the server's authenticator response is wrong: it doesn't know the password, don't trust it")

// ErrEnded tells that the conversation ended before; nothing can follow.
var ErrEnded = errors.New("the EAP conversation has ended")

// FailedError is the server's refusal (RFC 2759 §6). Code is zero where the
// server sent EAP-Failure without one.
type FailedError struct {
	Code    int
	Retry   bool // the server would take another try; a Client makes one per conversation
	Message string
}

func (e *FailedError) Error() string {
	if e.Code == 0 {
		return "the server refused the login without a reason"
	}
	return fmt.Sprintf("the server refused the login: %s (E=%d)%s", codeText(e.Code), e.Code, quoted(e.Message))
}

// UnexpectedError tells that the server sent what its state doesn't allow.
type UnexpectedError struct{ Got, Expected string }

func (e *UnexpectedError) Error() string {
	return fmt.Sprintf("the server sent %s, expected %s", e.Got, e.Expected)
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(": %q", s)
}

func codeText(code int) string {
	switch code {
	case auth.ErrorRestrictedLogonHours:
		return "not at this hour"
	case auth.ErrorAccountDisabled:
		return "account disabled"
	case auth.ErrorPasswordExpired:
		return "password expired"
	case auth.ErrorNoDialinPermission:
		return "no permission to dial in"
	case auth.ErrorAuthenticationFailed:
		return "wrong user name or password"
	case auth.ErrorChangingPassword:
		return "the password was not changed"
	}
	return "unknown error"
}

// Client is the peer's end of one EAP-MSCHAPv2 conversation. It does no I/O.
type Client struct {
	// Identity is the answer to EAP-Request/Identity; NewClient sets the
	// user's name. Android sends none.
	Identity string
	// NewPassword, in UTF-8, is what the client changes an expired password to
	// (RFC 2759 §7), once; nil: an expired password ends the login. The client
	// wipes it when the conversation ends.
	NewPassword auth.Secret

	user  string
	hash  auth.NTHash
	rand  io.Reader
	state clientState

	lastID   int    // identifier of the last request answered, -1 before
	last     []byte // the answer to it, for a request that comes again
	refused  *FailedError
	expected [20]byte // the server's proof
	ntAnswer [24]byte
	msk      auth.Secret
	changed  bool // the password: NewPassword is the one in use
}

// NewClient gives a client that logs in with a password in UTF-8, which it
// hashes at once and keeps no copy of. rand gives peer challenges.
func NewClient(user string, password []byte, rand io.Reader) *Client {
	return NewHashClient(user, auth.HashPassword(password), rand)
}

// NewHashClient is NewClient where only the password's hash is known, which is
// all that an answer takes (RFC 2759 §8.5).
func NewHashClient(user string, hash auth.NTHash, rand io.Reader) *Client {
	return &Client{Identity: user, user: user, hash: hash, rand: rand, lastID: -1}
}

// Done tells that the server proved itself and sent EAP-Success: MSK is set.
func (c *Client) Done() bool { return c.state == clientDone }

// Failed tells that the conversation ended in failure.
func (c *Client) Failed() bool { return c.state == clientFailed }

// MSK is the exported key of 64 octets, nil unless Done.
func (c *Client) MSK() auth.Secret {
	if c.state != clientDone {
		return nil
	}
	return c.msk
}

// Respond takes the server's EAP packet and gives the answer to send; nil
// after EAP-Success. On a *FailedError the response, if not nil, is the
// acknowledgement that the server waits for before its EAP-Failure. Other
// errors are *eap.SyntaxError (ignore the packet), *UnexpectedError,
// ErrServerProof, ErrSuccessTooEarly, ErrEnded, or the random source's.
func (c *Client) Respond(request []byte) (response []byte, err error) {
	p, err := eap.Parse(request)
	if err != nil {
		return nil, err
	}
	if c.state == clientDone || c.state == clientFailed && p.Code == eap.CodeRequest {
		return nil, ErrEnded
	}
	switch p.Code {
	case eap.CodeSuccess:
		return nil, c.success()
	case eap.CodeFailure:
		return nil, c.failure()
	case eap.CodeRequest:
		return c.request(p)
	}
	return nil, &UnexpectedError{Got: "an EAP " + p.Code.String(), Expected: "a Request"}
}

func (c *Client) success() error {
	if c.state != expectEAPSuccess {
		c.fail()
		return ErrSuccessTooEarly
	}
	c.state = clientDone
	c.wipe()
	return nil
}

func (c *Client) failure() error {
	refused := c.refused
	c.fail()
	if refused == nil {
		refused = &FailedError{}
	}
	return refused
}

func (c *Client) fail() {
	c.state = clientFailed
	c.wipe()
	c.msk.Wipe()
	c.msk = nil
}

func (c *Client) wipe() {
	c.hash.Wipe()
	c.NewPassword.Wipe()
	c.NewPassword = nil
}

// request answers each Request once; the same identifier again gets the same
// octets (RFC 3748 §4.1).
func (c *Client) request(p eap.Packet) ([]byte, error) {
	if int(p.Identifier) == c.lastID {
		return c.last, nil
	}
	var response []byte
	var err error
	switch p.Type {
	case eap.TypeIdentity:
		response = eap.Packet{Code: eap.CodeResponse, Identifier: p.Identifier, Type: eap.TypeIdentity, Data: []byte(c.Identity)}.Append(nil)
	case eap.TypeNotification: // RFC 3748 §5.2: acknowledged, whatever it says
		response = eap.Packet{Code: eap.CodeResponse, Identifier: p.Identifier, Type: eap.TypeNotification}.Append(nil)
	case eap.TypeMSCHAPv2:
		response, err = c.method(p)
	case eap.TypeExpanded:
		response = eap.NewExpandedNak(p.Identifier, eap.Method{Type: uint32(eap.TypeMSCHAPv2)}).Append(nil)
	default:
		response = eap.NewNak(p.Identifier, eap.TypeMSCHAPv2).Append(nil)
	}
	if response != nil {
		c.lastID, c.last = int(p.Identifier), response
	}
	return response, err
}

// method answers a packet of the method. A *FailedError comes with the
// acknowledgement of the refusal.
func (c *Client) method(p eap.Packet) ([]byte, error) {
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *eap.Challenge:
		if c.state != expectChallenge {
			return nil, c.unexpected("a second challenge")
		}
		return c.answer(p.Identifier, m)
	case *eap.SuccessRequest:
		if c.state != expectResult {
			return nil, c.unexpected("a success request")
		}
		return c.proof(p.Identifier, m)
	case *eap.FailureRequest:
		if c.state != expectResult {
			return nil, c.unexpected("a failure request")
		}
		return c.refusal(p.Identifier, m)
	}
	return nil, c.unexpected("an MS-CHAPv2 packet of the client's side")
}

func (c *Client) unexpected(got string) error {
	expected := [...]string{expectChallenge: "a challenge", expectResult: "success or failure", expectEAPSuccess: "EAP-Success", clientFailed: "EAP-Failure"}[c.state]
	c.fail()
	return &UnexpectedError{Got: got, Expected: expected}
}

func (c *Client) answer(id uint8, m *eap.Challenge) ([]byte, error) {
	r := eap.Response{MSID: m.MSID, Name: c.user}
	if err := c.respondTo(m.Challenge, &r.PeerChallenge, &r.NTResponse); err != nil {
		return nil, err
	}
	return eap.NewMSCHAPv2(id, &r).Append(nil), nil
}

// respondTo answers a challenge with the password in use.
func (c *Client) respondTo(authenticator [16]byte, peer *[16]byte, response *eap.NTResponse) error {
	if _, err := io.ReadFull(c.rand, peer[:]); err != nil {
		return fmt.Errorf("make a peer challenge: %w", err)
	}
	challenge := ChallengeHash(*peer, authenticator, c.user)
	*response = ChallengeResponse(challenge, &c.hash)
	hashHash := c.hash.HashHash()
	defer hashHash.Wipe()
	c.ntAnswer = *response
	c.expected = AuthenticatorResponse(&hashHash, *response, challenge)
	c.state = expectResult
	return nil
}

// change answers the refusal of an expired password with the new one
// (RFC 2759 §7).
func (c *Client) change(id, msid uint8, authenticator [16]byte) ([]byte, error) {
	old, changed := c.hash, auth.HashPassword(c.NewPassword)
	defer old.Wipe()
	m := eap.ChangePassword{MSID: msid + 1, EncryptedHash: EncryptHash(&old, &changed)}
	var err error
	if m.EncryptedPassword, err = EncryptPassword(c.NewPassword, &old, c.rand); err != nil {
		return nil, err
	}
	c.hash, c.changed = changed, true
	if err := c.respondTo(authenticator, &m.PeerChallenge, &m.NTResponse); err != nil {
		return nil, err
	}
	return eap.NewMSCHAPv2(id, &m).Append(nil), nil
}

func (c *Client) proof(id uint8, m *eap.SuccessRequest) ([]byte, error) {
	s, err := eap.ParseSuccessMessage(m.Message)
	if err != nil || !equal(s.AuthenticatorResponse[:], c.expected[:]) {
		c.fail()
		return nil, ErrServerProof
	}
	hashHash := c.hash.HashHash()
	defer hashHash.Wipe()
	c.msk = MSK(&hashHash, c.ntAnswer)
	c.state = expectEAPSuccess
	return eap.NewMSCHAPv2(id, &eap.SuccessResponse{}).Append(nil), nil
}

// refusal acknowledges even what can't be read: the server waits for it.
func (c *Client) refusal(id uint8, m *eap.FailureRequest) ([]byte, error) {
	c.refused = &FailedError{}
	if f, err := eap.ParseFailureMessage(m.Message); err == nil {
		if f.Error == auth.ErrorPasswordExpired && f.Challenge != nil && c.NewPassword != nil && !c.changed {
			packet, err := c.change(id, m.MSID, [16]byte(f.Challenge))
			if err != nil {
				c.fail()
			}
			return packet, err
		}
		c.refused = &FailedError{Code: f.Error, Retry: f.Retry, Message: f.Text}
	}
	c.state = clientFailed
	c.wipe()
	return eap.NewMSCHAPv2(id, &eap.FailureResponse{}).Append(nil), c.refused
}
