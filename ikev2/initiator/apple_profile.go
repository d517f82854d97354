package initiator

import (
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Apple is the built-in client of iOS 17 and macOS 14 and later, set up by
// hand. Proposals appear twice in ESP; in rekeys the first of each pair has a
// group. The order of the transforms within a proposal is not known from a
// capture.
func Apple() *Profile {
	gcm := func(g ...message.Transform) []message.Transform {
		return append([]message.Transform{encr(suite.EncrAESGCM16, 256)}, g...)
	}
	cbc := func(g ...message.Transform) []message.Transform {
		return append([]message.Transform{encr(suite.EncrAESCBC, 256), integ(suite.IntegHMACSHA2_256128)}, g...)
	}
	return &Profile{
		Name: "apple",
		IKE: offer(message.ProtocolIKE,
			gcm(prf(suite.PRFHMACSHA256), group(suite.ECP256)), gcm(prf(suite.PRFHMACSHA256), group(suite.MODP2048)),
			cbc(prf(suite.PRFHMACSHA256), group(suite.ECP256)), cbc(prf(suite.PRFHMACSHA256), group(suite.MODP2048))),
		ESP: offer(message.ProtocolESP, gcm(noESN), gcm(noESN), cbc(noESN), cbc(noESN)),
		RekeyESP: offer(message.ProtocolESP,
			gcm(group(suite.ECP256), noESN), gcm(noESN), cbc(group(suite.ECP256), noESN), cbc(noESN)),
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
		SilentLeave: true,
		Retransmit:  exchange.DefaultRetransmit,
	}
}
