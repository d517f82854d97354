package radius

import (
	"encoding/binary"
	"fmt"

	codec "layeh.com/radius"
)

const vendorHeader = 4 // the vendor's number, before its attributes

// vendorAttribute is one attribute of a vendor's own (RFC 2865 §5.26).
type vendorAttribute struct {
	vendor uint32
	kind   uint8
	value  []byte
}

// vendorAttributes takes a Vendor-Specific apart by the format that RFC 2865
// §5.26 recommends: type, length, value, once or several times. Vendors that
// use another format make no sense by it: their attribute is an error.
func vendorAttributes(b codec.Attribute) ([]vendorAttribute, error) {
	if len(b) < vendorHeader+2 {
		return nil, fmt.Errorf("a Vendor-Specific of %d octets, expected at least %d", len(b), vendorHeader+2)
	}
	vendor, rest := binary.BigEndian.Uint32(b), b[vendorHeader:]
	var list []vendorAttribute
	for len(rest) > 0 {
		if len(rest) < 2 {
			return nil, fmt.Errorf("vendor %d: one octet is left where an attribute should begin", vendor)
		}
		n := int(rest[1])
		if n < 2 || n > len(rest) {
			return nil, fmt.Errorf("vendor %d, type %d: length %d of %d octets", vendor, rest[0], n, len(rest))
		}
		list = append(list, vendorAttribute{vendor, rest[0], rest[2:n]})
		rest = rest[n:]
	}
	return list, nil
}
