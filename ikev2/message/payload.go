package message

// PayloadType identifies a payload (RFC 7296 §3.2).
type PayloadType uint8

// Payload types.
const (
	NoNextPayload PayloadType = 0
	TypeSA        PayloadType = 33
	TypeKE        PayloadType = 34
	TypeIDi       PayloadType = 35
	TypeIDr       PayloadType = 36
	TypeCert      PayloadType = 37
	TypeCertReq   PayloadType = 38
	TypeAuth      PayloadType = 39
	TypeNonce     PayloadType = 40
	TypeNotify    PayloadType = 41
	TypeDelete    PayloadType = 42
	TypeVendorID  PayloadType = 43
	TypeTSi       PayloadType = 44
	TypeTSr       PayloadType = 45
	TypeSK        PayloadType = 46
	TypeCP        PayloadType = 47
	TypeEAP       PayloadType = 48
	TypeSKF       PayloadType = 53 // RFC 7383
)

// Payload is one payload of a message. The concrete types are SA, KE, ID,
// Cert, CertReq, Auth, Nonce, Notify, Delete, VendorID, TS, CP, EAP, SK, SKF
// and Unknown, all used as pointers.
type Payload interface {
	// Type is the payload's type as it stands in the preceding payload.
	Type() PayloadType
	// AppendBody appends the payload's body, without the generic header.
	AppendBody(dst []byte) []byte
}

// Message is a whole IKE message: header and payloads in the order received.
type Message struct {
	Header   Header
	Payloads []Payload
}

// KE is the Key Exchange payload (RFC 7296 §3.4).
type KE struct {
	Group uint16
	Data  []byte
}

// ID is an Identification payload, IDi or IDr (RFC 7296 §3.5).
type ID struct {
	Responder bool // IDr rather than IDi
	Kind      IDKind
	Data      []byte
}

// Cert is a Certificate payload (RFC 7296 §3.6).
type Cert struct {
	Encoding CertEncoding
	Data     []byte
}

// CertReq is a Certificate Request payload (RFC 7296 §3.7); for X.509
// signatures Authorities is a concatenation of 20-octet SHA-1 key hashes.
type CertReq struct {
	Encoding    CertEncoding
	Authorities []byte
}

// Auth is the Authentication payload (RFC 7296 §3.8).
type Auth struct {
	Method AuthMethod
	Data   []byte
}

// Nonce is the Nonce payload (RFC 7296 §3.9), 16 to 256 octets.
type Nonce struct{ Data []byte }

// Notify is a Notify payload (RFC 7296 §3.10).
type Notify struct {
	Protocol Protocol
	SPI      []byte // empty for notifications about the IKE SA
	Kind     NotifyType
	Data     []byte
}

// Delete is a Delete payload (RFC 7296 §3.11). SPIs is empty for the IKE SA.
type Delete struct {
	Protocol Protocol
	SPISize  uint8 // 0 for IKE, 4 for ESP and AH
	SPIs     [][]byte
}

// VendorID is a Vendor ID payload (RFC 7296 §3.12).
type VendorID struct{ Data []byte }

// EAP carries one EAP packet (RFC 7296 §3.16), unparsed.
type EAP struct{ Packet []byte }

// SK is the Encrypted payload (RFC 7296 §3.14), always last. Body is the
// initialization vector, the ciphertext and the checksum or tag, undivided:
// only the keys know where one ends.
type SK struct {
	First PayloadType // of the payloads inside
	Body  []byte
}

// SKF is an Encrypted Fragment payload (RFC 7383 §2.5).
type SKF struct {
	First  PayloadType // of the payloads inside; 0 in all but the first fragment
	Number uint16      // from 1
	Total  uint16
	Body   []byte
}

// Unknown is a payload of a type this package does not model, kept whole.
type Unknown struct {
	Kind     PayloadType
	Critical bool // RFC 7296 §2.5: the message must be refused
	Body     []byte
}
