package initiator

import (
	"crypto/sha1"
	"slices"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Profile is how a client looks on the wire: what it proposes, in which order
// its payloads come, and how it behaves where clients differ. The zero value
// of a field other than the proposals and orders is plain RFC 7296.
type Profile struct {
	Name string

	// IKE and ESP are offered as they stand; the numbers count, SPIs are
	// filled in. ESP has no key exchange: the first Child SA takes the IKE
	// SA's (RFC 7296 §1.2).
	IKE, ESP []message.Proposal
	// RekeyESP is offered in rekeys of a Child SA. Nil offers the suite in
	// use, with the IKE SA's group if a key exchange is asked for.
	RekeyESP []message.Proposal
	// Group is the group of the first KE payload; 0 is the first proposal's
	// first.
	Group suite.Group

	InitOrder []Element // of the IKE_SA_INIT request
	AuthOrder []Element // of the first IKE_AUTH request

	VendorIDs      [][]byte
	NonceLen       int                   // octets; 0: 32
	HashAlgorithms []suite.HashAlgorithm // announced by SIGNATURE_HASH_ALGORITHMS (RFC 7427)
	Attributes     []message.CPAttribute // of the configuration request
	AddressIDi     bool                  // IDi is the outer address unless the Config names an identity
	KeyIDColon     bool                  // a name with a colon is sent as ID_KEY_ID
	NoIDr          bool                  // never sends IDr
	Roots          int                   // authorities named in CERTREQ besides the Config's: those a system comes with

	EmptyIdentity bool // answers EAP-Request/Identity with nothing
	// StayUnlessNAT keeps IKE on port 500 unless a NAT was detected; others
	// move to 4500 always.
	StayUnlessNAT bool
	// FreshRetry begins anew, with another SPI and nonce, when the gateway
	// asks for another group, and does so only if that group is in every
	// proposal.
	FreshRetry bool
	// SilentLeave goes away without a word when the gateway is not
	// acceptable; others tell it in an INFORMATIONAL exchange (RFC 7296
	// §2.21.2).
	SilentLeave bool
	// ForgeNAT announces a NAT at this end that may not be there, always.
	ForgeNAT bool
	// KeepNumber has rekeys of the IKE SA carry the proposal that was chosen
	// under the number it had in IKE_SA_INIT; others count from 1.
	KeepNumber bool

	FragmentSize int // octets of an IKE message in one datagram; 0: 1228
	Retransmit   exchange.Retransmit

	Habits  Habits
	Demands Demands
}

// Profiles gives every profile there is, ours first.
func Profiles() []*Profile {
	return []*Profile{
		DefaultProfile(),
		Windows7(), Windows10(), Windows11(), Windows10DH2048(), WindowsPolicy(), WindowsPolicyECP256(),
		IOS16(), MacOS13(), Apple(), AppleProfile(),
		Android(), Android11(), StrongSwanApp(),
	}
}

// Element is a payload's place in a message. A NAT detection element stands
// for source and destination.
type Element struct {
	Payload message.PayloadType
	Notify  message.NotifyType // for TypeNotify
	// Optional elements are sent only if the Config asks for them.
	Optional bool
}

// natDetection stands for both NAT detection notifications.
const natDetection = message.NATDetectionSourceIP

// appendRoots appends hashes of as many keys as the profile has authorities.
// They stand for those that a system comes with: hashes of their numbers.
func (p *Profile) appendRoots(hashes []byte) []byte {
	for i := range p.Roots {
		h := sha1.Sum([]byte{byte(i >> 8), byte(i)})
		hashes = append(hashes, h[:]...)
	}
	return hashes
}

func payload(t message.PayloadType) Element { return Element{Payload: t} }

func notify(n message.NotifyType) Element {
	return Element{Payload: message.TypeNotify, Notify: n}
}

func optional(e Element) Element {
	e.Optional = true
	return e
}

// defaultFragmentSize keeps a datagram within IPv6's minimum MTU of 1,280
// octets: 40 of IPv6, 8 of UDP and 4 of non-ESP marker (RFC 7383 §2.5.1).
const defaultFragmentSize = 1280 - 40 - 8 - 4

const defaultNonceLen = 32

func (p *Profile) fragmentSize() int {
	if p.FragmentSize > 0 {
		return p.FragmentSize
	}
	return defaultFragmentSize
}

func (p *Profile) nonceLen() int {
	if p.NonceLen > 0 {
		return p.NonceLen
	}
	return defaultNonceLen
}

// Transform identifiers that real clients offer and the suite does not
// implement (IANA, Internet Key Exchange Version 2 Parameters).
const (
	encrDES      uint16    = 2
	encr3DES     uint16    = 3
	encrNull     uint16    = 11
	encrAESCTR   uint16    = 13
	encrAESGCM8  uint16    = 18
	encrAESGCM12 uint16    = 19
	integXCBC    uint16    = 5
	integCMAC    uint16    = 8
	prfXCBC      suite.PRF = 4
	prfCMAC      suite.PRF = 8
)

func encr(id, bits uint16) message.Transform {
	return message.Transform{Type: message.TransformENCR, ID: id, KeyLength: bits}
}

func integ(id uint16) message.Transform {
	return message.Transform{Type: message.TransformINTEG, ID: id}
}

func prf(id suite.PRF) message.Transform {
	return message.Transform{Type: message.TransformPRF, ID: uint16(id)}
}

func group(id suite.Group) message.Transform {
	return message.Transform{Type: message.TransformKE, ID: uint16(id)}
}

// noESN is the transform "no extended sequence numbers" (RFC 7296 §3.3.2).
var noESN = message.Transform{Type: message.TransformESN}

// offer numbers the given lists of transforms as proposals.
func offer(p message.Protocol, lists ...[]message.Transform) []message.Proposal {
	ps := make([]message.Proposal, len(lists))
	for i, ts := range lists {
		ps[i] = message.Proposal{Number: uint8(i + 1), Protocol: p, Transforms: ts}
	}
	return ps
}

// ask is a configuration request of attributes without values.
func ask(types ...message.CPAttributeType) []message.CPAttribute {
	as := make([]message.CPAttribute, len(types))
	for i, t := range types {
		as[i].Type = t
	}
	return as
}

// Moves reports whether the client always announces MOBIKE.
func (p *Profile) Moves() bool { return slices.Contains(p.AuthOrder, notify(message.MOBIKESupported)) }

// RekeysWithKE reports whether the client's own rekeys of a Child SA have a key
// exchange.
func (p *Profile) RekeysWithKE() bool { return firstGroup(p.RekeyESP) != suite.GroupNone }
