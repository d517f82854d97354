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

// macAlgorithms are the integrity transforms. The key of each is as long as its
// hash's output (RFC 2404 §3, RFC 4868 §2.1.1).
var macAlgorithms = map[uint16]struct {
	hashes *sync.Pool
	icv    int
}{
	integHMACSHA1:     {newHasherPool(sha1.New), 12},
	integHMACSHA2_256: {newHasherPool(sha256.New), 16},
	integHMACSHA2_384: {newHasherPool(sha512.New384), 24},
	integHMACSHA2_512: {newHasherPool(sha512.New), 32},
}

func newMAC(sa SA) (mac, error) {
	a, ok := macAlgorithms[sa.Suite.Integ]
	if !ok {
		return mac{}, sa.refuse("integrity transform %d is not supported in ESP", sa.Suite.Integ)
	}
	h := a.hashes.Get().(*hasher)
	defer a.hashes.Put(h)
	if len(sa.IntegKey) != h.Size() {
		return mac{}, sa.refuse("integrity key of %d octets, expected %d", len(sa.IntegKey), h.Size())
	}
	m := mac{hashes: a.hashes, icv: a.icv, esn: sa.Suite.ESN}
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
