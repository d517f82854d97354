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

// Notifications by number, as order names them.
const (
	nMOBIKE, nFragmentation, nRedirect, nHashes = "N(16396)", "N(16430)", "N(16406)", "N(16431)"
	nNAT                                        = "N(16388) N(16389)"
)

// looks are what each profile shows in its first two messages.
var looks = []struct {
	profile    *Profile
	gateway    string // what it takes, so that the login goes on
	init, auth string
	size       int // of IKE_SA_INIT in octets
	nonce      int
	group      suite.Group
	ike, esp   string
	rekey      string // of the Child SA; empty: the suite in use
	attributes []message.CPAttributeType
	roots      int // named in CERTREQ
}{
	{
		profile: Windows7(), gateway: "aes256-sha256-modp1024", size: 880, nonce: 48, group: suite.MODP1024,
		init: "SA KE Nonce " + nNAT + " V V V V", auth: windowsAuth, ike: windowsIKE, esp: windowsESP, rekey: windowsESP, attributes: windowsAttributes, roots: 151,
	},
	{
		profile: Windows10(), gateway: "aes256-sha256-modp1024", size: 624, nonce: 48, group: suite.MODP1024, init: windowsInit, auth: windowsAuth,
		ike: "3des-sha1-modp1024,3des-sha256-modp1024,3des-sha384-modp1024,aes256-sha1-modp1024,aes256-sha256-modp1024,aes256-sha384-modp1024",
		esp: windowsESP, rekey: windowsESP, attributes: windowsAttributes, roots: 53,
	},
	{
		profile: Windows11(), gateway: "aes256-sha256-modp1024", size: 1104, nonce: 48, group: suite.MODP1024, init: windowsInit, auth: windowsAuth,
		ike: windowsIKE + ",aes128gcm16-prfsha1-modp1024,aes128gcm16-prfsha256-modp1024,aes128gcm16-prfsha384-modp1024," +
			"aes256gcm16-prfsha1-modp1024,aes256gcm16-prfsha256-modp1024,aes256gcm16-prfsha384-modp1024",
		esp: windowsESP, rekey: windowsESP, attributes: windowsAttributes, roots: 53,
	},
	{
		profile: Windows10DH2048(), gateway: "aes256-sha256-modp2048", size: 632, nonce: 48, group: suite.MODP2048, init: windowsInit, auth: windowsAuth,
		ike: "aes256-sha1-modp2048,aes256-sha256-modp2048,aes256-sha384-modp2048",
		esp: windowsESP, rekey: windowsESP, attributes: windowsAttributes, roots: 53,
	},
	{
		profile: WindowsPolicy(), gateway: "aes256-sha256-modp2048", size: 544, nonce: 48, group: suite.MODP2048, init: windowsInit, auth: windowsAuth,
		ike: "aes256-sha256-modp2048", esp: "aes256gcm16", rekey: "aes256gcm16", attributes: windowsAttributes, roots: 53,
	},
	{
		profile: WindowsPolicyECP256(), gateway: "aes128-sha384-ecp256", size: 352, nonce: 48, group: suite.ECP256, init: windowsInit, auth: windowsAuth,
		ike: "aes128-sha384-ecp256", esp: "aes256gcm16", rekey: "aes256gcm16-ecp256", attributes: windowsAttributes, roots: 53,
	},
	{
		profile: IOS16(), gateway: "aes256-sha256-modp2048", size: 604, nonce: 16, group: suite.MODP2048, init: appleInit, auth: appleAuth,
		ike:   "aes256-sha256-modp2048,aes256-sha256-ecp256,aes256-sha256-modp1536,aes128-sha1-modp1024,3des-sha1-modp1024",
		esp:   "aes256-sha256,aes256-sha256,aes256-sha256,aes128-sha1,3des-sha1",
		rekey: "aes256-sha256-modp2048,aes256-sha256", attributes: appleAttributes,
	},
	{
		profile: MacOS13(), gateway: "aes256-sha256-modp2048", size: 432, nonce: 16, group: suite.MODP2048, init: appleInit, auth: appleAuth,
		ike: "aes256-sha256-modp2048", esp: "aes256-sha256", rekey: "aes256-sha256", attributes: appleAttributes,
	},
	{
		profile: Apple(), gateway: "aes256gcm16-prfsha256-ecp256", size: 356, nonce: 16, group: suite.ECP256, init: appleInit, auth: appleAuth,
		ike:   "aes256gcm16-prfsha256-ecp256,aes256gcm16-prfsha256-modp2048,aes256-sha256-ecp256,aes256-sha256-modp2048",
		esp:   "aes256gcm16,aes256gcm16,aes256-sha256,aes256-sha256",
		rekey: "aes256gcm16-ecp256,aes256gcm16,aes256-sha256-ecp256,aes256-sha256", attributes: appleAttributes,
	},
	{
		profile: AppleProfile(), gateway: "aes256-sha256-modp2048", size: 432, nonce: 16, group: suite.MODP2048, init: appleInit, auth: appleAuth,
		ike: "aes256-sha256-modp2048", esp: "aes256-sha256", rekey: "aes256-sha256", attributes: appleAttributes,
	},
	{
		profile: Android(), gateway: "aes256-sha256-modp4096", size: 1072, nonce: 32, group: suite.MODP4096,
		init: androidInit, auth: "IDi IDr " + nMOBIKE + " SA TSi TSr CP",
		ike: "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc-aescmac-" +
			"prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1-modp4096-x25519-modp3072-modp2048," +
			"chacha20poly1305-" + androidGCM + "-prfsha512-prfsha384-prfsha256-prfaesxcbc-prfaescmac-prfsha1-modp4096-x25519-modp3072-modp2048",
		esp: "aes256ctr-aes256-aes192ctr-aes192-aes128ctr-aes128-sha512-sha384-sha256-aesxcbc-aescmac," +
			"chacha20poly1305-" + androidGCM,
		attributes: androidAttributes,
	},
	{
		profile: Android11(), gateway: "aes256-sha256-modp4096", size: 988, nonce: 32, group: suite.MODP4096,
		init: androidInit, auth: "IDi IDr SA TSi TSr CP",
		ike: "aes256-aes192-aes128-sha512-sha384-sha256-aesxcbc-prfsha512-prfsha384-prfsha256-prfaesxcbc-prfsha1-modp4096-modp3072-modp2048," +
			androidGCM + "-prfsha512-prfsha384-prfsha256-prfaesxcbc-prfsha1-modp4096-modp3072-modp2048",
		esp:        "aes256-aes192-aes128-sha512-sha384-sha256-aesxcbc," + androidGCM,
		attributes: androidAttributes,
	},
	{
		profile: StrongSwanApp(), gateway: "aes256-sha256-ecp256", size: 704, nonce: 32, group: suite.ECP256,
		init: androidInit + " " + nRedirect,
		auth: "IDi N(16384) CERTREQ IDr CP SA TSi TSr " + nMOBIKE + " N(16399) N(16404) N(16417) N(16420)",
		ike: "aes128-aes192-aes256-aes128ctr-aes192ctr-aes256ctr-3des-sha256-sha384-sha512-aesxcbc-sha1-" + appGroupsIKE +
			",aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305-aes128gcm12-aes192gcm12-aes256gcm12-aes128gcm8-aes192gcm8-aes256gcm8-prfsha256-prfsha384-prfsha512-prfaesxcbc-prfsha1-" + appGroupsIKE,
		esp: appPlain,
		rekey: "aes256gcm16-aes128gcm16-chacha20poly1305-" + appGroups + ",aes256-aes192-aes128-sha384-sha256-sha512-sha1-" + appGroups +
			"-modp2048," + appPlain,
		attributes: []message.CPAttributeType{1, 8, 3, 10}, roots: 135,
	},
}

// What several of them have in common.
const (
	windowsInit = "SA KE Nonce " + nFragmentation + " " + nNAT + " V V V V"
	windowsAuth = "IDi CERTREQ " + nMOBIKE + " CP SA TSi TSr"
	windowsIKE  = "3des-sha1-modp1024,3des-sha256-modp1024,3des-sha384-modp1024," +
		"aes128-sha1-modp1024,aes128-sha256-modp1024,aes128-sha384-modp1024," +
		"aes192-sha1-modp1024,aes192-sha256-modp1024,aes192-sha384-modp1024," +
		"aes256-sha1-modp1024,aes256-sha256-modp1024,aes256-sha384-modp1024"
	windowsESP = "aes256-sha1,aes128-sha1,3des-sha1,des-sha1,null-sha1"

	appleInit = "SA KE Nonce " + nRedirect + " " + nNAT + " " + nFragmentation
	appleAuth = "IDi N(16384) IDr CP N(16394) N(16395) SA TSi TSr " + nMOBIKE

	androidInit = "SA KE Nonce " + nNAT + " " + nFragmentation + " " + nHashes
	androidGCM  = "aes256gcm16-aes256gcm12-aes256gcm8-aes192gcm16-aes192gcm12-aes192gcm8-aes128gcm16-aes128gcm12-aes128gcm8"

	appGroups    = "x25519-ecp384-ecp521-modp3072-modp4096-ecp256-modp8192"
	appPlain     = "aes256gcm16-aes128gcm16-chacha20poly1305,aes256-aes192-aes128-sha384-sha256-sha512-sha1"
	appGroupsIKE = "ecp256-ecp384-ecp521-x25519-modp3072-modp4096-modp6144-modp8192-modp2048"
)

var (
	windowsAttributes = []message.CPAttributeType{1, 3, 4, 23456, 8, 10, 23457}
	appleAttributes   = []message.CPAttributeType{1, 2, 6, 3, 8, 12, 10, 25}
	androidAttributes = []message.CPAttributeType{1, 8, 3, 10, 2, 7}
)

func TestProfiles(t *testing.T) {
	if len(looks)+1 != len(Profiles()) {
		t.Errorf("%d profiles are checked of %d, ours not counted", len(looks), len(Profiles())-1)
	}
	for _, test := range looks {
		t.Run(test.profile.Name, func(t *testing.T) {
			init, auth, size := firstMessages(t, test.profile, test.gateway)
			if got := order(init.Payloads); got != test.init || size != test.size {
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
			if got := suite.Describe(test.profile.RekeyESP); got != test.rekey {
				t.Errorf("ESP proposals in rekeys\n%s, want\n%s", got, test.rekey)
			}
			var asked []message.CPAttributeType
			for _, a := range message.Find[*message.CP](auth.Payloads).Attributes {
				asked = append(asked, a.Type)
			}
			if !slices.Equal(asked, test.attributes) {
				t.Errorf("asks for %v, want %v", asked, test.attributes)
			}
			if req := message.Find[*message.CertReq](auth.Payloads); (req != nil) != (test.roots > 0) || req != nil && len(req.Authorities) != 20*test.roots {
				t.Errorf("CERTREQ %+v, want %d authorities", req, test.roots)
			}
		})
	}
}

// TestSizesOfVariants holds IKE_SA_INIT against lengths that logs of real
// clients show of settings which are no profile of their own.
func TestSizesOfVariants(t *testing.T) {
	with := func(p *Profile, change func(*Profile)) *Profile { change(p); return p }
	noInitialContact := func(p *Profile) { p.VendorIDs = slices.Delete(p.VendorIDs, 2, 3) }
	noFragments := func(p *Profile) {
		p.InitOrder = slices.DeleteFunc(p.InitOrder, func(e Element) bool { return e.Notify == message.IKEv2FragmentationSupported })
	}
	suiteOf := func(g suite.Group) func(*Profile) {
		return func(p *Profile) { p.IKE = offer(message.ProtocolIKE, aes256GCM(prf(suite.PRFHMACSHA256), group(g))) }
	}
	for _, test := range []struct {
		what    string
		profile *Profile
		size    int
	}{
		{"Windows enforcing modp2048, without Vid-Initial-Contact", with(Windows10DH2048(), noInitialContact), 612},
		{"Windows with a policy for ECP-256, without fragmentation", with(WindowsPolicyECP256(), noFragments), 344},
		{"Apple profile with AES-GCM and ECP-256", with(AppleProfile(), suiteOf(suite.ECP256)), 232},
		{"Apple profile with AES-GCM and ECP-521", with(AppleProfile(), suiteOf(suite.ECP521)), 300},
		{"iOS 17 that begins with modp2048", with(Apple(), func(p *Profile) { p.Group = suite.MODP2048 }), 548},
	} {
		if _, _, size := firstMessages(t, test.profile, "aes256-sha512-ecp384"); size != test.size {
			t.Errorf("%s: %d octets, want %d", test.what, size, test.size)
		}
	}
}

// TestIdentities shows what each kind of client sends as IDi and asks for as
// IDr, and what it tells as EAP identity.
func TestIdentities(t *testing.T) {
	for _, test := range []struct {
		profile       *Profile
		user          string
		idi, idr, eap string
	}{
		{Windows7(), `CORP\alice`, "ID_IPV4_ADDR 192.168.0.2", "", `CORP\alice`},
		{Windows10(), "alice@example.org", "ID_IPV4_ADDR 192.168.0.2", "", "alice@example.org"},
		{Apple(), "alice", "ID_IPV4_ADDR 192.168.0.2", "ID_FQDN " + testName, "alice"},
		{Android(), "alice", "ID_FQDN alice", "ID_FQDN " + testName, ""},
		{Android(), "alice@example.org", "ID_RFC822_ADDR alice@example.org", "ID_FQDN " + testName, ""},
		{Android(), "site:alice", "ID_KEY_ID site:alice", "ID_FQDN " + testName, ""},
		{Android(), "192.0.2.7", "ID_IPV4_ADDR 192.0.2.7", "ID_FQDN " + testName, ""},
		{StrongSwanApp(), "alice", "ID_FQDN alice", "ID_FQDN " + testName, "alice"},
	} {
		cfg := testConfig()
		cfg.Profile, cfg.User = test.profile, test.user
		c := newConn(t, 42, cfg)
		c.gateway.ike = parse(t, message.ProtocolIKE, "aes256-sha256-modp1024,aes256-sha256-ecp256,aes256-sha256-modp4096")
		var said string
		c.gateway.ownEAP = true
		c.gateway.onEAP = func([]message.Payload) []message.Payload { return notification(message.AuthenticationFailed, nil) }
		c.gateway.onResponse = func(p []byte) { said = string(p[5:]) }
		c.login()
		ps := openAuth(t, c)
		idr := ""
		if id := message.FindID(ps, true); id != nil {
			idr = fmt.Sprintf("%s %s", id.Kind, id)
		}
		id := message.FindID(ps, false)
		if idi := fmt.Sprintf("%s %s", id.Kind, id); idi != test.idi || idr != test.idr || said != test.eap {
			t.Errorf("%s, user %s: IDi %s, IDr %q, EAP identity %q, want %s, %q, %q", test.profile.Name, test.user, idi, idr, said, test.idi, test.idr, test.eap)
		}
	}
}

// TestWindowsProposals checks the places of Windows' transforms: one of each
// type in each proposal, encryption, integrity, PRF and group in this order.
func TestWindowsProposals(t *testing.T) {
	init, auth, _ := firstMessages(t, Windows7(), "aes256-sha256-modp1024")
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
	if len(ids) != 4 || string(ids[0].Data[16:]) != "\x00\x00\x00\x08" || len(ids[3].Data) != 20 {
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
