//go:build vectors

package vectors

import (
	"bytes"
	"encoding/binary"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bridgehead/auth/eap"
	"bridgehead/ikev2/message"
)

// constants are the hexadecimal and textual constants of one client's unit
// tests, by file (without .java) and name.
func constants(t testing.TB) map[string]map[string]string {
	t.Helper()
	var doc struct{ Files map[string]map[string]string }
	load(t, "aosp/constants.json", &doc)
	out := make(map[string]map[string]string)
	for file, values := range doc.Files {
		out[strings.TrimSuffix(path.Base(file), ".java")] = values
	}
	return out
}

// A form says what a constant is. It parses the octets and gives back what
// the parsed thing encodes to.
type form func(b []byte) ([]byte, error)

// whole is a complete IKE message.
func whole(b []byte) ([]byte, error) {
	m, err := message.Parse(b)
	if err != nil {
		return nil, err
	}
	return m.Append(nil), nil
}

func header(b []byte) ([]byte, error) {
	h, err := message.ParseHeader(b)
	return h.Append(nil), err
}

// chain is the inside of an SK payload.
func chain(first message.PayloadType) form {
	return func(b []byte) ([]byte, error) {
		ps, err := message.ParsePayloads(first, b)
		return message.AppendPayloads(nil, ps), err
	}
}

// payload is one payload whose generic header names a successor that is not
// there.
func payload(kind message.PayloadType) form {
	return func(b []byte) ([]byte, error) {
		alone := append([]byte{0}, b[1:]...)
		out, err := chain(kind)(alone)
		if err != nil {
			return nil, err
		}
		return append(b[:1:1], out[1:]...), nil
	}
}

// within is a part of a payload that parses once prefix and the payload's own
// header stand before it.
func within(kind message.PayloadType, prefix ...byte) form {
	return func(b []byte) ([]byte, error) {
		b = append(append([]byte{0, 0, 0, 0}, prefix...), b...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		out, err := chain(kind)(b)
		if err != nil {
			return nil, err
		}
		return out[4+len(prefix):], nil
	}
}

// transform is one transform of a proposal, whatever follows it there.
func transform(b []byte) ([]byte, error) {
	last := append([]byte{0}, b[1:]...)
	out, err := within(message.TypeSA, 0, 0, 0, byte(8+len(b)), 1, 1, 0, 1)(last)
	if err != nil {
		return nil, err
	}
	return append(b[:1:1], out[1:]...), nil
}

// attribute is one attribute of a transform.
func attribute(b []byte) ([]byte, error) {
	n := byte(len(b))
	return within(message.TypeSA, 0, 0, 0, 16+n, 1, 1, 0, 1, 0, 0, 0, 8+n, 1, 0, 0, 12)(b)
}

// eapPacket is an EAP packet with whatever it holds.
func eapPacket(b []byte) ([]byte, error) {
	p, err := eap.Parse(b)
	if err != nil {
		return nil, err
	}
	if p.Type == eap.TypeMSCHAPv2 {
		m, err := eap.ParseMSCHAPv2(p)
		if err != nil {
			return nil, err
		}
		return eap.NewMSCHAPv2(p.Identifier, m).Append(nil), nil
	}
	if p.IsNak() {
		if _, err := p.Wanted(); err != nil {
			return nil, err
		}
	}
	return p.Append(nil), nil
}

// joined are constants that are parts of one thing: header and rest.
var joined = map[string]string{
	"IkeMessageTest.IKE_SA_INIT_HEADER_RAW_PACKET":                           "IkeMessageTest.IKE_SA_INIT_BODY_RAW_PACKET",
	"IkeMessageTest.IKE_AUTH_HEADER_HEX_STRING":                              "IkeMessageTest.IKE_AUTH_BODY_HEX_STRING",
	"IkeSaPayloadTest.OUTBOUND_SA_PAYLOAD_HEADER":                            "IkeSaPayloadTest.OUTBOUND_PROPOSAL_RAW_PACKET",
	"IkeKePayloadTest.KE_PAYLOAD_GENERIC_HEADER":                             "IkeKePayloadTest.KE_PAYLOAD_RAW_PACKET",
	"IkeCertX509CertPayloadTest.CERT_PAYLOAD_HEADER_HEX_STRING":              "IkeCertX509CertPayloadTest.CERT_PAYLOAD_BODY_HEX_STRING",
	"IkeEapPayloadTest.IKE_EAP_PAYLOAD":                                      "IkeEapPayloadTest.EAP_SUCCESS_STRING",
	"IkeAuthDigitalSignPayloadTest.AUTH_PAYLOAD_HEADER_GENERIC_DIGITAL_SIGN": "IkeAuthDigitalSignPayloadTest.AUTH_PAYLOAD_BODY_GENERIC_DIGITAL_SIGN_HEX_STRING",
	"IkeAuthDigitalSignPayloadTest.AUTH_PAYLOAD_HEADER_RSA_DIGITAL_SIGN":     "IkeAuthDigitalSignPayloadTest.AUTH_PAYLOAD_BODY_RSA_DIGITAL_SIGN_HEX_STRING",
}

type rule struct {
	what  string
	names string
	form  form // nil for what is no wire format
}

// rules sort the constants by a regular expression for "File.NAME"; the first
// that matches counts.
var rules = []rule{
	{"message", `IkeSession(DigitalSignature|Mobike|MschapV2|Psk)Test\..*|.*\.(PSK_)?IKE_INIT_(RESP|REQUEST)_HEX_STRING|.*_RAW_PACKET\+.*BODY_RAW_PACKET|IkeHeaderTest\.IKE_SA_INIT_RAW_PACKET|.*_(MSG|FRAG)_HEX_STRING|.*\.IKE_AUTH_INIT_REQUEST_HEX_STRING|IkeMessageTest\.IKE_AUTH_HEADER.*`, whole},
	{"header", `.*\.(IKE_HEADER_HEX_STRING|IKE_AUTH_INIT_REQUEST_HEADER)`, header},
	{"chain from IDi", `.*\.IKE_AUTH_INIT_REQUEST_(UNENCRYPTED_DATA|DECRYPTED_BODY_HEX_STRING)`, chain(message.TypeIDi)},
	{"chain from EAP", `.*\.HMAC_SHA1_3DES_DECRYPTED_BODY_HEX_STRING`, chain(message.TypeEAP)},
	{"chain from AUTH", `.*\.AES_GCM_MSG_DECRYPTED_BODY_HEX_STRING`, chain(message.TypeAuth)},
	{"SA", `.*SA_PAYLOAD(_HEX_STRING|_HEADER\+.*)?`, payload(message.TypeSA)},
	{"proposals", `IkeSaPayloadTest\.INBOUND.*_RAW_PACKET`, within(message.TypeSA)},
	{"transform", `IkeSaPayloadTest\..*_TRANSFORM_RAW_PACKET`, transform},
	{"attribute", `IkeSaPayloadTest\.ATTRIBUTE_RAW_PACKET`, attribute},
	{"notify", `.*\.(INVALID_KE|FRAGMENTATION_SUPPORTED|(NOTIFY_)?NAT_DETECTION(_SOURCE|_DESTINATION)?|NOTIFY_REKEY_IKE|SIGNATURE_HASH_SUPPORTED)_PAYLOAD_HEX_STRING`, payload(message.TypeNotify)},
	{"notify body", `IkeNotifyPayloadTest\..*_BODY_HEX_STRING`, within(message.TypeNotify)},
	{"KE", `.*\.KE_PAYLOAD_(HEX_STRING|GENERIC_HEADER\+.*)`, payload(message.TypeKE)},
	{"AUTH body", `IkeAuth(Payload|PskPayload)Test\.PSK_AUTH_PAYLOAD(_BODY)_HEX_STRING|IkeAuthPayloadTest\.PSK_AUTH_PAYLOAD_HEX_STRING`, within(message.TypeAuth)},
	{"AUTH", `.*\.(PSK_AUTH(_RESP)?_PAYLOAD_HEX_STRING|GENERIC_DIGITAL_SIGN_AUTH_RESP_HEX_STRING|AUTH_PAYLOAD_HEADER.*)`, payload(message.TypeAuth)},
	{"ID body", `.*(\.PSK_ID(_INITIATOR)?_PAYLOAD|IkeIdPayloadTest\..*_BODY|\.ID_RESP_PAYLOAD_BODY)_HEX_STRING`, within(message.TypeIDi)},
	{"ID", `.*\.(ID_PAYLOAD.*|ID_(INIT|RESP)_PAYLOAD_HEX_STRING)|IkeIdPayloadTest\..*_PAYLOAD(_RESPONDER)?_HEX_STRING`, payload(message.TypeIDr)},
	{"CERTREQ", `.*\.CERT_REQ_PAYLOAD`, payload(message.TypeCertReq)},
	{"CERT", `.*\.CERT_PAYLOAD_HEADER.*`, payload(message.TypeCert)},
	{"nonce", `.*\.NONCE_(INIT_|RESP_)?PAYLOAD(_RAW)?_HEX_STRING`, payload(message.TypeNonce)},
	{"nonce body", `.*\.(IKE_|PSK_|PRF_.*_)?NONCE_(INIT|RESP|DATA_RAW)_HEX_STRING`, within(message.TypeNonce)},
	{"delete", `.*\.DELETE_.*_PAYLOAD_HEX_STRING`, payload(message.TypeDelete)},
	{"vendor id", `.*\.VENDOR_ID_PAYLOAD_HEX_STRING`, payload(message.TypeVendorID)},
	{"CP", `.*\.(CP_PAYLOAD|CONFIG_RE.*)_HEX(_STRING)?`, payload(message.TypeCP)},
	{"CP attribute", `IkeConfigPayloadTest\..*_ATTRIBUTE_WITH.*`, within(message.TypeCP, byte(message.CPRequest), 0, 0, 0)},
	{"TS", `.*\.TS_.*_PAYLOAD_HEX_STRING`, payload(message.TypeTSi)},
	{"selector", `IkeTrafficSelectorTest\..*`, within(message.TypeTSi, 1, 0, 0, 0)},
	{"EAP in its payload", `IkeEapPayloadTest\..*`, payload(message.TypeEAP)},
	{"EAP packet", `EapMsChapV2Test\.EAP_.*`, eapPacket},

	{"key or secret", `.*\.(.*_)?(KEY|SKEYSEED|SK_[A-Z]+|SKP|MSK|PSK)(_.*)?|.*_SHARED_DH_KEY_HEX_STRING|.*\.FIRST_CHILD_(AUTH|ENCR)_.*`, nil},
	{"checksum or signature", `.*\.(.*_)?(MAC_HEX_STRING\d?|CHECKSUM(_HEX_STRING)?|SIGNATURE(_HEX_STRING)?|SIGNED_OCTETS_APPENDIX_HEX_STRING)`, nil},
	{"what is signed or authenticated", `.*\.(.*_)?(DATA_TO_(SIGN|AUTH)_HEX_STRING\d?|SIGNED_OCTETS|ADDITIONAL_AUTH_DATA)`, nil},
	{"plaintext or ciphertext of a cipher", `.*\.(.*_)?(UN)?ENCRYPT(ED)?_(PADDED_)?DATA(_WITH_CHECKSUM|_HEX_STRING)?|.*FRAG.*_DECRYPTED_BODY_HEX_STRING`, nil},
	{"initialization vector or padding", `.*\.(.*_)?(IV|PADDING)(_HEX_STRING)?`, nil},
	{"SPI", `.*_SPI(_HEX_STRING)?`, nil},
	{"value within a payload", `.*\.(PEER_CHALLENGE|DUMMY_TYPE_DATA|DEVICE_IDENTITY_PAYLOAD_IMEI|N1_MODE_CAPABILITY_PAYLOAD_DATA|(MALFORMATTED_)?SIGNATURE_HASH_ALGORITHMS|CA_SUBJECT_PUBLIC_KEY_INFO_HASH|IPV\d_.*_ATTRIBUTE_VALUE|NAT_DETECTION_DATA_HEX_STRING|PACKET_INFO_HEX_STRING|IKE_AUTH_INIT_REQUEST_SK_HEADER)`, nil},
}

// kept are constants named INVALID that are well-formed all the same.
var kept = map[string]string{
	"IkeSessionStateMachineTest.INVALID_KE_PAYLOAD_HEX_STRING": "is the notification of that name",
	"IkeIdPayloadTest.ASN1_DN_INVALID_PAYLOAD_BODY_HEX_STRING": "the codec keeps an identity's octets; String shows them as hexadecimal",
	"IkeConfigPayloadTest.CONFIG_RESP_PAYLOAD_INVALID_ONE_HEX": "two netmasks: the rule is about content, not format",
	"IkeConfigPayloadTest.CONFIG_RESP_PAYLOAD_INVALID_TWO_HEX": "a netmask without an address: the rule is about content, not format",
}

// flatten gives the constants in hexadecimal by "File.NAME", joined where
// joined says so, and how many of the others there are.
func flatten(files map[string]map[string]string) (hexadecimal map[string]string, counts map[string]int) {
	hexadecimal, counts = make(map[string]string), make(map[string]int)
	for file, values := range files {
		for name, value := range values {
			switch {
			case file == mschapv2File:
				counts["assembled in TestMSCHAPv2Constants"]++
			case strings.HasPrefix(value, "text:"), strings.HasPrefix(value, "0x"):
				counts["text or number"]++
			default:
				hexadecimal[file+"."+name] = value
			}
		}
	}
	for head, tail := range joined {
		hexadecimal[head+"+"+tail] = hexadecimal[head] + hexadecimal[tail]
		delete(hexadecimal, head)
		delete(hexadecimal, tail)
		counts["joined to another"]++
	}
	return hexadecimal, counts
}

func TestConstants(t *testing.T) {
	values, counts := flatten(constants(t))
	for name, value := range values {
		i := slices.IndexFunc(rules, func(r rule) bool { return regexp.MustCompile("^(" + r.names + ")$").MatchString(name) })
		if i < 0 {
			t.Errorf("%s: no rule says what it is", name)
			continue
		}
		counts[rules[i].what]++
		if rules[i].form == nil {
			continue
		}
		_, valid := kept[name]
		valid = valid || !strings.Contains(name, "INVALID")
		b := mustHex(t, value)
		out, err := rules[i].form(bytes.Clone(b))
		switch {
		case valid && err != nil:
			t.Errorf("%s: %v", name, err)
		case valid && !bytes.Equal(out, b):
			t.Errorf("%s encoded to\n%x, want\n%x", name, out, b)
		case !valid && err == nil:
			t.Errorf("%s parsed, want it refused", name)
		case !valid:
			t.Logf("%s refused: %v", name, err)
		}
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	same(t, "constants in all", total, 437)
	same(t, "constants by what they are", counts, map[string]int{
		"AUTH":                                5,
		"AUTH body":                           2,
		"CERT":                                1,
		"CERTREQ":                             1,
		"CP":                                  5,
		"CP attribute":                        19,
		"EAP in its payload":                  1,
		"EAP packet":                          5,
		"ID":                                  11,
		"ID body":                             10,
		"KE":                                  2,
		"SA":                                  9,
		"SPI":                                 7,
		"TS":                                  3,
		"assembled in TestMSCHAPv2Constants":  59,
		"attribute":                           1,
		"chain from AUTH":                     1,
		"chain from EAP":                      1,
		"chain from IDi":                      2,
		"checksum or signature":               21,
		"delete":                              4,
		"header":                              2,
		"initialization vector or padding":    12,
		"joined to another":                   8,
		"key or secret":                       75,
		"message":                             38,
		"nonce":                               3,
		"nonce body":                          14,
		"notify":                              7,
		"notify body":                         2,
		"plaintext or ciphertext of a cipher": 12,
		"proposals":                           4,
		"selector":                            5,
		"text or number":                      52,
		"transform":                           5,
		"value within a payload":              11,
		"vendor id":                           1,
		"what is signed or authenticated":     16,
	})
}
