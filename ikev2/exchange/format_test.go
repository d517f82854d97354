package exchange_test

import (
	"testing"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/suite"
	"bridgehead/integration/secrecy"
)

func TestProtectionNeverPrintsItsKeys(t *testing.T) {
	secret := []byte("sesame, open the gate by night!!")
	s := suite.IKE{Encr: suite.EncrAESCBC, KeyLength: 256, Integ: suite.IntegHMACSHA2_256128, PRF: suite.PRFHMACSHA256, Group: suite.X25519}
	p, err := exchange.NewProtection(s, suite.IKEKeys{Ai: secret, Ar: secret, Ei: secret, Er: secret}, true)
	if err != nil {
		t.Fatal(err)
	}
	secrecy.Check(t, secret, p, *p)
}
