package initiator

import (
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Apple is the built-in client of iOS 17 and macOS 14 and later, set up by
// hand. Proposals appear twice in ESP; in rekeys the first of each pair has a
// group. The order of the transforms within a proposal is not known from a
// capture, nor is the group of the first KE payload.
func Apple() *Profile {
	p := apple("apple")
	p.IKE = offer(message.ProtocolIKE,
		aes256GCM(prf(suite.PRFHMACSHA256), group(suite.ECP256)), aes256GCM(prf(suite.PRFHMACSHA256), group(suite.MODP2048)),
		aes256SHA256(prf(suite.PRFHMACSHA256), group(suite.ECP256)), aes256SHA256(prf(suite.PRFHMACSHA256), group(suite.MODP2048)))
	p.ESP = offer(message.ProtocolESP, aes256GCM(noESN), aes256GCM(noESN), aes256SHA256(noESN), aes256SHA256(noESN))
	p.RekeyESP = offer(message.ProtocolESP,
		aes256GCM(group(suite.ECP256), noESN), aes256GCM(noESN), aes256SHA256(group(suite.ECP256), noESN), aes256SHA256(noESN))
	return p
}

// IOS16 is the built-in client of iOS 12 to 16, set up by hand: five IKE
// proposals, modp2048 first, and in rekeys of the Child SA a group and none.
func IOS16() *Profile {
	p := apple("ios16")
	sha256 := func(g suite.Group) []message.Transform {
		return aes256SHA256(prf(suite.PRFHMACSHA256), group(g))
	}
	sha1 := func(cipher message.Transform, more ...message.Transform) []message.Transform {
		return append([]message.Transform{cipher, integ(suite.IntegHMACSHA1_96)}, more...)
	}
	ike := []message.Transform{prf(suite.PRFHMACSHA1), group(suite.MODP1024)}
	p.IKE = offer(message.ProtocolIKE, sha256(suite.MODP2048), sha256(suite.ECP256), sha256(suite.MODP1536),
		sha1(encr(suite.EncrAESCBC, 128), ike...), sha1(encr(encr3DES, 0), ike...))
	p.ESP = offer(message.ProtocolESP, aes256SHA256(noESN), aes256SHA256(noESN), aes256SHA256(noESN),
		sha1(encr(suite.EncrAESCBC, 128), noESN), sha1(encr(encr3DES, 0), noESN))
	p.RekeyESP = offer(message.ProtocolESP, aes256SHA256(group(suite.MODP2048), noESN), aes256SHA256(noESN))
	return p
}

// MacOS13 is the built-in client of macOS 13 and earlier, set up by hand: one
// suite, and no key exchange in rekeys of the Child SA.
func MacOS13() *Profile {
	p := apple("macos13")
	p.singleSuite()
	return p
}

// AppleProfile is the client of iOS and macOS set up by a configuration
// profile that leaves the algorithms at their defaults: one suite, and a
// lifetime of a day.
func AppleProfile() *Profile {
	p := apple("apple-profile")
	p.singleSuite()
	p.Habits.RekeyChild, p.Habits.RekeyIKE = 1152*time.Minute, 1152*time.Minute // 80 % of 1440
	return p
}

// singleSuite is AES-256 with SHA2-256 and modp2048.
func (p *Profile) singleSuite() {
	p.IKE = offer(message.ProtocolIKE, aes256SHA256(prf(suite.PRFHMACSHA256), group(suite.MODP2048)))
	p.ESP = offer(message.ProtocolESP, aes256SHA256(noESN))
	p.RekeyESP = p.ESP
}

// apple is what all versions have in common.
func apple(name string) *Profile {
	return &Profile{
		Name: name,
		InitOrder: []Element{
			payload(message.TypeSA), payload(message.TypeKE), payload(message.TypeNonce),
			notify(message.RedirectSupported), notify(natDetection), notify(message.IKEv2FragmentationSupported),
		},
		AuthOrder: []Element{
			payload(message.TypeIDi), notify(message.InitialContact), payload(message.TypeIDr), payload(message.TypeCP),
			notify(message.ESPTFCPaddingNotSupported), notify(message.NonFirstFragmentsAlso),
			payload(message.TypeSA), payload(message.TypeTSi), payload(message.TypeTSr), notify(message.MOBIKESupported),
		},
		NonceLen: 16,
		Attributes: ask(message.InternalIP4Address, message.InternalIP4Netmask, message.InternalIP4DHCP, message.InternalIP4DNS,
			message.InternalIP6Address, message.InternalIP6DHCP, message.InternalIP6DNS, message.InternalDNSDomain),
		AddressIDi:  true,
		SilentLeave: true,
		KeepNumber:  true,
		Retransmit:  exchange.DefaultRetransmit,
		Habits: Habits{
			RekeyChild: 24 * time.Minute, // 80 % of 30
			RekeyIKE:   48 * time.Minute, // 80 % of 60
			Liveness:   10 * time.Minute,
			KeepAlive:  20 * time.Second,
			GiveUp:     true,
		},
		Demands: Demands{ServerAuth: true, EqualIDr: true, RSA: true},
	}
}

func aes256GCM(more ...message.Transform) []message.Transform {
	return append([]message.Transform{encr(suite.EncrAESGCM16, 256)}, more...)
}

func aes256SHA256(more ...message.Transform) []message.Transform {
	return append([]message.Transform{encr(suite.EncrAESCBC, 256), integ(suite.IntegHMACSHA2_256128)}, more...)
}
