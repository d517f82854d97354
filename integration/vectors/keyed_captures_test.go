//go:build vectors

package vectors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// captureKeys are the keys of one captured IKE SA, and the AUTH data that one
// of its IKE_AUTH messages holds.
type captureKeys struct {
	File  string
	SPIi  octets `json:"spi_i"`
	Ei    octets `json:"sk_ei"`
	Er    octets `json:"sk_er"`
	Ai    octets `json:"sk_ai"`
	Ar    octets `json:"sk_ar"`
	Encr  string
	Integ string
	Auth  octets `json:"auth_data_seen_in_ike_auth"`
}

// suites are the names used there that the product has.
var suites = map[string]suite.IKE{
	"AES-CBC-256 [RFC3602]/HMAC_SHA2_256_128 [RFC4868]": {
		Encr: suite.EncrAESCBC, KeyLength: 256, Integ: suite.IntegHMACSHA2_256128, PRF: suite.PRFHMACSHA256, Group: suite.X25519,
	},
	"AES-GCM-256 with 16 octet ICV [RFC5282]/NONE [RFC4306]": gcm(32),
}

func TestCapturesWithKeys(t *testing.T) {
	var doc struct{ IKEv2 []captureKeys }
	load(t, "wireshark/keys.json", &doc)
	opened, left := make(map[string]int), make(map[string]int)
	for _, k := range doc.IKEv2 {
		name := k.Encr + "/" + k.Integ
		s, ok := suites[name]
		if !ok {
			left[name]++
			continue
		}
		messages, _ := ike(t, "wireshark/"+k.File)
		found := false
		for _, b := range messages {
			m := checkMessage(t, b)
			sk := message.Find[*message.SK](m.Payloads)
			if sk == nil || !bytes.Equal(m.Header.InitiatorSPI[:], k.SPIi) {
				continue
			}
			encr, integ := k.Er, k.Ar
			if m.Header.FromInitiator() {
				encr, integ = k.Ei, k.Ai
			}
			ps := checkPayloads(t, sk.First, open(t, s, encr, integ, b))
			if a := message.Find[*message.Auth](ps); a != nil && bytes.Equal(a.Data, k.Auth) {
				found = true
			}
			opened[k.Encr]++
		}
		if !found {
			t.Errorf("%s: AUTH data %x was in no message", k.File, k.Auth)
		}
	}
	t.Log("not implemented by design: ", left)
	same(t, "messages opened", opened, map[string]int{
		"AES-CBC-256 [RFC3602]":                   2,
		"AES-GCM-256 with 16 octet ICV [RFC5282]": 4,
	})
	same(t, "captures left", left, map[string]int{
		"3DES [RFC2451]/HMAC_SHA1_160 [RFC4595]":                            1,
		"AES-CCM-128 with 12 octet ICV [RFC5282]/NONE [RFC4306]":            1,
		"AES-CCM-256 with 16 octet ICV [RFC5282]/NONE [RFC4306]":            1,
		"AES-CTR-128 [RFC5930]/ANY 96-bits of Authentication [No Checking]": 1,
		"AES-CTR-192 [RFC5930]/HMAC_SHA2_512_256 [RFC4868]":                 1,
		"AES-GCM-256 with 8 octet ICV [RFC5282]/NONE [RFC4306]":             1,
		"NULL [RFC2410]/NONE [RFC4306]":                                     1,
	})
}

// The secrets are two lines such as
//
//	ikev2 I 0x<SPIi> 0x<SPIr> sha1:0x<SK_a> aes128:0x<SK_e>
//
// The sender was an early implementation whose checksum begins at the SK
// payload's body instead of the IKE header (RFC 7296 §3.14): it must be
// refused, although it decrypts.
func TestCaptureWithSecretsInAFile(t *testing.T) {
	b, err := os.ReadFile(file(t, "tcpdump/ikev2pI2-secrets.txt"))
	if err != nil {
		t.Fatal(err)
	}
	keys := make(map[string][2][]byte) // by direction: encryption, integrity
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 6 {
			t.Fatalf("line %q has %d fields", line, len(f))
		}
		keys[f[1]] = [2][]byte{mustHex(t, strings.TrimPrefix(f[5], "aes128:")), mustHex(t, strings.TrimPrefix(f[4], "sha1:"))}
	}
	s := suite.IKE{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA1_96, PRF: suite.PRFHMACSHA1, Group: suite.MODP2048}
	messages, _ := ike(t, "tcpdump/ikev2pI2.pcap")
	m, err := message.Parse(messages[1])
	if err != nil {
		t.Fatal(err)
	}
	off := bodyOffset(t, m)
	opener, err := s.NewOpener(keys["I"][0], keys["I"][1])
	if err != nil {
		t.Fatal(err)
	}
	var integrity *suite.IntegrityError
	if _, err := opener.Open(nil, messages[1], off); !errors.As(err, &integrity) {
		t.Errorf("error %v, want an *IntegrityError: the checksum leaves out the header", err)
	}
	body := messages[1][off : len(messages[1])-12]
	sameOctets(t, "checksum without the header", messages[1][len(messages[1])-12:], s.PRF.Sum(keys["I"][1], body)[:12])
	plain := cbc(t, keys["I"][0], body[:16], body[16:])
	plain = plain[:len(plain)-1-int(plain[len(plain)-1])]
	ps, err := message.ParsePayloads(message.Find[*message.SK](m.Payloads).First, plain)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "payloads of IKE_AUTH", kinds(ps), []string{"IDi", "AUTH"})
	same(t, "identity", message.FindID(ps, false).String(), "west")
}

func TestESPCapture(t *testing.T) {
	var doc struct {
		ESP struct {
			File     string
			Expected octets `json:"expected_inner_data_contains"`
			SAs      []struct {
				SPI     octets
				EncrKey octets `json:"encr_key"`
				AuthKey octets `json:"auth_key"`
			}
		}
	}
	load(t, "wireshark/keys.json", &doc)
	inbound := make(map[uint32]*esp.Inbound)
	for _, k := range doc.ESP.SAs {
		spi := binary.BigEndian.Uint32(k.SPI)
		in, err := esp.NewInbound(esp.SA{
			SPI:     spi,
			Suite:   suite.ESP{Encr: suite.EncrAESCBC, KeyLength: 128, Integ: suite.IntegHMACSHA1_96},
			EncrKey: suite.Secret(k.EncrKey), IntegKey: suite.Secret(k.AuthKey),
		})
		if err != nil {
			t.Fatal(err)
		}
		inbound[spi] = in
	}
	results := make(map[string]int)
	for _, f := range capture(t, "wireshark/"+doc.ESP.File) {
		ip := f.network()
		if ip == nil || ip[9] != 50 {
			results["other packets"]++
			continue
		}
		packet := ip[20:binary.BigEndian.Uint16(ip[2:])]
		inner, next, err := inbound[binary.BigEndian.Uint32(packet)].Open(slices.Clone(packet))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(inner, doc.ESP.Expected) {
			t.Errorf("inner packet %x does not contain %x", inner, doc.ESP.Expected)
		}
		results[fmt.Sprintf("next header %d", next)]++
		if _, _, err := inbound[binary.BigEndian.Uint32(packet)].Open(slices.Clone(packet)); !errors.Is(err, esp.ErrReplayed) {
			t.Errorf("the packet again: error %v, want %v", err, esp.ErrReplayed)
		}
	}
	same(t, "packets", results, map[string]int{"next header 4": 6})
}
