package suite

import "bridgehead/ikev2/message"

// PRF is a pseudo-random function (transform type 2).
type PRF uint16

type prfDetails struct {
	hash hashID
	len  int
}

var prfs = map[PRF]prfDetails{
	PRFHMACSHA1:   {sha1Hash, 20},
	PRFHMACSHA256: {sha256Hash, 32},
	PRFHMACSHA384: {sha384Hash, 48},
	PRFHMACSHA512: {sha512Hash, 64},
}

// Len is the length in octets of the output and of the preferred key; 0 for a
// PRF that is not implemented.
func (p PRF) Len() int { return prfs[p].len }

// String is the PRF in strongSwan's notation.
func (p PRF) String() string {
	return name(message.Transform{Type: message.TransformPRF, ID: uint16(p)})
}

// Sum is prf(key, parts joined). It is nil for a PRF that is not implemented.
func (p PRF) Sum(key []byte, parts ...[]byte) []byte {
	d, ok := prfs[p]
	if !ok {
		return nil
	}
	m := newMAC(d.hash)
	defer m.release(d.hash)
	m.begin(key)
	for _, part := range parts {
		m.write(part)
	}
	return append(make([]byte, 0, d.len), m.end()...)
}

// maxPlus bounds prf+: its counter is one octet (RFC 7296 §2.13).
const maxPlus = 255

// Plus is the first n octets of prf+(key, seed) (RFC 7296 §2.13). It is nil
// for a PRF that is not implemented and for more octets than prf+ can give,
// 255 times Len.
func (p PRF) Plus(key, seed []byte, n int) Secret {
	d, ok := prfs[p]
	if !ok || n > maxPlus*d.len {
		return nil
	}
	m := newMAC(d.hash)
	defer m.release(d.hash)
	out := make(Secret, 0, n+d.len)
	var counter [1]byte
	for len(out) < n {
		previous := out[max(0, len(out)-d.len):]
		counter[0]++
		m.begin(key)
		m.write(previous)
		m.write(seed)
		m.write(counter[:])
		out = append(out, m.end()...)
	}
	clear(out[n:])
	return out[:n:n]
}
