package esp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
)

// cbcTransform is AES-CBC (RFC 3602) with an HMAC over the ciphertext.
type cbcTransform struct {
	block cipher.Block
	mac   mac
	ivs   cipher.Block // outbound: makes IVs; nil inbound
}

func newCBC(sa SA, outbound bool) (*cbcTransform, error) {
	block, err := aes.NewCipher(sa.key())
	if err != nil {
		return nil, err
	}
	t := &cbcTransform{block: block}
	if t.mac, err = newMAC(sa); err != nil {
		return nil, err
	}
	if outbound {
		t.ivs, err = newIVCipher(sa)
	}
	return t, err
}

// newIVCipher makes the cipher whose encryptions of the sequence number are the
// IVs. CBC needs IVs that nobody can foretell (RFC 3602 §3); a block cipher
// under a key of its own, applied to a counter, gives such and never repeats
// one (NIST SP 800-38A, appendix C). The key is derived rather than drawn: it
// is exactly as secret as the key it comes from.
func newIVCipher(sa SA) (cipher.Block, error) {
	h := hmac.New(sha256.New, sa.key())
	h.Write([]byte("ESP CBC initialization vectors"))
	key := h.Sum(nil)
	defer clear(key)
	return aes.NewCipher(key[:16])
}

func (t *cbcTransform) seal(packet []byte, seq uint64) {
	const body = headerLen + aes.BlockSize
	iv := packet[headerLen:body]
	clear(iv[:8])
	binary.BigEndian.PutUint64(iv[8:], seq)
	t.ivs.Encrypt(iv, iv)
	end := len(packet) - t.mac.icv
	for at := body; at < end; at += aes.BlockSize {
		block := packet[at : at+aes.BlockSize]
		subtle.XORBytes(block, block, packet[at-aes.BlockSize:at])
		t.block.Encrypt(block, block)
	}
	t.mac.append(packet[:end], seq)
}

// open decrypts from the end, so that each block's predecessor is still
// ciphertext when it is needed.
func (t *cbcTransform) open(packet []byte, seq uint64) error {
	const body = headerLen + aes.BlockSize
	end := len(packet) - t.mac.icv
	if !t.mac.verify(packet[:end], packet[end:], seq) {
		return ErrIntegrity
	}
	for at := end - aes.BlockSize; at >= body; at -= aes.BlockSize {
		block := packet[at : at+aes.BlockSize]
		t.block.Decrypt(block, block)
		subtle.XORBytes(block, block, packet[at-aes.BlockSize:at])
	}
	return nil
}
