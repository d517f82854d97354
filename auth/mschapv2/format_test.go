package mschapv2

import (
	"testing"

	"bridgehead/auth"
	"bridgehead/integration/secrecy"
)

func TestClientNeverPrintsItsHash(t *testing.T) {
	secret := []byte("sesame, open the")
	c := NewClientFromHash("alice", auth.NTHash(secret), seeded(1))
	c.msk = auth.Secret(secret)
	secrecy.Check(t, secret, c)
}
