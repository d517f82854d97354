//go:build vectors

package vectors

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"bridgehead/ikev2/message"
)

// tally says what the datagrams of a capture on UDP ports 500 and 4500 are.
type tally struct {
	Parsed, Refused  int // of IKEv2
	Normalised       int // of Parsed: reserved or critical bits were set
	OtherVersion     int
	ESP, Keepalive   int
	TruncatedOrEmpty int // too short for an IKE header
}

// ike gives the IKE messages of a capture, without the non-ESP marker, and
// counts everything else.
func ike(t testing.TB, name string) ([][]byte, tally) {
	t.Helper()
	var messages [][]byte
	var n tally
	for _, d := range datagrams(t, name) {
		b := d.data
		switch natT := d.from.Port() == 4500 || d.to.Port() == 4500; {
		case !natT && d.from.Port() != 500 && d.to.Port() != 500:
			continue
		case natT && bytes.Equal(b, []byte{0xff}):
			n.Keepalive++
			continue
		case natT && len(b) >= 4 && [4]byte(b) != [4]byte{}:
			n.ESP++
			continue
		case natT && len(b) >= 4:
			b = b[4:]
		}
		messages = append(messages, b)
	}
	return messages, n
}

// captures are all files of the folder that hold packets.
var captures = map[string]tally{
	"libreswan/authip-exchange-243.pcap":             {OtherVersion: 1}, // AuthIP is version 1
	"scapy/ikev2_nat_t.pcapng":                       {Parsed: 30, ESP: 24},
	"scapy/ikev2_notify_redirect.pcap":               {Parsed: 4},
	"suricata/IKEv2_SA_INIT_2-8-weak.pcap":           {Parsed: 1},
	"tcpdump/espudp1.pcap":                           {ESP: 8},
	"tcpdump/ikev2-id-normal.pcap":                   {Refused: 1}, // octets after the last payload
	"tcpdump/ikev2-id-short.pcap":                    {Refused: 1}, // IDi of 5 octets
	"tcpdump/ikev2four.pcap":                         {Parsed: 21},
	"tcpdump/ikev2pI2-segfault.pcapng":               {Refused: 1},               // a proposal length beyond the end
	"tcpdump/ikev2pI2.pcap":                          {Parsed: 2, Normalised: 2}, // sets critical bits of known payloads
	"tcpdump/isakmp-3948-oobr-2.pcap":                {TruncatedOrEmpty: 1},
	"tcpdump/isakmp-no-none-np.pcapng":               {OtherVersion: 1},
	"tcpdump/isakmp-pointer-loop.pcap":               {OtherVersion: 1},
	"tcpdump/isakmp-rfc3948-oobr.pcap":               {TruncatedOrEmpty: 1},
	"tcpdump/isakmp-various-oobr.pcap":               {OtherVersion: 1},
	"tcpdump/isakmp4500.pcap":                        {OtherVersion: 15, ESP: 8, Keepalive: 4}, // IKEv1
	"wireshark/esp-bug-12671.pcapng.gz":              {},                                       // bare ESP
	"wireshark/ikev2-decrypt-3des-sha1_160.pcap":     {Parsed: 6},
	"wireshark/ikev2-decrypt-aes128ccm12-2.pcap":     {Parsed: 6},
	"wireshark/ikev2-decrypt-aes128ccm12.pcap":       {Parsed: 6},
	"wireshark/ikev2-decrypt-aes192ctr.pcap":         {Parsed: 6},
	"wireshark/ikev2-decrypt-aes256cbc.pcapng":       {Parsed: 4},
	"wireshark/ikev2-decrypt-aes256ccm16.pcapng":     {Parsed: 4},
	"wireshark/ikev2-decrypt-aes256gcm16.pcap":       {Parsed: 6},
	"wireshark/ikev2-decrypt-aes256gcm8.pcap":        {Parsed: 6},
	"zeek/strongswan-invalid-ke-fragment-ikev2.pcap": {Parsed: 7},
	"zeek/windows-agilevpn-2015-ipsec_client.pcap":   {Parsed: 5},
}

func TestCaptures(t *testing.T) {
	for name, want := range captures {
		t.Run(name, func(t *testing.T) {
			messages, got := ike(t, name)
			for _, b := range messages {
				m, err := message.Parse(b)
				var version *message.VersionError
				switch {
				case err == nil:
					got.Parsed++
					if !encodesTo(t, m, b) {
						got.Normalised++
					}
				case errors.As(err, &version):
					got.OtherVersion++
				case len(b) < message.HeaderLen:
					got.TruncatedOrEmpty++
				default:
					got.Refused++
					t.Log("refused: ", err)
				}
			}
			same(t, "datagrams", got, want)
		})
	}
}

// encodesTo reports whether the message encodes to what was received, and
// fails if the two differ in more than bits that a receiver ignores.
func encodesTo(t *testing.T, m *message.Message, received []byte) bool {
	t.Helper()
	out := m.Append(nil)
	if bytes.Equal(out, received) {
		return true
	}
	for i := range min(len(out), len(received)) {
		if len(out) != len(received) || out[i] != received[i] && (received[i] != 0x80 || out[i] != 0) {
			t.Errorf("encoded to\n%x, received\n%x", out, received)
			break
		}
	}
	return false
}

// Two captures have a twin: their messages, taken out by another program.
func TestCaptureReaderAgreesWithAnother(t *testing.T) {
	for _, name := range []string{"zeek/windows-agilevpn-2015-ipsec_client", "zeek/strongswan-invalid-ke-fragment-ikev2"} {
		var twin struct {
			Messages []struct {
				IKE octets `json:"ike_hex"`
			}
		}
		load(t, name+".json", &twin)
		messages, _ := ike(t, name+".pcap")
		same(t, name+": messages", len(messages), len(twin.Messages))
		for i := range min(len(messages), len(twin.Messages)) {
			sameOctets(t, name, messages[i], twin.Messages[i].IKE)
		}
	}
}

func TestEveryCaptureIsListed(t *testing.T) {
	for _, pattern := range []string{"*/*.pcap", "*/*.pcapng", "*/*.gz"} {
		files, err := filepath.Glob(file(t, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name, err := filepath.Rel(os.Getenv("BRIDGEHEAD_VECTORS"), f)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := captures[filepath.ToSlash(name)]; !ok {
				t.Errorf("%s has no entry in captures", name)
			}
		}
	}
}
