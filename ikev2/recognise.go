package ikev2

import (
	"bytes"
	"slices"

	"bridgehead/auth"
	"bridgehead/ikev2/exchange"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// client is a kind of client, told by what it sends in IKE_SA_INIT.
type client uint8

const (
	clientUnknown    client = iota
	clientWindows           // built in, all versions
	clientApple             // built into iOS and macOS
	clientAndroid           // built into Android 11 and later
	clientStrongSwan        // charon on any system, the strongSwan app
	clientBridgehead        // package initiator
)

func (c client) String() string {
	return [...]string{"", "windows", "apple", "android", "strongswan", "bridgehead"}[c]
}

// vendorMicrosoft is "MS NT5 ISAKMPOAKLEY"; a version of four octets follows.
var vendorMicrosoft = []byte{0x1e, 0x2b, 0x51, 0x69, 0x05, 0x99, 0x1c, 0x7d, 0x7c, 0x96, 0xfc, 0xbf, 0xb5, 0x87, 0xe4, 0x61}

var vendorStrongSwan = []byte{0x88, 0x2f, 0xe5, 0x6d, 0x6f, 0xd2, 0x0d, 0xbc, 0x22, 0x51, 0x61, 0x3b, 0x2e, 0xbe, 0x5b, 0xeb}

// androidHashes are what Android announces (RFC 7427 §7): SHA-1, too.
var androidHashes = []suite.HashAlgorithm{suite.HashSHA1, suite.HashSHA2256, suite.HashSHA2384, suite.HashSHA2512}

// win32Codes tell Windows why its user is refused, where EAP itself may not:
// it never answers an EAP-MSCHAPv2 Failure that allows no retry. RRAS sends
// them beside the EAP-Failure ([MS-IKEE] 2.2.7). Of a name that is not known
// a client learns no more than of a wrong password, nor of an answer that was
// refused unasked.
var win32Codes = map[Cause]uint32{
	auth.CauseLogonHours:         646, // ERROR_RESTRICTED_LOGON_HOURS
	auth.CauseAccountDisabled:    647, // ERROR_ACCT_DISABLED
	auth.CausePasswordExpired:    648, // ERROR_PASSWD_EXPIRED
	auth.CauseNoDialinPermission: 649, // ERROR_NO_DIALIN_PERMISSION
	auth.CauseWrongPassword:      691, // ERROR_AUTHENTICATION_FAILURE
	auth.CauseUnknownUser:        691,
	auth.CauseIdentityMismatch:   691,
	auth.CauseGuessingAddress:    691,
	auth.CauseGuessingUser:       691,
	auth.CauseGuessingTotal:      691,
}

// recognise tells the kind of client from an IKE_SA_INIT request. Without a
// vendor id the extensions announced tell: Apple knows redirection but not
// RFC 7427, Android the reverse, charon both. Android's lists of hashes and
// groups are its own besides.
func recognise(ps []message.Payload) client {
	vendor := false
	for v := range message.All[*message.VendorID](ps) {
		if bytes.HasPrefix(v.Data, vendorMicrosoft) {
			return clientWindows
		}
		if bytes.Equal(v.Data, vendorStrongSwan) {
			return clientStrongSwan
		}
		if bytes.Equal(v.Data, exchange.VendorID) {
			return clientBridgehead
		}
		vendor = true
	}
	hashes := message.FindNotify(ps, message.SignatureHashAlgorithms)
	redirect := message.FindNotify(ps, message.RedirectSupported) != nil
	switch {
	case hashes != nil && redirect:
		return clientStrongSwan
	case hashes != nil && !vendor && slices.Equal(suite.ParseHashAlgorithms(hashes.Data), androidHashes) && offersGroup(ps, suite.MODP4096):
		return clientAndroid
	case hashes != nil:
		return clientUnknown
	case redirect && !vendor:
		return clientApple
	}
	return clientUnknown
}

// offersGroup tells whether any proposal of IKE_SA_INIT has a group.
func offersGroup(ps []message.Payload, g suite.Group) bool {
	sa := message.Find[*message.SA](ps)
	return sa != nil && slices.ContainsFunc(sa.Proposals, func(p message.Proposal) bool {
		return slices.ContainsFunc(p.Transforms, func(t message.Transform) bool {
			return t.Type == message.TransformKE && t.ID == uint16(g)
		})
	})
}

// certificateAdvice is what to look at when this client leaves after it saw
// our certificate, the likeliest first.
func (c client) certificateAdvice() string {
	switch c {
	case clientWindows:
		return "Windows shows error 13801 for: the name typed is not a dNSName of the certificate (an address must stand there as dNSName too), no serverAuth extended key usage, the root is not in the store of the local machine, or an intermediate is missing."
	case clientApple:
		return "iOS and macOS leave when: the Remote ID is not in the certificate's subject alternative names, the root is not installed and trusted, serverAuth is missing, or the key is ECDSA in a connection set up by hand."
	case clientAndroid:
		return "Android leaves when: the server name is not in the subject alternative names by exact type, the key is not RSA, the certificate has only a wildcard name, or the chosen authority did not sign it."
	}
	return "Check that the client trusts the root certificate, that the name it connects to is in the certificate, and that the chain is complete."
}
