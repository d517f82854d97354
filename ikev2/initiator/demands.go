package initiator

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Demands are what a client insists on beyond RFC 7296: each is a reason why
// logins or sessions fail with this client and no other.
type Demands struct {
	ServerAuth  bool // the certificate is for servers (extended key usage serverAuth)
	EqualIDr    bool // IDr is the one asked for, in type and value
	RSA         bool // the certificate's key is RSA
	NoPSS       bool // the signature is not RSASSA-PSS
	OnlyX509    bool // there is no CERT payload of another encoding
	ExactName   bool // the name dialled stands in the certificate as it is, not by a wildcard
	StrictReply bool // one INTERNAL_IP4_NETMASK at most comes, and only with an address
	NoIPv6NAT   bool // there is no NAT over IPv6
	// WindowsRekeys refuses Windows' way what the gateway starts: a rekey of
	// the Child SA behind a NAT or with a key exchange, and one of the IKE SA
	// with another group than modp2048.
	WindowsRekeys bool
}

// idPSS is the OID of RSASSA-PSS in DER (RFC 8017 appendix C).
var idPSS = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a}

// onCertificate checks the leaf and the payloads that it came with.
func (d *Demands) onCertificate(ps []message.Payload, leaf *x509.Certificate, name string) error {
	if d.OnlyX509 {
		for c := range message.All[*message.Cert](ps) {
			if c.Encoding != message.CertX509Signature {
				return &ProtocolError{at{StepCertificate}, fmt.Errorf("ikev2: a CERT payload of encoding %d, this client takes X.509 certificates alone", c.Encoding)}
			}
		}
	}
	if _, isRSA := leaf.PublicKey.(*rsa.PublicKey); d.RSA && !isRSA {
		return certificateError(RuleKey, leaf, "RSA", errors.New("this client takes RSA keys alone"))
	}
	if d.ExactName && !carries(leaf, name) {
		return certificateError(RuleName, leaf, name, errors.New("this client takes no wildcard"))
	}
	return nil
}

// carries reports whether the name stands in the certificate, type by type.
func carries(leaf *x509.Certificate, name string) bool {
	if slices.ContainsFunc(leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, name) }) {
		return true
	}
	for _, ip := range leaf.IPAddresses {
		if ip.String() == name {
			return true
		}
	}
	return false
}

// onSignature checks how the gateway signed. RFC 7427 §4: method 14 is for
// those that announced hash algorithms.
func (d *Demands) onSignature(sig *message.Auth, announced bool) error {
	switch {
	case sig.Method == message.AuthSignature && !announced:
		return &SignatureError{at{StepCertificate}, errors.New("it signed by RFC 7427, which this client did not announce")}
	case d.NoPSS && sig.Method == message.AuthSignature && bytes.Contains(sig.Data[:min(len(sig.Data), 64)], idPSS):
		return &SignatureError{at{StepCertificate}, errors.New("it signed with RSASSA-PSS, which this client cannot verify")}
	}
	return nil
}

// onIDr compares IDr with the one asked for.
func (d *Demands) onIDr(asked, got *message.ID) error {
	if d.EqualIDr && asked != nil && (asked.Kind != got.Kind || !bytes.Equal(asked.Data, got.Data)) {
		return &ProtocolError{at{StepCertificate}, fmt.Errorf("ikev2: IDr is %s %s, this client asked for %s %s and takes no other", got.Kind, got, asked.Kind, asked)}
	}
	return nil
}

// onReply checks the attributes of the configuration reply as Android does.
func (d *Demands) onReply(as []message.CPAttribute) error {
	count := func(t message.CPAttributeType) (n int) {
		for _, a := range as {
			if a.Type == t && len(a.Value) > 0 {
				n++
			}
		}
		return n
	}
	masks := count(message.InternalIP4Netmask)
	if d.StrictReply && (masks > 1 || masks == 1 && count(message.InternalIP4Address) == 0) {
		return fmt.Errorf("ikev2: %d netmasks for %d IPv4 addresses in the configuration reply", masks, count(message.InternalIP4Address))
	}
	return nil
}

// onNAT checks what NAT detection found.
func (d *Demands) onNAT(seen, ipv6 bool) error {
	if d.NoIPv6NAT && seen && ipv6 {
		return &ProtocolError{at{StepInit}, errors.New("ikev2: its NAT detection tells of a NAT over IPv6, which this client does not support")}
	}
	return nil
}

// What Windows says when it refuses the gateway's rekey: a status notification
// with an error code ([MS-IKEE] 2.2.7).
const (
	windowsStatus     message.NotifyType = 12345
	windowsRekeyNAT   uint32             = 13863
	windowsRekeyGroup uint32             = 13816

	// windowsIKEGroup is what it takes in a rekey of the IKE SA.
	windowsIKEGroup = suite.MODP2048
)

// onServerRekey gives the refusal of a rekey that the gateway started; nil if
// it is taken.
func (d *Demands) onServerRekey(sa *SA, offer *message.SA, ke *message.KE) []message.Payload {
	if !d.WindowsRekeys {
		return nil
	}
	refuse := func(code uint32) []message.Payload {
		return notification(windowsStatus, binary.BigEndian.AppendUint32(nil, code))
	}
	if offer.Proposals[0].Protocol == message.ProtocolIKE {
		if ke != nil && ke.Group != uint16(windowsIKEGroup) {
			return refuse(windowsRekeyGroup)
		}
		return nil
	}
	switch {
	case sa.natLocal || sa.natRemote:
		return refuse(windowsRekeyNAT)
	case ke != nil || firstGroup(offer.Proposals) != suite.GroupNone:
		return refuse(windowsRekeyGroup)
	}
	return nil
}
