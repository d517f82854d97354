package initiator

import (
	"testing"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/suite"
	"bridgehead/integration/secrecy"
)

func TestPasswordAndKeysNeverPrint(t *testing.T) {
	secret := []byte("sesame, open the gate by night")
	cfg := Config{Server: "vpn.example.org", User: "alice", Password: auth.Secret(secret), NewPassword: auth.Secret(secret)}
	sa, err := NewSA(cfg)
	if err != nil {
		t.Fatal(err)
	}
	session := newSession(nil, cfg, sa, target{})
	change := Change{Child: esp.Child{Out: esp.SA{EncrKey: suite.Secret(secret)}}}
	connect, load := ConnectConfig{Config: cfg}, LoadConfig{Config: cfg}
	secrecy.Check(t, secret, cfg, &cfg, sa, session, change, &change, connect, &connect, load, &load)
}
