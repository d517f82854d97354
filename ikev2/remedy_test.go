package ikev2

import (
	"strings"
	"testing"

	"bridgehead/ikev2/initiator"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

func proposals(t *testing.T, p message.Protocol, text string) suite.Proposals {
	t.Helper()
	ps, err := suite.ParseProposals(p, text)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// Whoever runs Windows is told what to type; nobody else is, and not where it
// would not help.
func TestRemedyForWindows(t *testing.T) {
	outdated := func(look func() *initiator.Profile) func() *initiator.Profile {
		return func() *initiator.Profile {
			p := *look()
			p.IKE = initiator.Windows10().IKE
			return &p
		}
	}
	for _, c := range []struct {
		name    string
		profile func() *initiator.Profile
		gateway string // "": its defaults
		cmdlet  bool   // helps
		value   bool   // of the registry helps
	}{
		{"factory state", initiator.Windows10, "", true, true},
		{"a gateway that takes no modp2048", initiator.Windows10, "aes256-sha256-ecp384", true, false},
		{"a gateway that takes nothing of the cmdlet's", initiator.Windows10, "aes256-sha512-ecp521", false, false},
		{"another fault than modp1024", initiator.Windows10DH2048, "aes128-sha256-modp2048,aes256-sha256-ecp384", false, false},
		{"Android", outdated(initiator.Android), "", false, false},
		{"Apple", outdated(initiator.Apple), "", false, false},
	} {
		w := newWorld(t, 1, func(cfg *Config) {
			if c.gateway != "" {
				cfg.IKE = proposals(t, message.ProtocolIKE, c.gateway)
			}
		})
		w.newDevice(func(cfg *initiator.Config) { cfg.Profile = c.profile() }).login()
		rs := w.refusals()
		if len(rs) != 1 || rs[0].Cause != CauseNoIKEProposal {
			t.Fatalf("%s: refusals %s", c.name, describeRefusals(rs))
		}
		lines := strings.Join(rs[0].Remedy, "\n") + "\n"
		for line, want := range map[string]bool{
			"Set-VpnConnectionIPsecConfiguration -ConnectionName NAME ": c.cmdlet,
			`New-ItemProperty -Path HKLM:\SYSTEM\CurrentControlSet\Services\RasMan\Parameters -Name NegotiateDH2048_AES256 -PropertyType DWord -Value 1 -Force` + "\n": c.value,
			"Restart-Service RasMan\n": c.value,
		} {
			if strings.Contains(lines, line) != want {
				t.Errorf("%s: the remedy is\n%s\nwant %q in it: %v", c.name, lines, line, want)
			}
		}
	}
}

// What each of the two remedies makes Windows offer is accepted.
func TestRemediesHelp(t *testing.T) {
	registry := *initiator.Windows10() // value 1 puts the stronger ones first
	registry.IKE = append(initiator.Windows10DH2048().IKE[:2:2], registry.IKE...)
	cmdlet := *initiator.Windows10()
	ike, esp, err := WindowsAbility().Choose(suite.DefaultIKE(), suite.DefaultESP())
	if err != nil {
		t.Fatal(err)
	}
	cmdlet.IKE = proposals(t, message.ProtocolIKE, ike.String()).Offer(nil)
	cmdlet.ESP = proposals(t, message.ProtocolESP, esp.String()+"-noesn").Offer(nil)
	for want, profile := range map[string]*initiator.Profile{windowsRegistry: &registry, ike.String(): &cmdlet} {
		w := newWorld(t, 1, nil)
		w.newDevice(func(cfg *initiator.Config) { cfg.Profile = profile }).mustLogin()
		if got := w.lastEvent().Session; got.IKE != want || got.Client != "windows" {
			t.Errorf("the session of %q has %s, want %s", got.Client, got.IKE, want)
		}
	}
}

// TestWindowsSettings holds the cmdlet's words for what gateways accept.
func TestWindowsSettings(t *testing.T) {
	for _, c := range []struct{ name, ike, esp, want string }{
		{"the defaults", suite.DefaultIKE().String(), suite.DefaultESP().String(),
			"-AuthenticationTransformConstants GCMAES256 -CipherTransformConstants GCMAES256 -EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP256 -PfsGroup None"},
		{"the documented setup", "aes256-aes192-aes128-sha384-sha256-sha1-modp3072-modp2048-modp1536-modp1024", "aes256-aes128-sha1",
			"-AuthenticationTransformConstants SHA196 -CipherTransformConstants AES256 -EncryptionMethod AES256 -IntegrityCheckMethod SHA384 -DHGroup Group14 -PfsGroup None"},
		{"groups for rekeys", "aes128-sha256-ecp384", "aes128-sha256-modp2048",
			"-AuthenticationTransformConstants SHA256128 -CipherTransformConstants AES128 -EncryptionMethod AES128 -IntegrityCheckMethod SHA256 -DHGroup ECP384 -PfsGroup PFS2048"},
		{"modp1024 alone", "aes256-sha1-modp1024", "aes256-sha1", ""},
		{"no cipher in common", "chacha20poly1305-prfsha256-modp2048", "aes256-sha1", ""},
		{"no cipher for traffic in common", "aes256-sha256-modp2048", "chacha20poly1305", ""},
	} {
		line, ok := WindowsSettings("NAME", proposals(t, message.ProtocolIKE, c.ike), proposals(t, message.ProtocolESP, c.esp))
		if c.want != "" {
			c.want = "Set-VpnConnectionIPsecConfiguration -ConnectionName NAME " + c.want + " -Force"
		}
		if line != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", c.name, line, ok, c.want)
		}
	}
}
