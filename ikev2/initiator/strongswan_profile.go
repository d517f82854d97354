package initiator

import (
	"slices"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// StrongSwanApp is the strongSwan app for Android with its default settings.
// It always has ESP run in UDP. charon builds its default proposals from what
// its plugins know; these are the app's without Camellia and Brainpool, which
// its BoringSSL has not.
func StrongSwanApp() *Profile {
	esp := appESP()
	return &Profile{
		Name: "strongswan-app",
		IKE:  appIKE(),
		// IKE_AUTH has no key exchange; what is then equal is sent once.
		ESP: esp[2:], RekeyESP: offer(message.ProtocolESP, esp[0].Transforms, esp[1].Transforms, esp[2].Transforms, esp[3].Transforms),
		InitOrder: []Element{
			payload(message.TypeSA), payload(message.TypeKE), payload(message.TypeNonce), notify(natDetection),
			notify(message.IKEv2FragmentationSupported), notify(message.SignatureHashAlgorithms), notify(message.RedirectSupported),
		},
		AuthOrder: []Element{
			payload(message.TypeIDi), notify(message.InitialContact), payload(message.TypeCertReq), payload(message.TypeIDr),
			payload(message.TypeCP), payload(message.TypeSA), payload(message.TypeTSi), payload(message.TypeTSr),
			notify(message.MOBIKESupported), notify(message.NoAdditionalAddresses), notify(message.MultipleAuthSupported),
			notify(message.EAPOnlyAuthentication), notify(message.IKEv2MessageIDSyncSupported),
		},
		NonceLen:       32,
		HashAlgorithms: []suite.HashAlgorithm{suite.HashSHA2256, suite.HashSHA2384, suite.HashSHA2512, suite.HashIdentity},
		Attributes:     ask(message.InternalIP4Address, message.InternalIP6Address, message.InternalIP4DNS, message.InternalIP6DNS),
		Roots:          135,
		ForgeNAT:       true,
		FragmentSize:   1400 - 20 - 8 - 4,
		Retransmit:     exchange.Retransmit{First: 2 * time.Second, Factor: 1.4, Tries: 3},
		Habits: Habits{
			RekeyChild: 2 * time.Hour, ChildLife: 150 * time.Minute,
			RekeyIKE: 10 * time.Hour, IKELife: 10*time.Hour + 30*time.Minute,
			Jitter: 0.05, KeepAlive: 45 * time.Second,
		},
	}
}

// appIKE is the default proposal and the default AEAD proposal.
func appIKE() []message.Proposal {
	prfs := []message.Transform{prf(suite.PRFHMACSHA256), prf(suite.PRFHMACSHA384), prf(suite.PRFHMACSHA512), prf(prfXCBC), prf(suite.PRFHMACSHA1)}
	var groups []message.Transform
	for _, g := range []suite.Group{suite.ECP256, suite.ECP384, suite.ECP521, suite.X25519,
		suite.MODP3072, suite.MODP4096, suite.MODP6144, suite.MODP8192, suite.MODP2048} {
		groups = append(groups, group(g))
	}
	return offer(message.ProtocolIKE,
		slices.Concat(appBits(suite.EncrAESCBC), appBits(encrAESCTR), []message.Transform{encr(encr3DES, 0),
			integ(suite.IntegHMACSHA2_256128), integ(suite.IntegHMACSHA2_384192), integ(suite.IntegHMACSHA2_512256),
			integ(integXCBC), integ(suite.IntegHMACSHA1_96)}, prfs, groups),
		slices.Concat(appBits(suite.EncrAESGCM16), []message.Transform{encr(suite.EncrChaCha20Poly1305, 0)},
			appBits(encrAESGCM12), appBits(encrAESGCM8), prfs, groups))
}

// appBits is a cipher with each length of key, the shortest first.
func appBits(cipher uint16) []message.Transform {
	return []message.Transform{encr(cipher, 128), encr(cipher, 192), encr(cipher, 256)}
}

// appESP is AEAD and CBC, each with groups, then without.
func appESP() []message.Proposal {
	aeads := []message.Transform{encr(suite.EncrAESGCM16, 256), encr(suite.EncrAESGCM16, 128), encr(suite.EncrChaCha20Poly1305, 0)}
	cbc := []message.Transform{
		encr(suite.EncrAESCBC, 256), encr(suite.EncrAESCBC, 192), encr(suite.EncrAESCBC, 128),
		integ(suite.IntegHMACSHA2_384192), integ(suite.IntegHMACSHA2_256128), integ(suite.IntegHMACSHA2_512256), integ(suite.IntegHMACSHA1_96),
	}
	var groups []message.Transform
	for _, g := range []suite.Group{suite.X25519, suite.ECP384, suite.ECP521, suite.MODP3072, suite.MODP4096, suite.ECP256, suite.MODP8192} {
		groups = append(groups, group(g))
	}
	return slices.Concat(
		offer(message.ProtocolESP, append(slices.Concat(aeads, groups), noESN), append(slices.Concat(cbc, groups), group(suite.MODP2048), noESN)),
		offer(message.ProtocolESP, append(aeads, noESN), append(cbc, noESN)))
}
