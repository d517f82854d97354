package mschapv2

import (
	"context"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// changer can set a new password for a client that was refused so, and has
// not tried to change it too often; else it is nil.
func (c *conversation) changer(r *auth.Refusal) auth.PasswordChanger {
	changer, ok := c.verifier.(auth.PasswordChanger)
	if !ok || r.Code != auth.ErrorPasswordExpired || c.changes >= c.options.Tries {
		return nil
	}
	return changer
}

// onChange has a new password set (RFC 2759 §7). It is one more verification:
// of the answer that the new password gives to the Failure's challenge.
func (c *conversation) onChange(ctx context.Context, m *eap.ChangePassword) (auth.Step, error) {
	changer := c.changer(c.refusal)
	c.changes++
	keys, err := changer.ChangePassword(ctx, auth.PasswordChange{
		Response:          c.question(m.MSID, c.name, m.PeerChallenge, m.NTResponse),
		EncryptedPassword: m.EncryptedPassword,
		EncryptedHash:     m.EncryptedHash,
		Flags:             m.Flags,
	})
	return c.judged(ctx, m.MSID, keys, err)
}
