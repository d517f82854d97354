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
	return &Profile{
		Name: "android",
		IKE: offer(message.ProtocolIKE,
			slices.Concat(androidCiphers(), androidIntegrity(), androidPRFs(), androidGroups()),
			slices.Concat(androidAEADs(), androidPRFs(), androidGroups())),
		ESP: offer(message.ProtocolESP,
			append(slices.Concat(androidCiphers(), androidIntegrity()), noESN),
			append(androidAEADs(), noESN)),
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
		EmptyIdentity: true,
		StayUnlessNAT: true,
		FreshRetry:    true,
		Retransmit:    exchange.Retransmit{First: 500 * time.Millisecond, Factor: 2, Tries: 4},
	}
}

func androidCiphers() []message.Transform {
	return []message.Transform{
		encr(encrAESCTR, 256), encr(suite.EncrAESCBC, 256), encr(encrAESCTR, 192), encr(suite.EncrAESCBC, 192),
		encr(encrAESCTR, 128), encr(suite.EncrAESCBC, 128),
	}
}

func androidIntegrity() []message.Transform {
	return []message.Transform{integ(suite.IntegHMACSHA2_512256), integ(suite.IntegHMACSHA2_384192), integ(suite.IntegHMACSHA2_256128), integ(integXCBC), integ(integCMAC)}
}

func androidPRFs() []message.Transform {
	return []message.Transform{prf(suite.PRFHMACSHA512), prf(suite.PRFHMACSHA384), prf(suite.PRFHMACSHA256), prf(prfXCBC), prf(prfCMAC), prf(suite.PRFHMACSHA1)}
}

func androidGroups() []message.Transform {
	return []message.Transform{group(suite.MODP4096), group(suite.X25519), group(suite.MODP3072), group(suite.MODP2048)}
}

func androidAEADs() []message.Transform {
	ts := []message.Transform{encr(suite.EncrChaCha20Poly1305, 0)}
	for _, bits := range []uint16{256, 192, 128} {
		ts = append(ts, encr(suite.EncrAESGCM16, bits), encr(encrAESGCM12, bits), encr(encrAESGCM8, bits))
	}
	return ts
}
