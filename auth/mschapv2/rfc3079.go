package mschapv2

import (
	"bytes"
	"crypto/sha1"

	"bridgehead/auth"
)

// mskLen is the least length of an EAP MSK (RFC 3748 §7.10).
const mskLen = 64

var (
	masterKeyMagic = []byte("This is the MPPE Master Key")
	// clientSendMagic makes the key that the client sends and the server
	// receives with, clientReceiveMagic the other one (RFC 3079 §3.4).
	clientSendMagic    = []byte("On the client side, this is the send key; on the server side, it is the receive key.")
	clientReceiveMagic = []byte("On the client side, this is the receive key; on the server side, it is the send key.")
	shaPad1            = make([]byte, 40)
	shaPad2            = bytes.Repeat([]byte{0xF2}, 40)
)

// masterKey is GetMasterKey of RFC 3079 §3.4.
func masterKey(hashHash *auth.NTHash, ntResponse [24]byte) [16]byte {
	h := sha1.New()
	h.Write(hashHash[:])
	h.Write(ntResponse[:])
	h.Write(masterKeyMagic)
	var sum [sha1.Size]byte
	return [16]byte(h.Sum(sum[:0]))
}

// startKey is GetAsymmetricStartKey of RFC 3079 §3.4 with 128 bits.
func startKey(master [16]byte, magic []byte) [16]byte {
	h := sha1.New()
	h.Write(master[:])
	h.Write(shaPad1)
	h.Write(magic)
	h.Write(shaPad2)
	var sum [sha1.Size]byte
	return [16]byte(h.Sum(sum[:0]))
}

// MSK gives the 64 octets that both ends of EAP-MSCHAPv2 export: the key the
// server receives with, the key it sends with, and zeros. This is also what
// RADIUS gives as MS-MPPE-Recv-Key and MS-MPPE-Send-Key (RFC 2548 §2.4).
func MSK(hashHash *auth.NTHash, ntResponse [24]byte) auth.Secret {
	master := masterKey(hashHash, ntResponse)
	recv, send := startKey(master, clientSendMagic), startKey(master, clientReceiveMagic)
	msk := make(auth.Secret, mskLen)
	copy(msk, recv[:])
	copy(msk[len(recv):], send[:])
	clear(master[:])
	clear(recv[:])
	clear(send[:])
	return msk
}
