package initiator

import (
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// windowsVendorIDs are sent by Windows in this order: "MS NT5 ISAKMPOAKLEY"
// with version 9, MS-Negotiation Discovery Capable, Vid-Initial-Contact, and
// one that no list names.
func windowsVendorIDs() [][]byte {
	return [][]byte{
		[]byte("\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\x00\x00\x00\x09"),
		[]byte("\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20"),
		[]byte("\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19"),
		[]byte("\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\x00\x00\x00\x02"),
	}
}

// Windows10 is the built-in client of Windows 10 (1803 and later) in its
// factory state: twelve proposals of one suite each, 3DES first, all with
// modp1024.
func Windows10() *Profile {
	ciphers := []message.Transform{encr(encr3DES, 0), encr(suite.EncrAESCBC, 128), encr(suite.EncrAESCBC, 192), encr(suite.EncrAESCBC, 256)}
	p := windows()
	p.Name = "windows10"
	p.IKE = windowsSuites(ciphers, suite.MODP1024)
	return p
}

// Windows10DH2048 is Windows 10 with the registry value
// NegotiateDH2048_AES256 set to 2, enforce: AES-256 with modp2048 only.
func Windows10DH2048() *Profile {
	p := windows()
	p.Name = "windows10-dh2048"
	p.IKE = windowsSuites([]message.Transform{encr(suite.EncrAESCBC, 256)}, suite.MODP2048)
	return p
}

func windows() *Profile {
	sha1 := func(cipher message.Transform) []message.Transform {
		return []message.Transform{cipher, integ(suite.IntegHMACSHA1_96), noESN}
	}
	return &Profile{
		ESP: offer(message.ProtocolESP, sha1(encr(suite.EncrAESCBC, 256)), sha1(encr(suite.EncrAESCBC, 128)),
			sha1(encr(encr3DES, 0)), sha1(encr(encrDES, 0)), sha1(encr(encrNull, 0))),
		InitOrder: []Element{
			payload(message.TypeSA), payload(message.TypeKE), payload(message.TypeNonce),
			notify(message.IKEv2FragmentationSupported), notify(natDetection), payload(message.TypeVendorID),
		},
		AuthOrder: []Element{
			payload(message.TypeIDi), payload(message.TypeCertReq), notify(message.MOBIKESupported),
			payload(message.TypeCP), payload(message.TypeSA), payload(message.TypeTSi), payload(message.TypeTSr),
		},
		VendorIDs: windowsVendorIDs(),
		NonceLen:  48,
		Attributes: ask(message.InternalIP4Address, message.InternalIP4DNS, message.InternalIP4NBNS, message.InternalIP4Server,
			message.InternalIP6Address, message.InternalIP6DNS, message.InternalIP6Server),
		AddressIDi:   true,
		NoIDr:        true,
		SilentLeave:  true,
		FragmentSize: 580,
		Retransmit:   exchange.Retransmit{First: time.Second, Factor: 1, Tries: 5},
	}
}

// windowsSuites offers each cipher with each hash, one suite a proposal.
func windowsSuites(ciphers []message.Transform, g suite.Group) []message.Proposal {
	hashes := []struct {
		integ uint16
		prf   suite.PRF
	}{{suite.IntegHMACSHA1_96, suite.PRFHMACSHA1}, {suite.IntegHMACSHA2_256128, suite.PRFHMACSHA256}, {suite.IntegHMACSHA2_384192, suite.PRFHMACSHA384}}
	var suites [][]message.Transform
	for _, cipher := range ciphers {
		for _, h := range hashes {
			suites = append(suites, []message.Transform{cipher, integ(h.integ), prf(h.prf), group(g)})
		}
	}
	return offer(message.ProtocolIKE, suites...)
}
