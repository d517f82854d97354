package provision

import (
	"strings"

	"bridgehead/ikev2"
	"bridgehead/ikev2/suite"
)

const (
	modernGroups = "ecp256-modp2048-ecp384-ecp521-modp3072-modp4096"
	otherGroups  = "x25519-modp6144-modp8192-modp1536-modp1024"
)

// abilities by client; that of Windows is the gateway's to know.
//
// Apple: the VPN payload's SecurityAssociationParameters, whose integrity
// gives the PRF. SHA-1 and groups below 14 ended with iOS 26 and macOS 26;
// group 31 is younger than the rest.
//
// The strongSwan family takes every combination in its own notation; without a
// group ESP leaves the key exchange of a rekey to both ends.
var abilities = map[Client]suite.Ability{
	Windows: ikev2.WindowsAbility(),
	Apple: suite.NewAbility(
		[]string{
			hashes("aes256-aes128", modernGroups, appleAEADs, "sha512", "sha384", "sha256"),
			hashes("aes256-aes128", modernGroups+"-"+otherGroups, appleAEADs, "sha512", "sha384", "sha256", "sha1"),
		},
		appleAEADs+",aes256-aes128-sha512-sha384-sha256-sha1", modernGroups,
	),
	Android:        strongSwanFamily,
	NetworkManager: strongSwanFamily,
	StrongSwan:     strongSwanFamily,
}

const (
	appleAEADs      = "aes256gcm16-aes128gcm16-chacha20poly1305"
	strongSwanAEADs = "aes256gcm16-aes192gcm16-aes128gcm16-chacha20poly1305"
	strongSwanCBC   = "aes256-aes192-aes128-sha512-sha384-sha256-sha1"
	strongSwanPRFs  = "-prfsha512-prfsha384-prfsha256-prfsha1-"
)

var strongSwanFamily = suite.NewAbility(
	[]string{strongSwanAEADs + strongSwanPRFs + modernGroups + "-" + otherGroups +
		"," + strongSwanCBC + strongSwanPRFs + modernGroups + "-" + otherGroups},
	strongSwanAEADs+","+strongSwanCBC, modernGroups+"-"+otherGroups,
)

// hashes are the IKE proposals of a client whose PRF follows its one hash.
func hashes(cbc, groups, aead string, hashes ...string) string {
	var list []string
	for _, h := range hashes {
		list = append(list, cbc+"-"+h+"-"+groups, aead+"-prf"+h+"-"+groups)
	}
	return strings.Join(list, ",")
}

// suites are one client's algorithms.
type suites struct {
	ike, esp suite.Choice // the group of esp is that of its rekeys; none leaves it out
}

// strongSwanWords is a choice as every version of strongSwan reads it.
func strongSwanWords(c suite.Choice) string {
	return strings.ReplaceAll(c.String(), "x25519", "curve25519")
}
