package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bridgehead/radius"
)

const attributesIntroduction = `# What RADIUS servers may give a user

With ` + "`auth.backend = \"radius\"`" + ` an Access-Accept says what a session gets. Each
attribute below has the effect that stands beside it, or none for the reason
that stands there; others are unknown, and have none. A known attribute whose
value has no sense refuses the login, by the cause ` + "`radius-bad-attribute`" + ` with the
attribute's name: what it was to limit would be unlimited else.

What is given several times counts several times (addresses: one of a family,
routes, name servers, Class, filter rules), by the first (pool, group,
Chargeable-User-Identity) or by the lowest (rates). Of pool and address the
address counts; the IPv6 address comes from the pool of the IPv4 address where
no pool of its own is named. An address may lie in no pool: it is led to the
client all the same, but neither masqueraded nor, with kernel ESP, fitted to the
MTU. If another user's session has it, the login is refused by the cause
` + "`fixed-address-in-use`" + `.

` + "`sessions.timeout`" + ` and ` + "`sessions.idle_timeout`" + ` of the configuration stay the most
that any session gets.

The table is made from the program: ` + "`go test ./cmd/bridgehead -run Attributes -update`" + `.

| attribute | number | defined in | effect |
|---|---|---|---|
`

const attributesRest = `
## Packet filters

NAS-Filter-Rule has rules in the syntax of RFC 6733 §4.3.1:

` + "```" + `
permit|deny in|out PROTOCOL from ADDRESS [PORTS] to ADDRESS [PORTS] [established|setup]
permit in ip from any to 192.0.2.0/24
deny out tcp from any 25 to assigned
permit in udp from assigned to 2001:db8::53 53,5353,60000-61000
` + "```" + `

- ` + "`in`" + ` is from the client, ` + "`out`" + ` to it. PROTOCOL is ip (any), tcp, udp, icmp,
  icmpv6, sctp, dccp, gre, esp, ah or a number.
- ADDRESS is an address, a prefix, any or assigned (the client's own), with a
  ` + "`!`" + ` in front all others of that family. PORTS are numbers and ranges with commas
  between.
- A packet meets the rules of its direction in order, and the first that it
  matches decides. One that none matches is dropped if the direction's last rule
  permits, and passes if that denies, as the RFC has it. A direction without
  rules is not filtered: to let clients reach one network and nothing else,
  ` + "`permit in ip from any to 192.0.2.0/24`" + ` is enough, since nobody answers what
  never came.
- There is no memory of connections. ` + "`permit out tcp from any to any established`" + `
  lets answers through (segments with ACK or RST); ` + "`setup`" + ` is a segment with SYN
  and without ACK.
- A fragment other than the first has no ports and no flags, so that only rules
  without these match it. A fragment that could overwrite the ports of the first
  is dropped, and so is a packet that hides what follows its IP header.
- A filter has at most 128 rules. What can't be enforced (frag, ipoptions,
  tcpoptions, tcpflags, icmptypes) refuses the login.
- Rules are separated by a NUL, and cut into attributes anywhere (RFC 4849 §2).
  Servers that put one rule into each attribute and leave out the NUL are
  understood.
- Where RFC 4849 would have the rules passed over beside a Filter-Id, they hold:
  here that names a group, not a filter.
- The DHCPINFORM by which Windows learns its routes passes, and its answer.

## Rates

Rates bound the octets of users' packets, both address families and all Child
SAs of a session together; what is beyond is dropped, not delayed. At once may
pass what comes in a tenth of a second, and 128 KiB at least; with kernel ESP a
second's worth more.

WISPr-Bandwidth-Max-Up and -Down and Mikrotik-Rate-Limit are understood. This
gateway has no vendor number, and borrows none that is not its own: a server
without these dictionaries says the same in Filter-Id, whose text is the
gateway's business (RFC 2865 §5.11):

` + "```" + `
Filter-Id += "bridgehead:rate-up=10M"
Filter-Id += "bridgehead:rate-down=500k"
` + "```" + `

` + "`up`" + ` is from the client, ` + "`down`" + ` to it, in bits a second, with k, M or G for
thousands, millions and thousands of millions. Another word behind ` + "`bridgehead:`" + `
refuses the login.

## Where they are enforced

The userspace data plane does so itself: drops by ` + "`in_filter`" + `, ` + "`in_rate`" + `,
` + "`out_filter`" + ` and ` + "`out_rate`" + ` stand in the metrics. Beside kernel ESP nftables
does, in a table named after the device with ` + "`_limits`" + ` behind, which
` + "`nft list table inet bridgehead0_limits`" + ` shows. Where the kernel has no nftables,
` + "`bridgehead check`" + ` says so, and users with a filter or a rate are refused by the
cause ` + "`limits-not-enforced`" + `: nobody comes in past what was to hold him.

A CoA-Request changes filter, rates and times of a session that is up:
[radius/dae](../../radius/dae/README.md).
`

// TestAttributesAreDocumented pins RADIUS.md to the program.
func TestAttributesAreDocumented(t *testing.T) {
	var page strings.Builder
	page.WriteString(attributesIntroduction)
	for _, a := range radius.Attributes() {
		number := fmt.Sprint(a.Type)
		if a.Vendor != 0 {
			number = fmt.Sprintf("%d/%d", a.Vendor, a.Type)
		}
		effect := a.Effect
		if effect == "" {
			effect = "ignored: " + a.Ignored
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", a.Name, number, a.Source, effect)
	}
	page.WriteString(attributesRest)
	const file = "RADIUS.md"
	if *update {
		if err := os.WriteFile(file, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), page.String()); diff != "" {
		t.Errorf("-file +program:\n%s", diff)
	}
}
