package initiator

import (
	"slices"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Android is the platform client of Android 12 and later: two proposals of
// long lists, a modp4096 value first, an empty EAP identity, and port 500
// kept unless there is a NAT.
func Android() *Profile {
	p := android("android")
	ciphers := androidBits(func(bits uint16) []message.Transform {
		return []message.Transform{encr(encrAESCTR, bits), encr(suite.EncrAESCBC, bits)}
	})
	integrity := append(androidIntegrity(), integ(integCMAC))
	prfs := []message.Transform{prf(suite.PRFHMACSHA512), prf(suite.PRFHMACSHA384), prf(suite.PRFHMACSHA256), prf(prfXCBC), prf(prfCMAC), prf(suite.PRFHMACSHA1)}
	groups := []message.Transform{group(suite.MODP4096), group(suite.X25519), group(suite.MODP3072), group(suite.MODP2048)}
	aeads := append([]message.Transform{encr(suite.EncrChaCha20Poly1305, 0)}, androidAEADs()...)
	p.IKE = offer(message.ProtocolIKE, slices.Concat(ciphers, integrity, prfs, groups), slices.Concat(aeads, prfs, groups))
	p.ESP = offer(message.ProtocolESP, append(slices.Concat(ciphers, integrity), noESN), append(aeads, noESN))
	return p
}

// Android11 is the platform client of Android 11: Android's without counter
// mode, ChaCha20, CMAC and Curve25519, and it does not move.
func Android11() *Profile {
	p := android("android11")
	ciphers := androidBits(func(bits uint16) []message.Transform { return []message.Transform{encr(suite.EncrAESCBC, bits)} })
	prfs := []message.Transform{prf(suite.PRFHMACSHA512), prf(suite.PRFHMACSHA384), prf(suite.PRFHMACSHA256), prf(prfXCBC), prf(suite.PRFHMACSHA1)}
	groups := []message.Transform{group(suite.MODP4096), group(suite.MODP3072), group(suite.MODP2048)}
	p.IKE = offer(message.ProtocolIKE, slices.Concat(ciphers, androidIntegrity(), prfs, groups), slices.Concat(androidAEADs(), prfs, groups))
	p.ESP = offer(message.ProtocolESP, append(slices.Concat(ciphers, androidIntegrity()), noESN), append(androidAEADs(), noESN))
	p.AuthOrder = slices.DeleteFunc(p.AuthOrder, func(e Element) bool { return e.Notify == message.MOBIKESupported })
	return p
}

// android is what all versions have in common.
func android(name string) *Profile {
	return &Profile{
		Name: name,
		InitOrder: []Element{
			payload(message.TypeSA), payload(message.TypeKE), payload(message.TypeNonce), notify(natDetection),
			notify(message.IKEv2FragmentationSupported), notify(message.SignatureHashAlgorithms),
		},
		AuthOrder: []Element{
			payload(message.TypeIDi), payload(message.TypeIDr), notify(message.MOBIKESupported), payload(message.TypeSA),
			payload(message.TypeTSi), payload(message.TypeTSr), payload(message.TypeCP),
		},
		NonceLen:       32,
		HashAlgorithms: []suite.HashAlgorithm{suite.HashSHA1, suite.HashSHA2256, suite.HashSHA2384, suite.HashSHA2512},
		Attributes: ask(message.InternalIP4Address, message.InternalIP6Address, message.InternalIP4DNS,
			message.InternalIP6DNS, message.InternalIP4Netmask, message.ApplicationVersion),
		KeyIDColon:    true,
		EmptyIdentity: true,
		StayUnlessNAT: true,
		FreshRetry:    true,
		Retransmit:    exchange.Retransmit{First: 500 * time.Millisecond, Factor: 2, Tries: 4},
		Habits: Habits{
			RekeyChild: time.Hour, ChildLife: 2 * time.Hour,
			RekeyIKE: 2 * time.Hour, IKELife: 4 * time.Hour,
			Patience: 5 * time.Minute,
			Liveness: 2 * time.Minute, KeepAlive: 15 * time.Second,
			GiveUp: true,
		},
		Demands: Demands{EqualIDr: true, RSA: true, NoPSS: true, OnlyX509: true, ExactName: true, StrictReply: true, NoIPv6NAT: true},
	}
}

// androidBits is what of gives for each length of key, the longest first.
func androidBits(of func(bits uint16) []message.Transform) []message.Transform {
	return slices.Concat(of(256), of(192), of(128))
}

func androidIntegrity() []message.Transform {
	return []message.Transform{integ(suite.IntegHMACSHA2_512256), integ(suite.IntegHMACSHA2_384192), integ(suite.IntegHMACSHA2_256128), integ(integXCBC)}
}

func androidAEADs() []message.Transform {
	return androidBits(func(bits uint16) []message.Transform {
		return []message.Transform{encr(suite.EncrAESGCM16, bits), encr(encrAESGCM12, bits), encr(encrAESGCM8, bits)}
	})
}
