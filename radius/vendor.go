package radius

import (
	"encoding/binary"
	"fmt"

	codec "layeh.com/radius"
	"layeh.com/radius/rfc2865"
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

// addVendor adds an attribute of a vendor's own.
func addVendor(attrs *codec.Attributes, vendor uint32, kind uint8, value ...[]byte) {
	b := binary.BigEndian.AppendUint32(nil, vendor)
	b = append(b, kind, 0)
	for _, v := range value {
		b = append(b, v...)
	}
	b[vendorHeader+1] = byte(len(b) - vendorHeader)
	attrs.Add(rfc2865.VendorSpecific_Type, b)
}

// ofVendor gives the values of a vendor's attribute. Vendor-Specifics of
// another format hold none.
func ofVendor(attrs codec.Attributes, vendor uint32, kind uint8) (values [][]byte) {
	for _, a := range all(attrs, rfc2865.VendorSpecific_Type) {
		list, err := vendorAttributes(a.Attribute)
		if err != nil {
			continue
		}
		for _, v := range list {
			if v.vendor == vendor && v.kind == kind {
				values = append(values, v.value)
			}
		}
	}
	return values
}
