package esp

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"hash"
	"sync"

	"bridgehead/ikev2/suite"
)

// mac is a truncated HMAC (RFC 2104, 2404, 4868) over an ESP packet. It keeps
// only the hash states after the inner and the outer key block. The hashes
// themselves are shared by all SAs: several cores can work on one SA, and an SA
// stays small.
type mac struct {
	hashes       *sync.Pool // of *hasher
	inner, outer []byte     // marshalled hash states
	icv          int        // octets of the truncated result
	esn          bool
}

// resumableHash is what every hash of the standard library here implements.
type resumableHash interface {
	hash.Hash
	encoding.BinaryUnmarshaler
	encoding.BinaryAppender
}

// hasher is a hash with the buffers that pass through its interface.
type hasher struct {
	resumableHash
	sum  [sha512.Size]byte
	high [4]byte
}

func newHasherPool(fresh func() hash.Hash) *sync.Pool {
	return &sync.Pool{New: func() any { return &hasher{resumableHash: fresh().(resumableHash)} }}
}

// hashPools holds the hash of each integrity transform.
var hashPools = map[uint16]*sync.Pool{
	suite.IntegHMACSHA1_96:     newHasherPool(sha1.New),
	suite.IntegHMACSHA2_256128: newHasherPool(sha256.New),
	suite.IntegHMACSHA2_384192: newHasherPool(sha512.New384),
	suite.IntegHMACSHA2_512256: newHasherPool(sha512.New),
}

func newMAC(sa SA) (mac, error) {
	m := mac{hashes: hashPools[sa.Suite.Integ], icv: sa.Suite.IntegICVLen(), esn: sa.Suite.ESN}
	h := m.hashes.Get().(*hasher)
	defer m.hashes.Put(h)
	var err error
	if m.inner, err = h.keyed(sa.IntegKey, 0x36); err != nil {
		return mac{}, err
	}
	m.outer, err = h.keyed(sa.IntegKey, 0x5c)
	return m, err
}

// keyed gives the hash's state after the key block xored with pad (RFC 2104 §2).
func (h *hasher) keyed(key []byte, pad byte) ([]byte, error) {
	block := make([]byte, h.BlockSize())
	defer clear(block)
	copy(block, key)
	for i := range block {
		block[i] ^= pad
	}
	h.Reset()
	h.Write(block)
	return h.AppendBinary(nil)
}

// compute gives the truncated HMAC of packet, valid until h is put back. With
// ESN the high half of the sequence number follows the packet (RFC 4303
// §2.2.1).
func (m *mac) compute(h *hasher, packet []byte, seq uint64) []byte {
	// A hash always takes back a state that it gave out itself.
	_ = h.UnmarshalBinary(m.inner)
	h.Write(packet)
	if m.esn {
		binary.BigEndian.PutUint32(h.high[:], uint32(seq>>32))
		h.Write(h.high[:])
	}
	inner := h.Sum(h.sum[:0])
	_ = h.UnmarshalBinary(m.outer)
	h.Write(inner)
	return h.Sum(h.sum[:0])[:m.icv]
}

// append writes the ICV of packet behind it, where there is room for it.
func (m *mac) append(packet []byte, seq uint64) {
	h := m.hashes.Get().(*hasher)
	copy(packet[len(packet):len(packet)+m.icv], m.compute(h, packet, seq))
	m.hashes.Put(h)
}

// verify compares in constant time.
func (m *mac) verify(packet, icv []byte, seq uint64) bool {
	h := m.hashes.Get().(*hasher)
	ok := hmac.Equal(m.compute(h, packet, seq), icv)
	m.hashes.Put(h)
	return ok
}
