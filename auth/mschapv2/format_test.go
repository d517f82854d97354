package mschapv2

import (
	"testing"

	"bridgehead/auth"
	"bridgehead/integration/secrecy"
)

func TestClientNeverPrintsItsHash(t *testing.T) {
	secret := []byte("sesame, open the")
	c := NewClient("alice", nil, seeded(1))
	c.hash, c.msk, c.NewPassword = auth.NTHash(secret), auth.Secret(secret), auth.Secret(secret)
	secrecy.Check(t, secret, c)
}
