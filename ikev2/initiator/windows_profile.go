package initiator

import (
	"slices"
	"time"

	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Versions in the first of Windows' vendor ids.
const (
	windows7Version = 8
	windows8Version = 9 // and of all later ones
)

// windowsVendorIDs are sent by Windows in this order: "MS NT5 ISAKMPOAKLEY"
// with a version, MS-Negotiation Discovery Capable, Vid-Initial-Contact, and
// one that no list names.
func windowsVendorIDs(version byte) [][]byte {
	return [][]byte{
		append([]byte("\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\x00\x00\x00"), version),
		[]byte("\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20"),
		[]byte("\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19"),
		[]byte("\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\x00\x00\x00\x02"),
	}
}

// Windows7 is the built-in client of Windows 7: twelve proposals of one suite
// each, 3DES first, all with modp1024, and no fragments of IKE's own. Windows
// 8 to 10 before version 1803 differ in the version of the vendor id.
func Windows7() *Profile {
	p := windows("windows7")
	p.IKE = offer(message.ProtocolIKE, windowsSuites(windowsCiphers(), suite.MODP1024)...)
	p.InitOrder = slices.DeleteFunc(p.InitOrder, func(e Element) bool { return e.Notify == message.IKEv2FragmentationSupported })
	p.VendorIDs = windowsVendorIDs(windows7Version)
	p.Roots = 151 // IKE_AUTH has about 3,468 octets, as captured
	return p
}

// Windows10 is the built-in client of Windows 10 and of builds of Windows 11
// in their factory state: 3DES and AES-256 with three hashes, all with
// modp1024.
func Windows10() *Profile {
	p := windows("windows10")
	p.IKE = offer(message.ProtocolIKE, windowsSuites([]message.Transform{encr(encr3DES, 0), encr(suite.EncrAESCBC, 256)}, suite.MODP1024)...)
	return p
}

// Windows11 is the built-in client of Windows 11 as it is documented: the
// twelve suites of Windows 7 and AES-GCM with three PRFs, all with modp1024.
// The place of AES-GCM in the list is not known from a capture.
func Windows11() *Profile {
	p := windows("windows11")
	suites := windowsSuites(windowsCiphers(), suite.MODP1024)
	for _, bits := range []uint16{128, 256} {
		for _, f := range []suite.PRF{suite.PRFHMACSHA1, suite.PRFHMACSHA256, suite.PRFHMACSHA384} {
			suites = append(suites, []message.Transform{encr(suite.EncrAESGCM16, bits), prf(f), group(suite.MODP1024)})
		}
	}
	p.IKE = offer(message.ProtocolIKE, suites...)
	return p
}

// Windows10DH2048 is Windows 10 with the registry value
// NegotiateDH2048_AES256 set to 2, enforce: AES-256 with modp2048 only.
func Windows10DH2048() *Profile {
	p := windows("windows10-dh2048")
	p.IKE = offer(message.ProtocolIKE, windowsSuites([]message.Transform{encr(suite.EncrAESCBC, 256)}, suite.MODP2048)...)
	return p
}

// WindowsPolicy is Windows with a policy set by the cmdlet
// Set-VpnConnectionIPsecConfiguration: one suite for IKE, one for ESP, and no
// key exchange in rekeys.
func WindowsPolicy() *Profile {
	p := windows("windows10-policy")
	p.IKE = offer(message.ProtocolIKE, windowsSuites([]message.Transform{encr(suite.EncrAESCBC, 256)}, suite.MODP2048)[1])
	p.ESP = offer(message.ProtocolESP, []message.Transform{encr(suite.EncrAESGCM16, 256), noESN})
	p.RekeyESP = p.ESP
	return p
}

// WindowsPolicyECP256 is Windows with a policy of another suite and PfsGroup
// ECP256: then rekeys of the Child SA offer that group and no other, and a
// gateway without it loses the tunnel.
func WindowsPolicyECP256() *Profile {
	p := windows("windows10-policy-ecp256")
	p.IKE = offer(message.ProtocolIKE, windowsSuites([]message.Transform{encr(suite.EncrAESCBC, 128)}, suite.ECP256)[2])
	p.ESP = offer(message.ProtocolESP, []message.Transform{encr(suite.EncrAESGCM16, 256), noESN})
	p.RekeyESP = offer(message.ProtocolESP, []message.Transform{encr(suite.EncrAESGCM16, 256), group(suite.ECP256), noESN})
	return p
}

// windows is what all versions have in common.
func windows(name string) *Profile {
	sha1 := func(cipher message.Transform) []message.Transform {
		return []message.Transform{cipher, integ(suite.IntegHMACSHA1_96), noESN}
	}
	esp := offer(message.ProtocolESP, sha1(encr(suite.EncrAESCBC, 256)), sha1(encr(suite.EncrAESCBC, 128)),
		sha1(encr(encr3DES, 0)), sha1(encr(encrDES, 0)), sha1(encr(encrNull, 0)))
	return &Profile{
		Name: name, ESP: esp, RekeyESP: esp,
		InitOrder: []Element{
			payload(message.TypeSA), payload(message.TypeKE), payload(message.TypeNonce),
			notify(message.IKEv2FragmentationSupported), notify(natDetection), payload(message.TypeVendorID),
		},
		AuthOrder: []Element{
			payload(message.TypeIDi), payload(message.TypeCertReq), notify(message.MOBIKESupported),
			payload(message.TypeCP), payload(message.TypeSA), payload(message.TypeTSi), payload(message.TypeTSr),
		},
		VendorIDs: windowsVendorIDs(windows8Version),
		NonceLen:  48,
		Attributes: ask(message.InternalIP4Address, message.InternalIP4DNS, message.InternalIP4NBNS, message.InternalIP4Server,
			message.InternalIP6Address, message.InternalIP6DNS, message.InternalIP6Server),
		AddressIDi:   true,
		NoIDr:        true,
		Roots:        53,
		SilentLeave:  true,
		FragmentSize: 580,
		Retransmit:   exchange.Retransmit{First: time.Second, Factor: 1, Tries: 5},
		Habits: Habits{
			RekeyChildOctets: 200 << 20,
			// Of the server the documentation says 480 minutes, of the client
			// nothing.
			RekeyIKE:  8 * time.Hour,
			Liveness:  20 * time.Second, // 9 to 40 were seen
			KeepAlive: 20 * time.Second,
			GiveUp:    true,
		},
		Demands: Demands{ServerAuth: true, WindowsRekeys: true},
	}
}

func windowsCiphers() []message.Transform {
	return []message.Transform{encr(encr3DES, 0), encr(suite.EncrAESCBC, 128), encr(suite.EncrAESCBC, 192), encr(suite.EncrAESCBC, 256)}
}

// windowsSuites is each cipher with each hash.
func windowsSuites(ciphers []message.Transform, g suite.Group) [][]message.Transform {
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
	return suites
}
