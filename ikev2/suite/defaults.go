package suite

import "bridgehead/ikev2/message"

// The defaults admit every current client as it leaves the factory, except
// those that offer no group but modp1024 or no cipher but 3DES. Groups stand
// by what they cost the gateway: all have 112 bits of security or more.
// HMAC-SHA1 is there for Windows and is not affected by collisions of SHA-1.
const (
	defaultGroups = "-x25519-ecp256-modp2048-ecp384-ecp521-modp3072"
	defaultIKE    = "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha512-prfsha384-prfsha256-prfsha1" + defaultGroups +
		",aes256-aes128-sha512-sha384-sha256-sha1-prfsha512-prfsha384-prfsha256-prfsha1" + defaultGroups
	// SHA2-256 comes first where every packet is hashed.
	defaultESP = "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn" +
		",aes256-aes128-sha256-sha384-sha512-sha1-esn-noesn"
)

// DefaultIKE is what the gateway accepts for the IKE SA unless configured.
func DefaultIKE() Proposals { return mustParse(message.ProtocolIKE, defaultIKE) }

// DefaultESP is what the gateway accepts for Child SAs unless configured. It
// names no group: the key exchange of a rekey is left to the peer.
func DefaultESP() Proposals { return mustParse(message.ProtocolESP, defaultESP) }

// mustParse parses this package's own constants.
func mustParse(p message.Protocol, s string) Proposals {
	ps, err := ParseProposals(p, s)
	if err != nil {
		panic(err)
	}
	return ps
}
