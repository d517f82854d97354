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
		want    bool
	}{
		{"factory state", initiator.Windows10, "", true},
		{"a gateway that takes no modp2048", initiator.Windows10, "aes256-sha256-ecp384", false},
		{"another fault than modp1024", initiator.Windows10DH2048, "aes128-sha256-modp2048,aes256-sha256-ecp384", false},
		{"Android", outdated(initiator.Android), "", false},
		{"Apple", outdated(initiator.Apple), "", false},
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
		for _, line := range []string{
			WindowsSettings("NAME"), "-DHGroup Group14",
			`New-ItemProperty -Path HKLM:\SYSTEM\CurrentControlSet\Services\RasMan\Parameters -Name NegotiateDH2048_AES256 -PropertyType DWord -Value 1 -Force` + "\n",
			"Restart-Service RasMan\n",
		} {
			if strings.Contains(lines, line) != c.want {
				t.Errorf("%s: the remedy is\n%s\nwant %q in it: %v", c.name, lines, line, c.want)
			}
		}
	}
}

// What each of the two remedies makes Windows offer is accepted.
func TestRemediesHelp(t *testing.T) {
	registry := *initiator.Windows10() // value 1 puts the stronger ones first
	registry.IKE = append(initiator.Windows10DH2048().IKE[:2:2], registry.IKE...)
	cmdlet := *initiator.Windows10()
	cmdlet.IKE = proposals(t, message.ProtocolIKE, windowsStrength).Offer(nil)
	cmdlet.ESP = proposals(t, message.ProtocolESP, "aes256gcm16-noesn").Offer(nil)
	for name, profile := range map[string]*initiator.Profile{"registry": &registry, "cmdlet": &cmdlet} {
		w := newWorld(t, 1, nil)
		w.newDevice(func(cfg *initiator.Config) { cfg.Profile = profile }).mustLogin()
		if got := w.lastEvent().Session; got.IKE != windowsStrength || got.Client != "windows" {
			t.Errorf("%s: the session of %q has %s, want %s", name, got.Client, got.IKE, windowsStrength)
		}
	}
}
