package suite

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"sync"
)

// hashID selects one of the hash functions that HMAC is used with.
type hashID uint8

const (
	sha1Hash hashID = iota
	sha256Hash
	sha384Hash
	sha512Hash
	hashes
)

const (
	maxBlockLen  = sha512.BlockSize
	maxDigestLen = sha512.Size
)

// mac computes HMAC (RFC 2104) with one reusable hash state. An SA then keeps
// its keys alone: crypto/hmac holds two hash states and their two saved
// copies, most of a kilobyte for each key.
type mac struct {
	hash   hash.Hash
	pad    [maxBlockLen]byte  // the key, padded and masked; inner, then outer
	digest [maxDigestLen]byte // the last result
}

var macPools = [hashes]sync.Pool{
	sha1Hash:   {New: func() any { return &mac{hash: sha1.New()} }},
	sha256Hash: {New: func() any { return &mac{hash: sha256.New()} }},
	sha384Hash: {New: func() any { return &mac{hash: sha512.New384()} }},
	sha512Hash: {New: func() any { return &mac{hash: sha512.New()} }},
}

func newMAC(id hashID) *mac { return macPools[id].Get().(*mac) }

// release gives m back, with no trace of the key.
func (m *mac) release(id hashID) {
	clear(m.pad[:])
	clear(m.digest[:])
	m.hash.Reset()
	macPools[id].Put(m)
}

// begin starts HMAC under key.
func (m *mac) begin(key []byte) {
	pad := m.pad[:m.hash.BlockSize()]
	clear(pad)
	m.hash.Reset()
	if len(key) > len(pad) {
		m.hash.Write(key)
		m.hash.Sum(pad[:0])
		m.hash.Reset()
	} else {
		copy(pad, key)
	}
	for i := range pad {
		pad[i] ^= 0x36
	}
	m.hash.Write(pad)
}

func (m *mac) write(p []byte) { m.hash.Write(p) }

// end gives the HMAC of what was written since begin, valid until m is used
// again or released.
func (m *mac) end() []byte {
	pad := m.pad[:m.hash.BlockSize()]
	for i := range pad {
		pad[i] ^= 0x36 ^ 0x5c
	}
	inner := m.hash.Sum(m.digest[:0])
	m.hash.Reset()
	m.hash.Write(pad)
	m.hash.Write(inner)
	return m.hash.Sum(m.digest[:0])
}
