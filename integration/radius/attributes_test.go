package radius_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bridgehead/auth"
	"bridgehead/integration/lab"
	"bridgehead/radius"
)

// TestEveryAttributeFromFreeRADIUS has FreeRADIUS give each attribute that has
// an effect, written as its administrator would, to a user of its own, and
// those without an effect all to one.
func TestEveryAttributeFromFreeRADIUS(t *testing.T) {
	addrs := func(list ...string) (as []netip.Addr) {
		for _, s := range list {
			as = append(as, netip.MustParseAddr(s))
		}
		return as
	}
	routes := func(list ...string) (ps []netip.Prefix) {
		for _, s := range list {
			ps = append(ps, netip.MustParsePrefix(s))
		}
		return ps
	}
	filter := func(list ...string) []auth.FilterRule {
		f, err := auth.ParseFilter(list)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	rows := []struct {
		reply []string // without the comma behind
		want  auth.Grant
	}{
		{[]string{`User-Name = "robert"`}, auth.Grant{Name: "robert"}},
		{[]string{`Framed-IP-Address = 10.99.0.10`}, auth.Grant{Addresses: addrs("10.99.0.10")}},
		{[]string{`Framed-IPv6-Address = 2001:db8:99::10`}, auth.Grant{Addresses: addrs("2001:db8:99::10")}},
		{[]string{`Framed-IPv6-Prefix = 2001:db8:99::11/128`}, auth.Grant{Addresses: addrs("2001:db8:99::11")}},
		{[]string{`Framed-IPv6-Prefix = 2001:db8:98::/64`, `Framed-Interface-Id = 0:0:0:12`}, auth.Grant{Addresses: addrs("2001:db8:98::12")}},
		{[]string{`Framed-Pool = "staff"`}, auth.Grant{Pool: "staff"}},
		{[]string{`Framed-IPv6-Pool = "six"`}, auth.Grant{Pool6: "six"}},
		{[]string{`Stateful-IPv6-Address-Pool = "six"`}, auth.Grant{Pool6: "six"}},
		{[]string{`Framed-Route = "192.0.2.0/24 0.0.0.0 1"`, `Framed-Route += "198.51.100.7"`}, auth.Grant{Routes: routes("192.0.2.0/24", "198.51.100.7/32")}},
		{[]string{`Framed-IPv6-Route = "2001:db8:5::/48 :: 1"`}, auth.Grant{Routes: routes("2001:db8:5::/48")}},
		{[]string{`Route-IPv6-Information = 2001:db8:6::/48`}, auth.Grant{Routes: routes("2001:db8:6::/48")}},
		{[]string{`MS-Primary-DNS-Server = 10.99.0.53`, `MS-Secondary-DNS-Server = 10.99.1.53`}, auth.Grant{DNS: addrs("10.99.0.53", "10.99.1.53")}},
		{[]string{`DNS-Server-IPv6-Address = 2001:db8:99::53`}, auth.Grant{DNS: addrs("2001:db8:99::53")}},
		{[]string{`Session-Timeout = 3600`, `Termination-Action = RADIUS-Request`}, auth.Grant{SessionTimeout: time.Hour, Reauthenticate: true}},
		{[]string{`Idle-Timeout = 600`}, auth.Grant{IdleTimeout: 10 * time.Minute}},
		{[]string{`Acct-Interim-Interval = 300`}, auth.Grant{InterimInterval: 5 * time.Minute}},
		{[]string{`Port-Limit = 2`}, auth.Grant{MaxSessions: 2}},
		{[]string{`Class = 0x616c696365`, `Class += 0x7468656972`}, auth.Grant{Class: [][]byte{[]byte("alice"), []byte("their")}}},
		{[]string{`Chargeable-User-Identity = 0x637569`}, auth.Grant{ChargeableUser: []byte("cui")}},
		{[]string{`Filter-Id = "staff"`, `Filter-Id += "bridgehead:rate-up=10M"`, `Filter-Id += "bridgehead:rate-down=50M"`}, auth.Grant{Group: "staff", RateUp: 10e6, RateDown: 50e6}},
		{[]string{`Tunnel-Private-Group-Id:1 = "guests"`, `Tunnel-Type:1 = VLAN`, `Tunnel-Medium-Type:1 = IEEE-802`}, auth.Grant{Group: "guests"}},
		{[]string{`WISPr-Bandwidth-Max-Up = 1000000`, `WISPr-Bandwidth-Max-Down = 8000000`}, auth.Grant{RateUp: 1e6, RateDown: 8e6}},
		{[]string{`Mikrotik-Rate-Limit = "2M/16M 4M/32M 2M/16M 8/8"`}, auth.Grant{RateUp: 2e6, RateDown: 16e6}},
		{[]string{`NAS-Filter-Rule = "permit in ip from any to 192.0.2.0/24"`, `NAS-Filter-Rule += "deny out tcp from any 25 to any"`},
			auth.Grant{Filter: filter("permit in ip from any to 192.0.2.0/24", "deny out tcp from any 25 to any")}},
		{[]string{`Reply-Message = "welcome"`}, auth.Grant{Remarks: []auth.Evidence{{Key: "reply message", Value: "welcome"}}}},
		{[]string{ // none of these has an effect
			`Service-Type = Framed-User`, `Framed-Protocol = PPP`, `Framed-IP-Netmask = 255.255.255.0`, `Framed-MTU = 1400`, `Framed-Compression = None`,
			`Delegated-IPv6-Prefix = 2001:db8:7::/56`, `Delegated-IPv6-Prefix-Pool = "delegated"`,
			`MS-MPPE-Encryption-Policy = Encryption-Required`, `MS-MPPE-Encryption-Types = RC4-40or128-bit-Allowed`,
			`MS-Primary-NBNS-Server = 10.99.0.54`, `MS-Secondary-NBNS-Server = 10.99.1.54`,
		}, auth.Grant{Remarks: []auth.Evidence{{Key: "delegated prefix, not used", Value: "2001:db8:7::/56"}, {Key: "delegated pool, not used", Value: "delegated"}}}},
	}
	s := &scene{t: t, lab: lab.New(t), secret: random(t), password: random(t)}
	s.authority = lab.NewCA(t, "RADIUS test CA", lab.ECDSA256)
	s.server = s.authority.NewServer(lab.RSA2048, time.Hour, "radius.example.org", "127.0.0.1")
	var users strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&users, "user%d	Cleartext-Password := \"%s\"\n	%s\n", i, s.password, strings.Join(row.reply, ",\n	"))
	}
	s.radius = s.lab.StartFreeRADIUS(lab.FreeRADIUSConfig{Secret: s.secret, Users: users.String(), Server: s.server, Authority: s.authority})
	b, _ := newBackend(t, radius.BackendConfig{}, s.config())
	given := make(map[string]bool)
	for i, row := range rows {
		for _, line := range row.reply {
			name, _, _ := strings.Cut(line, " ")
			name, _, _ = strings.Cut(name, ":")
			given[name] = true
		}
		user := fmt.Sprint("user", i)
		if row.want.Name == "" {
			row.want.Name = user
		}
		step, _ := login{backend: b, peer: testPeer(), user: user, password: s.password}.run(t)
		if step.Verdict != auth.Accept {
			t.Errorf("%v: verdict %d, %+v", row.reply, step.Verdict, step.Reason)
			continue
		}
		if diff := cmp.Diff(row.want, *step.Grant, cmpopts.IgnoreFields(auth.Grant{}, "MSK"), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%v: %s", row.reply, diff)
		}
	}
	// What the login itself needs comes with every Access-Accept, or with none.
	login := map[string]bool{
		"State": true, "Proxy-State": true, "EAP-Message": true, "Message-Authenticator": true,
		"MS-MPPE-Send-Key": true, "MS-MPPE-Recv-Key": true, "MS-CHAP2-Success": true,
	}
	for _, a := range radius.Attributes() {
		if !given[a.Name] && !login[a.Name] {
			t.Errorf("no row gives %s", a.Name)
		}
	}
}
