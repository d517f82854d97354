package ikev2

import (
	"strconv"
	"strings"

	"bridgehead/ikev2/suite"
)

// windowsCan is what Set-VpnConnectionIPsecConfiguration can have the client
// built into Windows 8 and later offer. The hash of IKE is that of the PRF,
// too. The cmdlet's Group24 is not implemented here.
var windowsCan = suite.NewAbility(
	[]string{strings.Join([]string{
		"aes256-aes192-aes128-sha384-" + windowsGroupList, "aes256gcm16-aes128gcm16-prfsha384-" + windowsGroupList,
		"aes256-aes192-aes128-sha256-" + windowsGroupList, "aes256gcm16-aes128gcm16-prfsha256-" + windowsGroupList,
		"aes256-aes192-aes128-sha1-" + windowsGroupList, "aes256gcm16-aes128gcm16-prfsha1-" + windowsGroupList,
	}, ",")},
	"aes256gcm16-aes192gcm16-aes128gcm16,aes256-aes192-aes128-sha256-sha1", "modp2048-ecp256-ecp384",
)

const windowsGroupList = "modp2048-ecp256-ecp384-modp1024"

// WindowsAbility is what the client built into Windows can be set to.
func WindowsAbility() suite.Ability { return windowsCan }

// WindowsPolicy is the PowerShell line that has one connection of that client
// offer one suite each for IKE and for ESP, both out of WindowsAbility, and
// nothing else. The group of esp is that of its rekeys.
func WindowsPolicy(connection string, ike, esp suite.Choice) string {
	cipher := windowsCipher(esp)
	authentication := cipher
	switch esp.Integ.ID {
	case suite.IntegHMACSHA1_96:
		authentication = "SHA196"
	case suite.IntegHMACSHA2_256128:
		authentication = "SHA256128"
	}
	return "Set-VpnConnectionIPsecConfiguration -ConnectionName " + connection +
		" -AuthenticationTransformConstants " + authentication + " -CipherTransformConstants " + cipher +
		" -EncryptionMethod " + windowsCipher(ike) + " -IntegrityCheckMethod " + windowsHashes[suite.PRF(ike.PRF.ID)] +
		" -DHGroup " + windowsGroups[ike.Group()].ike + " -PfsGroup " + windowsGroups[esp.Group()].pfs + " -Force"
}

// WindowsSettings is WindowsPolicy for the strongest suites that a gateway with
// these proposals accepts. ok is false where there is none, or with modp1024
// alone, which Windows offers without being told to.
func WindowsSettings(connection string, ike, esp suite.Proposals) (line string, ok bool) {
	forIKE, forChild, err := windowsCan.Choose(ike, esp)
	if err != nil || forIKE.Group() == suite.MODP1024 {
		return "", false
	}
	return WindowsPolicy(connection, forIKE, forChild), true
}

var windowsHashes = map[suite.PRF]string{suite.PRFHMACSHA1: "SHA1", suite.PRFHMACSHA256: "SHA256", suite.PRFHMACSHA384: "SHA384"}

// windowsGroups are the cmdlet's two names for a group.
var windowsGroups = map[suite.Group]struct{ ike, pfs string }{
	suite.GroupNone: {"None", "None"},
	suite.MODP1024:  {"Group2", "PFS2"},
	suite.MODP2048:  {"Group14", "PFS2048"},
	suite.ECP256:    {"ECP256", "ECP256"},
	suite.ECP384:    {"ECP384", "ECP384"},
}

func windowsCipher(c suite.Choice) string {
	kind := "AES"
	if c.Encr.ID == suite.EncrAESGCM16 {
		kind = "GCMAES"
	}
	return kind + strconv.Itoa(int(c.Encr.KeyLength))
}
