package provision

import (
	"slices"
	"strings"

	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// ability is what a kind of client can be set to.
type ability struct {
	ike []suite.Proposals // all combinations; a later list only where no earlier one has anything in common with the gateway
	esp suite.Proposals   // without groups
	pfs string            // groups for rekeys of a Child SA
}

const (
	modernGroups = "ecp256-modp2048-ecp384-ecp521-modp3072-modp4096"
	otherGroups  = "x25519-modp6144-modp8192-modp1536-modp1024"
)

// abilities by client.
//
// Windows: Set-VpnConnectionIPsecConfiguration. The hash of IKE is that of the
// PRF, too. Its Group24 is not implemented here.
//
// Apple: the VPN payload's SecurityAssociationParameters, whose integrity
// gives the PRF. SHA-1 and groups below 14 ended with iOS 26 and macOS 26;
// group 31 is younger than the rest.
//
// The strongSwan family takes every combination in its own notation; without a
// group ESP leaves the key exchange of a rekey to both ends.
var abilities = map[Client]ability{
	Windows: {
		ike: []suite.Proposals{hashes("aes256-aes192-aes128", "modp2048-ecp256-ecp384-modp1024", "aes256gcm16-aes128gcm16", "sha384", "sha256", "sha1")},
		esp: mustParse(message.ProtocolESP, "aes256gcm16-aes192gcm16-aes128gcm16,aes256-aes192-aes128-sha256-sha1"),
		pfs: "modp2048-ecp256-ecp384",
	},
	Apple: {
		ike: []suite.Proposals{
			hashes("aes256-aes128", modernGroups, appleAEADs, "sha512", "sha384", "sha256"),
			hashes("aes256-aes128", modernGroups+"-"+otherGroups, appleAEADs, "sha512", "sha384", "sha256", "sha1"),
		},
		esp: mustParse(message.ProtocolESP, appleAEADs+",aes256-aes128-sha512-sha384-sha256-sha1"),
		pfs: modernGroups,
	},
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

var strongSwanFamily = ability{
	ike: []suite.Proposals{mustParse(message.ProtocolIKE, strongSwanAEADs+strongSwanPRFs+modernGroups+"-"+otherGroups+
		","+strongSwanCBC+strongSwanPRFs+modernGroups+"-"+otherGroups)},
	esp: mustParse(message.ProtocolESP, strongSwanAEADs+","+strongSwanCBC),
	pfs: modernGroups + "-" + otherGroups,
}

// hashes are the IKE proposals of a client whose PRF follows its one hash.
func hashes(cbc, groups, aead string, hashes ...string) suite.Proposals {
	var list []string
	for _, h := range hashes {
		list = append(list, cbc+"-"+h+"-"+groups, aead+"-prf"+h+"-"+groups)
	}
	return mustParse(message.ProtocolIKE, strings.Join(list, ","))
}

// mustParse parses this package's own constants.
func mustParse(p message.Protocol, s string) suite.Proposals {
	ps, err := suite.ParseProposals(p, s)
	if err != nil {
		panic(err)
	}
	return ps
}

// suites are one client's algorithms.
type suites struct {
	ike, esp suite.Choice // the group of esp is that of its rekeys; none leaves it out
}

// choose takes the strongest suites, by the gateway's order, that the client
// can be set to. Rekeys of a Child SA get a key exchange of their own where
// the gateway's configuration names a group for them.
func (a ability) choose(ike, esp suite.Proposals) (suites, error) {
	var (
		s   suites
		err error
	)
	for _, known := range a.ike {
		if s.ike, err = suite.Select(ike, known.Offer(nil), suite.GatewayOrder); err == nil {
			break
		}
	}
	if err != nil {
		return suites{}, err
	}
	if slices.ContainsFunc(esp, namesGroup) {
		if s.esp, err = suite.Select(esp, offerESP(withGroups(a.esp, a.pfs)), suite.GatewayOrder); err == nil {
			return s, nil
		}
	}
	s.esp, err = suite.Select(esp, offerESP(a.esp), suite.GatewayOrder)
	return s, err
}

// offerESP gives the proposals the SPI without which they are none.
func offerESP(ps suite.Proposals) []message.Proposal { return ps.Offer(make([]byte, 4)) }

func namesGroup(p suite.Proposal) bool {
	return slices.ContainsFunc(p.Transforms, func(t message.Transform) bool {
		return t.Type == message.TransformKE && suite.Group(t.ID) != suite.GroupNone
	})
}

// withGroups adds groups to ESP proposals.
func withGroups(ps suite.Proposals, groups string) suite.Proposals {
	var list []string
	for _, p := range ps {
		list = append(list, p.String()+"-"+groups)
	}
	return mustParse(message.ProtocolESP, strings.Join(list, ","))
}

// strongSwanWords is a choice as every version of strongSwan reads it.
func strongSwanWords(c suite.Choice) string {
	return strings.ReplaceAll(c.String(), "x25519", "curve25519")
}
