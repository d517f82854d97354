package secrets

import (
	"fmt"
	"testing"

	"bridgehead/auth"
	"bridgehead/integration/secrecy"
)

func TestUsersAndKeysNeverPrintSecrets(t *testing.T) {
	secret := []byte("sesame, open the")
	user := User{Name: "alice", Hash: auth.NTHash(secret)}
	key := Key{Type: "RSA", Path: "/k.pem", Passphrase: auth.Secret(secret)}
	secrecy.Check(t, secret, user, &user, user.account(), key, &key, entry{User: user}, &entry{User: user})
	if text := fmt.Sprint(user, key); text != "{alice [NT hash] false    invalid IP invalid IP [] [] [] 0s 0s 0 0 0} {RSA /k.pem [16 secret octets] false}" {
		t.Errorf("printed %s", text)
	}
}
