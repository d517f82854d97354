package pki

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"testing"

	"bridgehead/integration/secrecy"
)

func TestPrivateKeysNeverPrint(t *testing.T) {
	issued := ensure(t, t.TempDir(), testNow, "vpn.example.org")
	key, ok := issued.Key.(*rsa.PrivateKey)
	if !ok {
		t.Fatalf("key of type %T", issued.Key)
	}
	for name, secret := range map[string]string{"private exponent": key.D.String(), "prime": key.Primes[0].String()} {
		secrecy.Check(t, []byte(secret), issued, *issued, Identity{Chain: []*x509.Certificate{issued.Server}, Key: key})
		if len(secret) < 100 {
			t.Errorf("%s of %d digits", name, len(secret))
		}
	}
	seed := []byte("sesame, open the gate by night!!")
	edwards := Identity{Chain: []*x509.Certificate{issued.Server}, Key: ed25519.NewKeyFromSeed(seed)}
	secrecy.Check(t, seed, edwards, &edwards)
	if text := fmt.Sprint(issued, edwards); text != "[identity CN=vpn.example.org] [identity CN=vpn.example.org]" {
		t.Errorf("printed %s", text)
	}
}
