package provision

import (
	"crypto/sha1"
	"fmt"
	"strings"
)

// namespaceDNS is the name space of DNS names (RFC 9562 §6.6).
const namespaceDNS = "\x6b\xa7\xb8\x10\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8"

// uuid is a name-based UUID (version 5, RFC 9562 §5.5) for one thing that the
// gateway's clients hold: a profile that is imported again takes the place of
// the earlier one.
func (g Gateway) uuid(thing string) string {
	sum := sha1.Sum([]byte(namespaceDNS + thing + "." + strings.ToLower(g.Server)))
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x50
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
