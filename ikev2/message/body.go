package message

import "encoding/binary"

const (
	minNonce          = 16 // RFC 7296 §3.9
	maxNonce          = 256
	minSPI            = 4 // no protocol has a shorter one
	fragmentFieldsLen = 4 // RFC 7383 §2.5: number and total
)

// Type is TypeKE.
func (*KE) Type() PayloadType { return TypeKE }

// AppendBody appends the group and the key exchange data.
func (p *KE) AppendBody(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, p.Group)
	return append(append(dst, 0, 0), p.Data...)
}

func parseKE(b body) (Payload, error) {
	if err := b.atLeast(4); err != nil {
		return nil, err
	}
	return &KE{Group: binary.BigEndian.Uint16(b.octets), Data: b.octets[4:]}, nil
}

// Type is TypeIDi or TypeIDr.
func (p *ID) Type() PayloadType {
	if p.Responder {
		return TypeIDr
	}
	return TypeIDi
}

// AppendBody appends the identity's kind and data. The AUTH payload signs a
// MAC over these octets (RFC 7296 §2.15); when they were received, take them
// from the wire instead, since reserved octets other than zero count there.
func (p *ID) AppendBody(dst []byte) []byte {
	return append(append(dst, byte(p.Kind), 0, 0, 0), p.Data...)
}

func parseID(b body) (Payload, error) {
	if err := b.atLeast(4); err != nil {
		return nil, err
	}
	return &ID{Responder: b.payload == TypeIDr, Kind: IDKind(b.octets[0]), Data: b.octets[4:]}, nil
}

// Type is TypeCert.
func (*Cert) Type() PayloadType { return TypeCert }

// AppendBody appends the encoding and the certificate.
func (p *Cert) AppendBody(dst []byte) []byte {
	return append(append(dst, byte(p.Encoding)), p.Data...)
}

func parseCert(b body) (Payload, error) {
	if err := b.atLeast(1); err != nil {
		return nil, err
	}
	return &Cert{Encoding: CertEncoding(b.octets[0]), Data: b.octets[1:]}, nil
}

// Type is TypeCertReq.
func (*CertReq) Type() PayloadType { return TypeCertReq }

// AppendBody appends the encoding and the authorities.
func (p *CertReq) AppendBody(dst []byte) []byte {
	return append(append(dst, byte(p.Encoding)), p.Authorities...)
}

func parseCertReq(b body) (Payload, error) {
	if err := b.atLeast(1); err != nil {
		return nil, err
	}
	return &CertReq{Encoding: CertEncoding(b.octets[0]), Authorities: b.octets[1:]}, nil
}

// Type is TypeAuth.
func (*Auth) Type() PayloadType { return TypeAuth }

// AppendBody appends the method and the authentication data.
func (p *Auth) AppendBody(dst []byte) []byte {
	return append(append(dst, byte(p.Method), 0, 0, 0), p.Data...)
}

func parseAuth(b body) (Payload, error) {
	if err := b.atLeast(4); err != nil {
		return nil, err
	}
	return &Auth{Method: AuthMethod(b.octets[0]), Data: b.octets[4:]}, nil
}

// Type is TypeNonce.
func (*Nonce) Type() PayloadType { return TypeNonce }

// AppendBody appends the nonce.
func (p *Nonce) AppendBody(dst []byte) []byte { return append(dst, p.Data...) }

func parseNonce(b body) (Payload, error) {
	if n := len(b.octets); n < minNonce || n > maxNonce {
		return nil, b.fault(0, "%d octets, expected %d to %d", n, minNonce, maxNonce)
	}
	return &Nonce{Data: b.octets}, nil
}

// Type is TypeNotify.
func (*Notify) Type() PayloadType { return TypeNotify }

// AppendBody appends the protocol, the kind, the SPI and the data.
func (p *Notify) AppendBody(dst []byte) []byte {
	dst = append(dst, byte(p.Protocol), byte(len(p.SPI)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.Kind))
	return append(append(dst, p.SPI...), p.Data...)
}

func parseNotify(b body) (Payload, error) {
	if err := b.atLeast(4); err != nil {
		return nil, err
	}
	spiEnd := 4 + int(b.octets[1])
	if spiEnd > len(b.octets) {
		return nil, b.fault(1, "SPI size %d, %d octets are left", b.octets[1], len(b.octets)-4)
	}
	return &Notify{
		Protocol: Protocol(b.octets[0]),
		Kind:     NotifyType(binary.BigEndian.Uint16(b.octets[2:])),
		SPI:      b.octets[4:spiEnd:spiEnd],
		Data:     b.octets[spiEnd:],
	}, nil
}

// Type is TypeDelete.
func (*Delete) Type() PayloadType { return TypeDelete }

// AppendBody appends the protocol, the SPI size and the SPIs, each of which
// must have SPISize octets.
func (p *Delete) AppendBody(dst []byte) []byte {
	dst = append(dst, byte(p.Protocol), p.SPISize)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(p.SPIs)))
	for _, spi := range p.SPIs {
		dst = append(dst, spi...)
	}
	return dst
}

func parseDelete(b body) (Payload, error) {
	if err := b.atLeast(4); err != nil {
		return nil, err
	}
	p := &Delete{Protocol: Protocol(b.octets[0]), SPISize: b.octets[1]}
	size, count := int(p.SPISize), int(binary.BigEndian.Uint16(b.octets[2:]))
	if count > 0 && size < minSPI {
		return nil, b.fault(1, "SPI size %d with %d SPIs, expected at least %d", size, count, minSPI)
	}
	if size*count != len(b.octets)-4 {
		return nil, b.fault(2, "%d SPIs of %d octets, %d octets are left", count, size, len(b.octets)-4)
	}
	if count > 0 {
		p.SPIs = make([][]byte, count)
	}
	for i := range p.SPIs {
		end := 4 + (i+1)*size
		p.SPIs[i] = b.octets[end-size : end : end]
	}
	return p, nil
}

// Type is TypeVendorID.
func (*VendorID) Type() PayloadType { return TypeVendorID }

// AppendBody appends the vendor id.
func (p *VendorID) AppendBody(dst []byte) []byte { return append(dst, p.Data...) }

// Type is TypeEAP.
func (*EAP) Type() PayloadType { return TypeEAP }

// AppendBody appends the EAP packet.
func (p *EAP) AppendBody(dst []byte) []byte { return append(dst, p.Packet...) }

// Type is TypeSK.
func (*SK) Type() PayloadType { return TypeSK }

// AppendBody appends the body as it stands, already protected.
func (p *SK) AppendBody(dst []byte) []byte { return append(dst, p.Body...) }

// Type is TypeSKF.
func (*SKF) Type() PayloadType { return TypeSKF }

// AppendBody appends the fragment's number, the total and the protected body.
func (p *SKF) AppendBody(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, p.Number)
	dst = binary.BigEndian.AppendUint16(dst, p.Total)
	return append(dst, p.Body...)
}

func parseSKF(b body, first PayloadType) (Payload, error) {
	if err := b.atLeast(fragmentFieldsLen); err != nil {
		return nil, err
	}
	p := &SKF{
		First:  first,
		Number: binary.BigEndian.Uint16(b.octets),
		Total:  binary.BigEndian.Uint16(b.octets[2:]),
		Body:   b.octets[fragmentFieldsLen:],
	}
	if p.Number == 0 || p.Number > p.Total {
		return nil, b.fault(0, "fragment %d of %d", p.Number, p.Total)
	}
	return p, nil
}

// Type is the payload's own type.
func (p *Unknown) Type() PayloadType { return p.Kind }

// AppendBody appends the body as received.
func (p *Unknown) AppendBody(dst []byte) []byte { return append(dst, p.Body...) }
