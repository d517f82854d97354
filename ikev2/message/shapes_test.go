package message_test

import (
	"bytes"
	"net/netip"

	"bridgehead/ikev2/message"
)

// windowsInit has the shape of an IKE_SA_INIT request of Windows 7 to 10:
// twelve proposals of one transform of each kind, the weakest first, a nonce
// of 48 octets and four vendor ids.
func windowsInit() *message.Message {
	sa := &message.SA{}
	for _, encr := range []message.Transform{
		{Type: message.TransformENCR, ID: 3},
		{Type: message.TransformENCR, ID: 12, KeyLength: 128},
		{Type: message.TransformENCR, ID: 12, KeyLength: 192},
		{Type: message.TransformENCR, ID: 12, KeyLength: 256},
	} {
		for _, hash := range [][2]uint16{{2, 2}, {12, 5}, {13, 6}} { // integrity, PRF
			sa.Proposals = append(sa.Proposals, message.Proposal{
				Number: uint8(len(sa.Proposals) + 1), Protocol: message.ProtocolIKE,
				Transforms: []message.Transform{
					encr,
					{Type: message.TransformINTEG, ID: hash[0]},
					{Type: message.TransformPRF, ID: hash[1]},
					{Type: message.TransformKE, ID: 2},
				},
			})
		}
	}
	return &message.Message{
		Header: message.Header{InitiatorSPI: message.SPI{1, 2, 3}, Version: message.Version2, Exchange: message.ExchangeSAInit, Flags: message.FlagInitiator},
		Payloads: []message.Payload{
			sa,
			&message.KE{Group: 2, Data: bytes.Repeat([]byte{0x11}, 128)},
			&message.Nonce{Data: bytes.Repeat([]byte{0x22}, 48)},
			&message.Notify{Protocol: message.ProtocolIKE, Kind: message.NATDetectionSourceIP, Data: make([]byte, 20)},
			&message.Notify{Protocol: message.ProtocolIKE, Kind: message.NATDetectionDestinationIP, Data: make([]byte, 20)},
			&message.VendorID{Data: make([]byte, 20)},
			&message.VendorID{Data: make([]byte, 16)},
			&message.VendorID{Data: make([]byte, 16)},
			&message.VendorID{Data: make([]byte, 20)},
		},
	}
}

// authRequest has the shape of what a strongSwan client puts into the SK
// payload of its first IKE_AUTH request.
func authRequest() []message.Payload {
	esp := func(number uint8, transforms ...message.Transform) message.Proposal {
		return message.Proposal{Number: number, Protocol: message.ProtocolESP, SPI: []byte{1, 2, 3, 4}, Transforms: transforms}
	}
	everything := []message.Selector{
		{EndPort: 65535, Start: netip.MustParseAddr("0.0.0.0"), End: netip.MustParseAddr("255.255.255.255")},
		{EndPort: 65535, Start: netip.MustParseAddr("::"), End: netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")},
	}
	return []message.Payload{
		&message.ID{Kind: message.IDFQDN, Data: []byte("client.example.org")},
		&message.Notify{Kind: message.InitialContact},
		&message.CertReq{Encoding: message.CertX509Signature, Authorities: make([]byte, 20*20)},
		&message.CP{Kind: message.CPRequest, Attributes: []message.CPAttribute{
			{Type: message.InternalIP4Address}, {Type: message.InternalIP4DNS}, {Type: message.InternalIP6Address}, {Type: message.InternalIP6DNS},
		}},
		&message.SA{Proposals: []message.Proposal{
			esp(1, message.Transform{Type: message.TransformENCR, ID: 20, KeyLength: 256}, message.Transform{Type: message.TransformESN}),
			esp(2, message.Transform{Type: message.TransformENCR, ID: 12, KeyLength: 256}, message.Transform{Type: message.TransformINTEG, ID: 12}, message.Transform{Type: message.TransformESN}),
		}},
		&message.TS{Selectors: everything},
		&message.TS{Responder: true, Selectors: everything},
		&message.Notify{Kind: message.MOBIKESupported},
		&message.Notify{Kind: message.NoAdditionalAddresses},
		&message.Notify{Kind: message.EAPOnlyAuthentication},
		&message.Notify{Kind: message.IKEv2MessageIDSyncSupported},
	}
}
