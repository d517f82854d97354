package ikev2

import (
	"fmt"
	"math/bits"
	"strings"
)

// Quirk is one habit of real clients that the gateway makes allowance for.
// Its String is a short id, such as "W1".
type Quirk uint8

// Quirks. W are those of the client built into Windows, A of Apple's, D of
// Android's, S of strongSwan's, M of MikroTik's; G are rules for every client.
const (
	QuirkW1 Quirk = iota
	QuirkW2
	QuirkW3
	QuirkW4
	QuirkW5
	QuirkW6
	QuirkW7
	QuirkW8
	QuirkW9
	QuirkW10
	QuirkW11
	QuirkA1
	QuirkA2
	QuirkA3
	QuirkA4
	QuirkA5
	QuirkD1
	QuirkD2
	QuirkD3
	QuirkD4
	QuirkD5
	QuirkD6
	QuirkS1
	QuirkS2
	QuirkM1
	QuirkG1
	QuirkG2
	QuirkG3
	quirkCount
)

// quirkTable tells of each quirk its id and what the gateway does.
var quirkTable = [quirkCount]struct{ id, meaning string }{
	QuirkW1:  {"W1", "Windows: no Child SA rekey is started behind a NAT, none with a key exchange anywhere, and none of an IKE SA but with modp2048"},
	QuirkW2:  {"W2", "Windows: the gateway's order of proposals counts, since the client's begins with the weakest"},
	QuirkW3:  {"W3", "Windows: a user known without a domain is found when DOMAIN\\user is sent"},
	QuirkW4:  {"W4", "Windows: the error code that the client sends is logged"},
	QuirkW5:  {"W5", "Windows: an RSA certificate is preferred, signed as before RFC 7427"},
	QuirkW6:  {"W6", "Windows: answers are fragmented to 576 octets, as the client's own messages"},
	QuirkW7:  {"W7", "Windows: its private configuration attributes are passed over in silence"},
	QuirkW8:  {"W8", "Windows: DHCPINFORM inside the tunnel is answered"},
	QuirkW9:  {"W9", "Windows: a final refusal is an EAP-Failure with the Win32 error code, never an EAP-MSCHAPv2 Failure"},
	QuirkW10: {"W10", "IKEv1 and AuthIP on the same port are dropped without an answer"},
	QuirkW11: {"W11", "Windows: its Vid-Initial-Contact is no INITIAL_CONTACT"},
	QuirkA1:  {"A1", "Apple: an RSA certificate is preferred, signed as before RFC 7427"},
	QuirkA2:  {"A2", "Apple: proposals may repeat each other and begin with any number"},
	QuirkA3:  {"A3", "Apple: no rekey by time, which the client does itself, and no liveness check within 10 minutes"},
	QuirkA4:  {"A4", "a client whose identity is an address is told from others by where it connects from, too"},
	QuirkA5:  {"A5", "Apple: split DNS domains are sent to a client that asks for them; beside an IPv4 address it gets an IPv6 one only if it may send to all of IPv6, since else it sets no routes"},
	QuirkD1:  {"D1", "Android: an RSA certificate is preferred, although the client knows RFC 7427"},
	QuirkD2:  {"D2", "Android: another group is asked for only if all its proposals hold it"},
	QuirkD3:  {"D3", "Android: an empty EAP identity is no fault, the name follows"},
	QuirkD4:  {"D4", "Android: the authentication backend gets at most 10 seconds, since the client waits 15"},
	QuirkD5:  {"D5", "Android: no NAT is announced over IPv6, where the client gives up on one"},
	QuirkD6:  {"D6", "a client that asks for the gateway's version is told a name"},
	QuirkS1:  {"S1", "strongSwan: signatures are those of RFC 7427"},
	QuirkS2:  {"S2", "a client whose NAT detection does not fit is served over UDP, NAT or none"},
	QuirkM1:  {"M1", "MikroTik: a configuration request within a rekey is passed over"},
	QuirkG1:  {"G1", "payloads may come in any order, unknown ones that are not critical are passed over"},
	QuirkG2:  {"G2", "no session ends because its keys are old; the client replaces them by its own clock"},
	QuirkG3:  {"G3", "a client that was asked for another group may come back under the same SPI and nonce or new ones"},
}

// String is the quirk's id.
func (q Quirk) String() string {
	if q < quirkCount {
		return quirkTable[q].id
	}
	return fmt.Sprintf("quirk %d", uint8(q))
}

// Meaning is what the gateway does, in a line.
func (q Quirk) Meaning() string {
	if q < quirkCount {
		return quirkTable[q].meaning
	}
	return ""
}

// Fixed tells the quirks that cannot be switched off: the gateway is built so.
func (q Quirk) Fixed() bool { return q == QuirkG1 || q == QuirkG2 || q == QuirkG3 }

// AllQuirks gives every quirk there is, in order.
func AllQuirks() []Quirk {
	all := make([]Quirk, quirkCount)
	for i := range all {
		all[i] = Quirk(i)
	}
	return all
}

// ParseQuirk gives the quirk of an id, in any case; false: there is none.
func ParseQuirk(id string) (Quirk, bool) {
	for q := range quirkCount {
		if strings.EqualFold(quirkTable[q].id, id) {
			return q, true
		}
	}
	return 0, false
}

// quirks is a set of them: one word of every session.
type quirks uint32

func setOf(list ...Quirk) quirks {
	var s quirks
	for _, q := range list {
		s |= 1 << q
	}
	return s
}

func (s quirks) has(q Quirk) bool { return s&(1<<q) != 0 }

// list gives the quirks of the set, in order; nil for none.
func (s quirks) list() []Quirk {
	var list []Quirk
	for ; s != 0; s &= s - 1 {
		list = append(list, Quirk(bits.TrailingZeros32(uint32(s))))
	}
	return list
}
