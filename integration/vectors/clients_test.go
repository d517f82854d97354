//go:build vectors

package vectors

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"bridgehead/ikev2/message"
)

// kinds are the payloads' types in their order.
func kinds(ps []message.Payload) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Type().String())
	}
	return out
}

func TestWindowsOffersTwelveProposals(t *testing.T) {
	messages, _ := ike(t, "zeek/windows-agilevpn-2015-ipsec_client.pcap")
	m := checkMessage(t, messages[0])
	same(t, "payloads", kinds(m.Payloads), []string{"SA", "KE", "Nonce", "N", "N", "V", "V", "V", "V"})
	sa := message.Find[*message.SA](m.Payloads)
	type proposal struct {
		Number    uint8
		Encr      uint16
		KeyLength uint16
		Integ     uint16
		PRF       uint16
		Group     uint16
	}
	var got, want []proposal
	for _, p := range sa.Proposals {
		tr := p.Transforms
		got = append(got, proposal{p.Number, tr[0].ID, tr[0].KeyLength, tr[1].ID, tr[2].ID, tr[3].ID})
	}
	for _, encr := range [][2]uint16{{3, 0}, {12, 128}, {12, 192}, {12, 256}} {
		for _, hash := range [][2]uint16{{2, 2}, {12, 5}, {13, 6}} {
			want = append(want, proposal{uint8(len(want) + 1), encr[0], encr[1], hash[0], hash[1], 2})
		}
	}
	same(t, "proposals", got, want)
	var vendors []string
	for v := range message.All[*message.VendorID](m.Payloads) {
		vendors = append(vendors, hex.EncodeToString(v.Data))
	}
	same(t, "vendor ids", vendors, []string{
		"1e2b516905991c7d7c96fcbfb587e46100000009", // MS NT5 ISAKMPOAKLEY
		"fb1de3cdf341b7ea16b7e5be0855f120",         // MS-Negotiation Discovery Capable
		"26244d38eddb61b3172a36e3d0cfb819",         // Vid-Initial-Contact
		"01528bbbc00696121849ab9a1c5b2a5100000002",
	})
	same(t, "nonce length", len(message.Find[*message.Nonce](m.Payloads).Data), 48)
	same(t, "KE group and length", []int{int(message.Find[*message.KE](m.Payloads).Group), len(message.Find[*message.KE](m.Payloads).Data)}, []int{2, 128})
	for _, b := range messages[2:] { // IKE_AUTH, joined from three IP fragments and sent three times
		auth := checkMessage(t, b)
		same(t, "exchange", auth.Header.Exchange, message.ExchangeAuth)
		same(t, "payloads", kinds(auth.Payloads), []string{"SK"})
		same(t, "first payload inside", message.Find[*message.SK](auth.Payloads).First, message.TypeIDi)
	}
	same(t, "IKE_AUTH requests", len(messages[2:]), 3)
}

func TestStrongSwanRetriesWithTheGroupAskedFor(t *testing.T) {
	messages, _ := ike(t, "zeek/strongswan-invalid-ke-fragment-ikev2.pcap")
	first, refusal, second := checkMessage(t, messages[0]), checkMessage(t, messages[1]), checkMessage(t, messages[2])
	n := message.FindNotify(refusal.Payloads, message.InvalidKEPayload)
	if n == nil {
		t.Fatalf("no INVALID_KE_PAYLOAD in %v", kinds(refusal.Payloads))
	}
	same(t, "group asked for", binary.BigEndian.Uint16(n.Data), uint16(15))
	same(t, "first and second group", []uint16{message.Find[*message.KE](first.Payloads).Group, message.Find[*message.KE](second.Payloads).Group}, []uint16{19, 15})
	same(t, "SPI of the retry", second.Header.InitiatorSPI, first.Header.InitiatorSPI)
	same(t, "nonce of the retry", message.Find[*message.Nonce](second.Payloads).Data, message.Find[*message.Nonce](first.Payloads).Data)
	var fragments [][2]uint16
	for _, b := range messages[3:] {
		m := checkMessage(t, b)
		if skf := message.Find[*message.SKF](m.Payloads); skf != nil && !m.Header.IsResponse() {
			fragments = append(fragments, [2]uint16{skf.Number, skf.Total})
			same(t, "payload named by the first fragment only", skf.First != message.NoNextPayload, skf.Number == 1)
		}
	}
	same(t, "fragments of IKE_AUTH", fragments, [][2]uint16{{1, 2}, {2, 2}})
}

func TestPayloadOrderDoesNotMatter(t *testing.T) {
	messages, _ := ike(t, "suricata/IKEv2_SA_INIT_2-8-weak.pcap")
	m := checkMessage(t, messages[0])
	same(t, "payloads", kinds(m.Payloads), []string{"Nonce", "KE", "SA"})
}

func TestAuthIPIsKnownByItsHeader(t *testing.T) {
	messages, _ := ike(t, "libreswan/authip-exchange-243.pcap")
	h, err := message.ParseHeader(messages[0])
	if err != nil {
		t.Fatal(err)
	}
	same(t, "exchange and version", []uint8{uint8(h.Exchange), h.MajorVersion()}, []uint8{243, 1})
}

func TestRedirects(t *testing.T) {
	var found []string
	messages, _ := ike(t, "scapy/ikev2_notify_redirect.pcap")
	for _, b := range messages {
		for n := range message.All[*message.Notify](checkMessage(t, b).Payloads) {
			switch n.Kind {
			case message.Redirect, message.RedirectedFrom, message.RedirectSupported:
				found = append(found, n.Kind.String())
			}
		}
	}
	same(t, "notifications", found, []string{"REDIRECT_SUPPORTED", "REDIRECT", "REDIRECTED_FROM"})
}
