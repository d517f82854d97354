//go:build vectors

package vectors

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
)

// wiped is a message with what is different in each login set to zero: the
// SPI, the KE data, the nonce and the hashes of NAT detection.
func wiped(t *testing.T, b []byte) []byte {
	t.Helper()
	out := bytes.Clone(b)
	clear(out[:8])
	zero := func(part []byte) {
		at := bytes.Index(b, part)
		if at < 0 {
			t.Fatalf("%x is not in the message", part)
		}
		clear(out[at : at+len(part)])
	}
	m := checkMessage(t, b)
	zero(message.Find[*message.KE](m.Payloads).Data)
	zero(message.Find[*message.Nonce](m.Payloads).Data)
	for n := range message.All[*message.Notify](m.Payloads) {
		zero(n.Data)
	}
	return out
}

// TestEmulatedWindowsSaysWhatWindowsSaid compares our IKE_SA_INIT with the
// captured one, octet for octet. The captured client was later than Windows 7:
// its vendor id has version 9.
func TestEmulatedWindowsSaysWhatWindowsSaid(t *testing.T) {
	messages, _ := ike(t, "zeek/windows-agilevpn-2015-ipsec_client.pcap")
	profile := initiator.Windows7()
	profile.VendorIDs[0][19] = 9
	sa, err := initiator.NewSA(initiator.Config{Server: "vpn.example.org", User: "alice", Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	var out initiator.Outbox
	sa.Handle(time.Unix(0, 0), initiator.Start{Endpoints: initiator.Endpoints{
		LocalIKE: netip.MustParseAddrPort("192.168.0.10:500"), RemoteIKE: netip.MustParseAddrPort("144.76.154.114:500"),
		LocalNATT: netip.MustParseAddrPort("192.168.0.10:4500"), RemoteNATT: netip.MustParseAddrPort("144.76.154.114:4500"),
	}}, &out)
	if len(out.Send) != 1 {
		t.Fatalf("%d datagrams, want 1", len(out.Send))
	}
	sameOctets(t, "IKE_SA_INIT", wiped(t, out.Send[0].Data), wiped(t, messages[0]))
}
