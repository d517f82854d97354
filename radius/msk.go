package radius

import (
	"errors"
	"fmt"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"

	"bridgehead/auth"
)

const (
	vendorMicrosoft = 311
	// Types of RFC 2548 §2.4.2 and §2.4.3.
	msMPPESendKey, msMPPERecvKey = 16, 17

	mskLen = 64
	// Keys of methods: 16 octets each after MS-CHAPv2, 32 after TLS.
	minKey, maxKey = 16, mskLen / 2
)

// msk makes the master session key of an Access-Accept: the key that the
// gateway receives with, the one that it sends with, and zeros up to 64 octets.
func msk(r *Reply) (auth.Secret, error) {
	var receive, send []byte
	for _, a := range r.Attributes {
		if a.Type != rfc2865.VendorSpecific_Type {
			continue
		}
		list, err := vendorAttributes(a.Attribute)
		if err != nil {
			continue // another vendor's format; without a key the end is below
		}
		for _, v := range list {
			if v.vendor != vendorMicrosoft || v.kind != msMPPERecvKey && v.kind != msMPPESendKey {
				continue
			}
			key, name := &receive, "MS-MPPE-Recv-Key"
			if v.kind == msMPPESendKey {
				key, name = &send, "MS-MPPE-Send-Key"
			}
			if *key != nil {
				return nil, fmt.Errorf("%s stands twice", name)
			}
			if *key, _, err = codec.TunnelPassword(v.value, r.secret, r.question.authenticator()); err != nil {
				return nil, fmt.Errorf("%s can't be decrypted: %w", name, err)
			}
			if n := len(*key); n < minKey || n > maxKey {
				return nil, fmt.Errorf("%s has %d octets, expected %d to %d", name, n, minKey, maxKey)
			}
		}
	}
	switch {
	case receive == nil && send == nil:
		return nil, errors.New("neither MS-MPPE-Recv-Key nor MS-MPPE-Send-Key")
	case receive == nil:
		return nil, errors.New("no MS-MPPE-Recv-Key")
	case send == nil:
		return nil, errors.New("no MS-MPPE-Send-Key")
	}
	defer clear(receive)
	defer clear(send)
	key := make(auth.Secret, mskLen)
	copy(key[copy(key, receive):], send)
	return key, nil
}
