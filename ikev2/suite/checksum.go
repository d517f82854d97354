package suite

import (
	"crypto/hmac"
	"slices"
)

// checksum is a truncated HMAC over a whole message (RFC 7296 §3.14).
type checksum struct {
	hash   hashID
	icvLen int
	key    Secret
}

func newChecksum(integ uint16, key Secret) checksum {
	i := integrities[integ]
	return checksum{i.hash, i.icvLen, slices.Clone(key)}
}

// append appends the checksum of msg to it.
func (c checksum) append(msg []byte) []byte {
	m := newMAC(c.hash)
	defer m.release(c.hash)
	m.begin(c.key)
	m.write(msg)
	return append(msg, m.end()[:c.icvLen]...)
}

// verify reports, in constant time, whether msg ends in its checksum.
func (c checksum) verify(msg []byte) bool {
	if len(msg) < c.icvLen {
		return false
	}
	signed, icv := msg[:len(msg)-c.icvLen], msg[len(msg)-c.icvLen:]
	m := newMAC(c.hash)
	defer m.release(c.hash)
	m.begin(c.key)
	m.write(signed)
	return hmac.Equal(m.end()[:c.icvLen], icv)
}
