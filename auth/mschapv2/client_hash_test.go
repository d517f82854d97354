package mschapv2

import (
	"bytes"
	"testing"

	"bridgehead/auth"
	"bridgehead/auth/eap"
)

// TestHashClientAnswersAlike: with the hash alone a client has the answer and
// the proof that it has with the password.
func TestHashClientAnswersAlike(t *testing.T) {
	password := []byte("correct horse ü")
	var answers [2][24]byte
	var proofs [2][20]byte
	for i, c := range []*Client{
		NewClient("alice", password, bytes.NewReader(make([]byte, 16))),
		NewHashClient("alice", auth.HashPassword(password), bytes.NewReader(make([]byte, 16))),
	} {
		var peer [16]byte
		if err := c.respondTo([16]byte{1, 2, 3}, &peer, (*eap.NTResponse)(&answers[i])); err != nil {
			t.Fatal(err)
		}
		proofs[i] = c.expected
	}
	if answers[0] != answers[1] || proofs[0] != proofs[1] || answers[0] == [24]byte{} {
		t.Errorf("%x and %x, %x and %x", answers[0], answers[1], proofs[0], proofs[1])
	}
}
