package ikev2

import (
	"crypto/ed25519"
	"crypto/x509"
	"testing"

	"bridgehead/ikev2/suite"
	"bridgehead/integration/secrecy"
)

func TestKeysNeverPrint(t *testing.T) {
	secret := []byte("no word of this goes out of hand")
	cert := Certificate{Chain: []*x509.Certificate{{}}, Key: ed25519.NewKeyFromSeed(secret)}
	config := Config{Certificates: []Certificate{cert}}
	sa := &SA{d: suite.Secret(secret), login: &login{pi: suite.Secret(secret), pr: suite.Secret(secret)}}
	kex := &keyExchange{job: job{sa}, shared: suite.Secret(secret)}
	sign := &signature{job: job{sa}, key: cert.Key}
	secrecy.Check(t, secret, cert, &cert, config, &config, sa, kex, sign, Finished{kex}, Outbox{Jobs: []Job{kex, sign}, Successors: []*SA{sa}})
}
