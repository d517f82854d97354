package esp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"bridgehead/ikev2/suite"
)

// testSuite is one negotiable combination with its figures from the RFCs.
type testSuite struct {
	name             string
	esp              suite.ESP
	encrLen, integ   int // octets of key material
	header, icv, pad int // pad: the alignment
}

func testSuites() []testSuite {
	var all []testSuite
	for _, bits := range []int{128, 192, 256} {
		for _, m := range []struct {
			id             uint16
			name           string
			key, truncated int
		}{{2, "sha1", 20, 12}, {12, "sha256", 32, 16}, {13, "sha384", 48, 24}, {14, "sha512", 64, 32}} {
			all = append(all, testSuite{
				fmt.Sprintf("aes%d-%s", bits, m.name),
				suite.ESP{Encr: 12, KeyLength: uint16(bits), Integ: m.id},
				bits / 8, m.key, 24, m.truncated, 16,
			})
		}
		all = append(all, testSuite{
			fmt.Sprintf("aes%dgcm16", bits), suite.ESP{Encr: 20, KeyLength: uint16(bits)},
			bits/8 + 4, 0, 16, 16, 4,
		})
	}
	return append(all, testSuite{"chacha20poly1305", suite.ESP{Encr: 28}, 36, 0, 16, 16, 4})
}

func (s testSuite) withESN() testSuite {
	s.name += "-esn"
	s.esp.ESN = true
	return s
}

const testSPI = 0xc0ffee01

// sa gives the suite keys that differ in every octet.
func (s testSuite) sa() SA {
	material := make([]byte, s.encrLen+s.integ)
	for i := range material {
		material[i] = byte(i*7 + 3)
	}
	return SA{
		SPI: testSPI, Suite: s.esp,
		EncrKey:  suite.Secret(material[:s.encrLen]),
		IntegKey: suite.Secret(material[s.encrLen:]),
	}
}

func pair(t testing.TB, sa SA) (*Outbound, *Inbound) {
	t.Helper()
	out, err := NewOutbound(sa)
	if err != nil {
		t.Fatal(err)
	}
	in, err := NewInbound(sa)
	if err != nil {
		t.Fatal(err)
	}
	return out, in
}

// seal copies inner into a fresh buffer and seals it there.
func seal(t testing.TB, out *Outbound, inner []byte, nextHeader uint8) []byte {
	t.Helper()
	buf := make([]byte, out.HeaderLen()+len(inner)+out.TrailerLen(len(inner)))
	copy(buf[out.HeaderLen():], inner)
	packet, err := out.Seal(buf, out.HeaderLen(), len(inner), nextHeader)
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// ipv4Packet is an IPv4 packet of n octets, at least 20, with a counting body.
func ipv4Packet(n int) []byte {
	p := counting(n)
	copy(p, []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7})
	binary.BigEndian.PutUint16(p[2:], uint16(n))
	return p
}

// ipv6Packet is an IPv6 packet of n octets, at least 40, with a counting body.
func ipv6Packet(n int) []byte {
	p := counting(n)
	copy(p, []byte{0x60, 0, 0, 0, 0, 0, 17, 64})
	binary.BigEndian.PutUint16(p[4:], uint16(n-40))
	copy(p[8:], unhex("20010db8000000000000000000000001"))
	copy(p[24:], unhex("20010db8000100000000000000000007"))
	return p
}

func counting(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
