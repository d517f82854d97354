package initiator

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// firstMessages gives the IKE_SA_INIT request and the first IKE_AUTH request
// of a client with a profile. The gateway accepts ike.
func firstMessages(t *testing.T, p *Profile, ike string) (init, auth *message.Message, size int) {
	t.Helper()
	cfg := testConfig()
	cfg.Profile = p
	c := newConn(t, 40, cfg)
	c.gateway.ike = parse(t, message.ProtocolIKE, ike)
	auth = &message.Message{}
	c.login()
	init, err := message.Parse(c.wire[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(c.wire) > 1 {
		auth.Payloads = openAuth(t, c)
	}
	return init, auth, len(c.wire[0])
}

// openAuth gives the payloads of the first IKE_AUTH request.
func openAuth(t *testing.T, c *conn) []message.Payload {
	t.Helper()
	sa := c.gateway.sessions[0]
	keys := sa.keys
	eye := c.gateway.newSA(sa.suite, keys, sa.spii, sa.spir, false)
	for _, data := range c.wire[1:] {
		m, err := message.Parse(data)
		c.gateway.must(err)
		if m.Header.Exchange != message.ExchangeAuth || m.Header.MessageID != 1 {
			continue
		}
		first, plaintext, err := eye.protection.Open(m, data)
		c.gateway.must(err)
		if f := exchange.FragmentOf(m); f != nil {
			first, plaintext, err = eye.joiner.Add(epoch, 1, f, plaintext)
			c.gateway.must(err)
			if plaintext == nil {
				continue
			}
		}
		ps, err := message.ParsePayloads(first, plaintext)
		c.gateway.must(err)
		return ps
	}
	t.Fatal("no IKE_AUTH request")
	return nil
}

// order is the payloads' types in their order; notifications by name.
func order(ps []message.Payload) string {
	var names []string
	for _, p := range ps {
		name := p.Type().String()
		if n, ok := p.(*message.Notify); ok {
			name = fmt.Sprintf("N(%d)", n.Kind)
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestProfiles(t *testing.T) {
	const fragmentation, natSource, natDestination, hashes, redirect = "N(16430)", "N(16388)", "N(16389)", "N(16431)", "N(16406)"
	for _, test := range []struct {
		profile    *Profile
		gateway    string // what it takes, so that the login goes on
		init, auth string
		size       int // of IKE_SA_INIT in octets as real clients' is known to be; 0 where it is not
		nonce      int
		group      suite.Group
		ike, esp   string
		attributes []message.CPAttributeType
	}{
		{
			profile: Windows10(), gateway: "aes256-sha256-modp1024",
			init: "SA KE Nonce " + fragmentation + " " + natSource + " " + natDestination + " V V V V",
			auth: "IDi CERTREQ N(16396) CP SA TSi TSr",
			size: 888, nonce: 48, group: suite.MODP1024,
			ike: "3des-sha1-modp1024,3des-sha256-modp1024,3des-sha384-modp1024," +
				"aes128-sha1-modp1024,aes128-sha256-modp1024,aes128-sha384-modp1024," +
				"aes192-sha1-modp1024,aes192-sha256-modp1024,aes192-sha384-modp1024," +
				"aes256-sha1-modp1024,aes256-sha256-modp1024,aes256-sha384-modp1024",
			esp:        "aes256-sha1,aes128-sha1,3des-sha1,des-sha1,null-sha1",
			attributes: []message.CPAttributeType{1, 3, 4, 23456, 8, 10, 23457},
		},
		{
			profile: Windows10DH2048(), gateway: "aes256-sha256-modp2048",
			init: "SA KE Nonce " + fragmentation + " " + natSource + " " + natDestination + " V V V V",
			auth: "IDi CERTREQ N(16396) CP SA TSi TSr",
			size: 632, nonce: 48, group: suite.MODP2048,
			ike:        "aes256-sha1-modp2048,aes256-sha256-modp2048,aes256-sha384-modp2048",
			esp:        "aes256-sha1,aes128-sha1,3des-sha1,des-sha1,null-sha1",
			attributes: []message.CPAttributeType{1, 3, 4, 23456, 8, 10, 23457},
		},
		{
			profile: Apple(), gateway: "aes256gcm16-prfsha256-ecp256",
			init: "SA KE Nonce " + redirect + " " + natSource + " " + natDestination + " " + fragmentation,
			auth: "IDi N(16384) IDr CP N(16394) N(16395) SA TSi TSr N(16396)",
			size: 356, nonce: 16, group: suite.ECP256,
			ike:        "aes256gcm16-prfsha256-ecp256,aes256gcm16-prfsha256-modp2048,aes256-sha256-ecp256,aes256-sha256-modp2048",
			esp:        "aes256gcm16,aes256gcm16,aes256-sha256,aes256-sha256",
			attributes: []message.CPAttributeType{1, 2, 6, 3, 8, 12, 10, 25},
		},
		{
			profile: Android(), gateway: "aes256-sha256-modp4096",
			init:  "SA KE Nonce " + natSource + " " + natDestination + " " + fragmentation + " " + hashes,
			auth:  "IDi IDr N(16396) SA TSi TSr CP",
			nonce: 32, group: suite.MODP4096,
			ike: "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc-aescmac-" +
				"prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1-modp4096-x25519-modp3072-modp2048," +
				"chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes192gcm12-aes192gcm8-aes128gcm16-aes128gcm12-aes128gcm8-" +
				"prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1-modp4096-x25519-modp3072-modp2048",
			esp: "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc-aescmac," +
				"chacha20poly1305-aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes192gcm12-aes192gcm8-aes128gcm16-aes128gcm12-aes128gcm8",
			attributes: []message.CPAttributeType{1, 8, 3, 10, 2, 7},
		},
	} {
		t.Run(test.profile.Name, func(t *testing.T) {
			init, auth, size := firstMessages(t, test.profile, test.gateway)
			if got := order(init.Payloads); got != test.init || test.size != 0 && size != test.size {
				t.Errorf("IKE_SA_INIT of %d octets: %s\nwant %d: %s", size, got, test.size, test.init)
			}
			ke, nonce := message.Find[*message.KE](init.Payloads), message.Find[*message.Nonce](init.Payloads)
			if ke.Group != uint16(test.group) || len(ke.Data) != test.group.PublicLen() || len(nonce.Data) != test.nonce {
				t.Errorf("group %s with %d octets, nonce of %d", suite.Group(ke.Group), len(ke.Data), len(nonce.Data))
			}
			if got := suite.Describe(message.Find[*message.SA](init.Payloads).Proposals); got != test.ike {
				t.Errorf("IKE proposals\n%s, want\n%s", got, test.ike)
			}
			if got := order(auth.Payloads); got != test.auth {
				t.Errorf("IKE_AUTH: %s\nwant %s", got, test.auth)
			}
			if got := suite.Describe(message.Find[*message.SA](auth.Payloads).Proposals); got != test.esp {
				t.Errorf("ESP proposals\n%s, want\n%s", got, test.esp)
			}
			var asked []message.CPAttributeType
			for _, a := range message.Find[*message.CP](auth.Payloads).Attributes {
				asked = append(asked, a.Type)
			}
			if !slices.Equal(asked, test.attributes) {
				t.Errorf("asks for %v, want %v", asked, test.attributes)
			}
		})
	}
}

// TestWindowsProposals checks the places of Windows' transforms: one of each
// type in each proposal, encryption, integrity, PRF and group in this order.
func TestWindowsProposals(t *testing.T) {
	init, auth, _ := firstMessages(t, Windows10(), "aes256-sha256-modp1024")
	ps := message.Find[*message.SA](init.Payloads).Proposals
	if len(ps) != 12 {
		t.Fatalf("%d proposals", len(ps))
	}
	for i, p := range ps {
		var types []message.TransformType
		for _, tr := range p.Transforms {
			types = append(types, tr.Type)
		}
		want := []message.TransformType{message.TransformENCR, message.TransformINTEG, message.TransformPRF, message.TransformKE}
		if int(p.Number) != i+1 || !slices.Equal(types, want) {
			t.Errorf("proposal %d has number %d and types %v", i+1, p.Number, types)
		}
	}
	ids := slices.Collect(message.All[*message.VendorID](init.Payloads))
	if len(ids) != 4 || string(ids[0].Data[16:]) != "\x00\x00\x00\x09" || len(ids[3].Data) != 20 {
		t.Errorf("%d vendor ids, the first %x", len(ids), ids[0].Data)
	}
	if id := message.FindID(auth.Payloads, false); id.Kind != message.IDIPv4Addr || id.String() != "192.168.0.2" {
		t.Errorf("IDi is %s %s, want the outer address", id.Kind, id)
	}
}

func TestAndroidKeepsPort500AndItsNameToItself(t *testing.T) {
	cfg := testConfig()
	cfg.Profile = Android()
	c := newConn(t, 41, cfg)
	c.gateway.ike = parse(t, message.ProtocolIKE, "aes256-sha256-modp4096")
	c.gateway.esp = parse(t, message.ProtocolESP, "aes256gcm16")
	c.login()
	c.established()
	for _, d := range c.wire {
		if strings.Contains(string(d), testUser) {
			t.Error("the name is sent in the clear")
		}
	}
	if local, _ := c.sa.path(); local != testEndpoints.LocalIKE {
		t.Errorf("IKE runs over %s without a NAT, want port 500", local)
	}
	if c.sa.Result().IKE != "aes256-sha256-modp4096" {
		t.Errorf("suite %s", c.sa.Result().IKE)
	}
}

func TestDefaultProfileOffersWhatTheSuiteHas(t *testing.T) {
	init, auth, _ := firstMessages(t, nil, "aes256gcm16-prfsha384-ecp384,aes128gcm16-prfsha256-x25519")
	if got, want := suite.Describe(message.Find[*message.SA](init.Payloads).Proposals), suite.DefaultIKE().String(); got != want {
		t.Errorf("IKE %s, want %s", got, want)
	}
	if got, want := suite.Describe(message.Find[*message.SA](auth.Payloads).Proposals), suite.DefaultESP().WithoutKE().String(); got != want {
		t.Errorf("ESP %s, want %s", got, want)
	}
	if got, want := order(auth.Payloads), "IDi CERTREQ IDr CP SA TSi TSr"; got != want {
		t.Errorf("IKE_AUTH: %s, want %s", got, want)
	}
}
