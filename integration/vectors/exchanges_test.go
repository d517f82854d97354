//go:build vectors

package vectors

import (
	"slices"
	"testing"

	"bridgehead/auth/eap"
	"bridgehead/ikev2/message"
)

// exchanges are the answers of a real responder to one client whose secrets
// are known, by test. A test has one or several IKE SAs, each of which begins
// with an IKE_SA_INIT response.
type exchanges struct {
	Initiator struct {
		SPI       octets `json:"spi_i"`
		Nonce     octets `json:"ni"`
		Private2  octets `json:"dh_private_group2"`
		Public2   octets `json:"dh_public_group2"`
		Private14 octets `json:"dh_private_group14"`
		Public14  octets `json:"dh_public_group14"`
		PeerChall octets `json:"eap_mschapv2_peer_challenge"`
	}
	Credentials struct {
		PSK      string
		User     string `json:"mschapv2_user"`
		Password string `json:"mschapv2_password"`
	}
	Tests map[string][]reply
	EAP   derivedEAP `json:"derived_eap"`
}

type derivedEAP struct {
	AuthenticatorChallenge octets `json:"authenticator_challenge"`
	PeerChallenge          octets `json:"peer_challenge"`
	NTResponse             octets `json:"nt_response"`
	AuthenticatorResponse  string `json:"authenticator_response_sent"`
	MSK                    octets `json:"msk_64"`
	Auth                   octets `json:"responder_auth_data"`
}

// reply is one message of the responder. Keys belong to the IKE SA that it
// opens; Plaintext is what SK or SKF holds.
type reply struct {
	Name      string
	Message   octets
	Keys      *derivedKeys `json:"keys_derived"`
	First     uint8        `json:"first_inner_payload"`
	Plaintext octets
	Fragment  []uint16
}

type derivedKeys struct {
	D            octets               `json:"sk_d"`
	Ai           octets               `json:"sk_ai"`
	Ar           octets               `json:"sk_ar"`
	Ei           octets               `json:"sk_ei"`
	Er           octets               `json:"sk_er"`
	Pi           octets               `json:"sk_pi"`
	Pr           octets               `json:"sk_pr"`
	Seed         octets               `json:"skeyseed"`
	SharedSecret octets               `json:"shared_secret"`
	Transforms   map[string][2]uint16 // by type: id and key length in bits
}

func loadExchanges(t testing.TB) exchanges {
	t.Helper()
	var x exchanges
	load(t, "aosp/cts-exchanges-with-keys.json", &x)
	return x
}

func TestExchangesParse(t *testing.T) {
	counts := make(map[string]int)
	for name, replies := range loadExchanges(t).Tests {
		t.Run(name, func(t *testing.T) {
			var pieces []byte // of a fragmented message
			var first message.PayloadType
			for _, r := range replies {
				m := checkMessage(t, r.Message)
				counts["messages"]++
				inner, complete := r.Plaintext, true
				switch p := m.Payloads[0].(type) {
				case *message.SA:
					counts["IKE_SA_INIT"]++
					continue
				case *message.SK:
					first = p.First
				case *message.SKF:
					same(t, r.Name+": fragment", []uint16{p.Number, p.Total}, r.Fragment)
					if p.Number == 1 {
						first, pieces = p.First, nil
					}
					pieces = append(pieces, inner...)
					inner, complete = pieces, p.Number == p.Total
					counts["fragments"]++
				default:
					t.Fatalf("%s begins with %s", r.Name, p.Type())
				}
				if !complete {
					continue
				}
				counts["plaintexts"]++
				for e := range message.All[*message.EAP](checkPayloads(t, first, inner)) {
					out, err := eapPacket(e.Packet)
					if err != nil {
						t.Errorf("%s: %v", r.Name, err)
					}
					sameOctets(t, r.Name+": EAP packet encoded again", out, e.Packet)
					counts["EAP packets"]++
				}
			}
		})
	}
	same(t, "counts", counts, map[string]int{"messages": 53, "IKE_SA_INIT": 13, "fragments": 4, "plaintexts": 38, "EAP packets": 4})
}

func TestResponderSendsSuccessByKey(t *testing.T) {
	x := loadExchanges(t)
	i := slices.IndexFunc(x.Tests["IkeSessionMschapV2Test"], func(r reply) bool { return r.Name == "IKE_AUTH_RESP_3" })
	r := x.Tests["IkeSessionMschapV2Test"][i]
	ps := checkPayloads(t, message.PayloadType(r.First), r.Plaintext)
	p, err := eap.Parse(message.Find[*message.EAP](ps).Packet)
	if err != nil {
		t.Fatal(err)
	}
	m, err := eap.ParseMSCHAPv2(p)
	if err != nil {
		t.Fatal(err)
	}
	success, err := eap.ParseSuccessMessage(m.(*eap.SuccessRequest).Message)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "success message", success.String()[:42], x.EAP.AuthenticatorResponse)
}
