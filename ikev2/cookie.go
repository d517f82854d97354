package ikev2

import (
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"net/netip"
	"time"

	"bridgehead/ikev2/message"
)

const (
	cookieLifetime = time.Minute // a secret makes cookies so long and is accepted twice that
	cookieMACLen   = 16
)

// cookieJar makes and checks cookies without remembering any (RFC 7296 §2.6):
// a version of the secret and a MAC over nonce, address and initiator SPI.
type cookieJar struct {
	version byte
	secrets [2][32]byte // current and previous
	made    time.Time   // when the current secret was; zero before the first
}

// rotate makes a new secret when the current one is old.
func (j *cookieJar) rotate(now time.Time, rand io.Reader) error {
	if !j.made.IsZero() && now.Sub(j.made) < cookieLifetime {
		return nil
	}
	var fresh [32]byte
	if _, err := io.ReadFull(rand, fresh[:]); err != nil {
		return err
	}
	previous := j.secrets[0]
	if j.made.IsZero() || now.Sub(j.made) >= 2*cookieLifetime {
		previous = fresh // the last one is too old for any cookie out there
	}
	j.secrets = [2][32]byte{fresh, previous}
	j.version++
	j.made = now
	return nil
}

// bake gives the cookie for a request. rotate comes first.
func (j *cookieJar) bake(spii message.SPI, from netip.Addr, nonce []byte) []byte {
	return append([]byte{j.version}, j.mac(0, spii, from, nonce)...)
}

// valid tells whether a cookie is one of ours for this request.
func (j *cookieJar) valid(cookie []byte, spii message.SPI, from netip.Addr, nonce []byte) bool {
	if len(cookie) != 1+cookieMACLen || j.version-cookie[0] > 1 {
		return false
	}
	return hmac.Equal(cookie[1:], j.mac(int(j.version-cookie[0]), spii, from, nonce))
}

func (j *cookieJar) mac(secret int, spii message.SPI, from netip.Addr, nonce []byte) []byte {
	h := hmac.New(sha256.New, j.secrets[secret][:])
	h.Write(spii[:])
	a := from.As16()
	h.Write(a[:])
	h.Write(nonce)
	return h.Sum(nil)[:cookieMACLen]
}
