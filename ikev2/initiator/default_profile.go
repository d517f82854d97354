package initiator

import (
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// DefaultProfile is this client's own look: the suite's default proposals,
// RFC 7427 signatures, fragmentation, everything asked for that a gateway may
// give, and a vendor id that says who it is.
func DefaultProfile() *Profile {
	return &Profile{
		Name: "bridgehead",
		IKE:  suite.DefaultIKE().Offer(nil),
		ESP:  suite.DefaultESP().WithoutKE().Offer(nil),
		InitOrder: []Element{
			payload(message.TypeSA), payload(message.TypeKE), payload(message.TypeNonce),
			notify(natDetection), notify(message.IKEv2FragmentationSupported), notify(message.SignatureHashAlgorithms),
			payload(message.TypeVendorID),
		},
		VendorIDs: [][]byte{exchange.VendorID},
		AuthOrder: []Element{
			payload(message.TypeIDi), optional(notify(message.InitialContact)), payload(message.TypeCertReq),
			payload(message.TypeIDr), payload(message.TypeCP), payload(message.TypeSA), payload(message.TypeTSi), payload(message.TypeTSr),
			optional(notify(message.MOBIKESupported)),
		},
		HashAlgorithms: suite.SupportedHashes(),
		Attributes: ask(message.InternalIP4Address, message.InternalIP6Address,
			message.InternalIP4DNS, message.InternalIP6DNS, message.InternalDNSDomain),
		Retransmit: exchange.DefaultRetransmit,
	}
}
