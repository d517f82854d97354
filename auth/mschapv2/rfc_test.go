package mschapv2

import (
	"encoding/hex"
	"testing"

	"bridgehead/auth"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of RFC 2759 §9.2, which RFC 3079 §3.5.3 goes on with.
func TestRFCVectors(t *testing.T) {
	hash := auth.HashPassword([]byte("clientPass"))
	hashHash := hash.HashHash()
	authenticator := [16]byte(unhex(t, "5b5d7c7d7b3f2f3e3c2c602132262628"))
	peer := [16]byte(unhex(t, "21402324255e262a28295f2b3a337c7e"))
	challenge := ChallengeHash(peer, authenticator, "User")
	nt := ChallengeResponse(challenge, &hash)
	proof := AuthenticatorResponse(&hashHash, nt, challenge)
	master := masterKey(&hashHash, nt)
	msk := MSK(&hashHash, nt)
	for _, tt := range []struct {
		what string
		got  []byte
		want string
	}{
		{"challenge hash", challenge[:], "d02e4386bce91226"},
		{"NT response", nt[:], "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"},
		{"authenticator response", proof[:], "407a5589115fd0d6209f510fe9c04566932cda56"},
		{"master key", master[:], "fdece3717a8c838cb388e527ae3cdd31"},
		{"key the server sends with", msk[16:32], "8b7cdc149b993a1ba118cb153f56dccb"},
		{"padding of the MSK", msk[32:], "0000000000000000000000000000000000000000000000000000000000000000"},
	} {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
	if other := ChallengeHash(peer, authenticator, `DOMAIN\User`); other != challenge {
		t.Error("the domain counts in the challenge hash")
	}
	if other := ChallengeHash(peer, authenticator, "User@realm"); other == challenge {
		t.Error("the realm does not count in the challenge hash")
	}
}

func TestDESKeysHaveOddParity(t *testing.T) {
	key := desKey([7]byte{0xFC, 0x01, 0x56, 0xF7, 0xED, 0xA0, 0x33})
	var back uint64
	for _, b := range key {
		ones := 0
		for x := b; x != 0; x &= x - 1 {
			ones++
		}
		if ones%2 == 0 {
			t.Errorf("octet %#x of %x has even parity", b, key)
		}
		back = back<<7 | uint64(b>>1)
	}
	if want := uint64(0xFC0156F7EDA033); back != want {
		t.Errorf("the key carries %#x, want %#x", back, want)
	}
}
