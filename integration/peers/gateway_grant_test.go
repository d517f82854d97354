package peers

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bridgehead/integration/lab"
)

// grants are users of FreeRADIUS, each with something of its own.
const grants = `
placed	Cleartext-Password := "%[1]s"
	Framed-IP-Address = 192.0.2.77,
	Framed-IPv6-Address = 2001:db8:9::9,
	MS-Primary-DNS-Server = 10.99.0.7,
	DNS-Server-IPv6-Address = fd00:99::7,
	Framed-Route = "` + behind4 + `/32 0.0.0.0 1",
	Framed-IPv6-Route = "` + behind6 + `/128 :: 1"
rival	Cleartext-Password := "%[1]s"
	Framed-IPv6-Address = 2001:db8:9::9
pooled	Cleartext-Password := "%[1]s"
	Framed-Pool = "staff",
	Framed-IPv6-Pool = "six"
filtered	Cleartext-Password := "%[1]s"
	NAS-Filter-Rule = "deny in icmp from assigned to ` + behind4 + `",
	NAS-Filter-Rule += "deny out tcp from ` + behind6 + ` 80 to any"
slow	Cleartext-Password := "%[1]s"
	WISPr-Bandwidth-Max-Up = 8,
	Filter-Id = "bridgehead:rate-down=1G"
reading	Cleartext-Password := "%[1]s"
	Session-Timeout = 3600,
	Termination-Action = RADIUS-Request
brief	Cleartext-Password := "%[1]s"
	Session-Timeout = 3
idle	Cleartext-Password := "%[1]s"
	Idle-Timeout = 2
`

var pongs = regexp.MustCompile(`(\d+) received`)

// TestGrantsOfFreeRADIUS shows what a server's attributes come to: at strongSwan
// and in its packets.
func TestGrantsOfFreeRADIUS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.freeRADIUS(t, fmt.Sprintf(grants, password))
	s.secretFile(t, radiusSecret)
	s.serve(t, fmt.Sprintf(overRADIUS, s.dir)+`
[dataplane]
kind = "userspace"

[pools.staff]
addresses = ["192.0.2.128/25"]

[pools.six]
addresses = ["2001:db8:6::/96"]
`)
	c := s.newClient(t, "client")
	var connections []string
	for line := range strings.Lines(grants) {
		if name, _, found := strings.Cut(line, "\tCleartext"); found {
			connections = append(connections, connection{name: name, user: name, server: s.outside.IPv4.String()}.String())
		}
	}
	s.swanctl(t, c, connections...)
	login := func(t *testing.T, name string) session {
		t.Helper()
		c.charon.Swanctl("--initiate", "--child", name, "--timeout", "60")
		return s.sessionFrom(t, c)
	}
	leave := func(t *testing.T, name string) {
		t.Helper()
		c.charon.Swanctl("--terminate", "--ike", name)
		s.nobodyIn(t)
	}
	ends := func(t *testing.T, cause string) {
		t.Helper()
		lab.Eventually(t, lab.Patience, "the session's end", func() bool { return s.status(t).Sessions == 0 })
		all := s.events(t)
		if e := all[len(all)-1]; e.Kind != "down" || e.Cause != cause {
			t.Errorf("the last event is %+v", e)
		}
	}
	t.Run("addresses, name servers and routes", func(t *testing.T) {
		in := login(t, "placed")
		if want := []string{"192.0.2.77", "2001:db8:9::9"}; !slices.Equal(in.Addresses, want) {
			t.Errorf("addresses %v, want %v", in.Addresses, want)
		}
		c.reaches(t, "from an address of no pool", in.Addresses)
		for _, resolver := range []string{"10.99.0.7", "fd00:99::7"} {
			if !strings.Contains(c.charon.Resolvers(), resolver) {
				t.Errorf("name servers %s", c.charon.Resolvers())
			}
		}
		if sas := c.charon.Swanctl("--list-sas"); !strings.Contains(sas, "remote "+behind4+"/32") || !strings.Contains(sas, behind6+"/128") {
			t.Errorf("traffic selectors:\n%s", sas)
		}
		second := s.newClient(t, "rival")
		s.swanctl(t, second, connection{user: "rival", server: s.outside.IPv4.String()}.String())
		if out, err := second.charon.TrySwanctl("--initiate", "--child", "home", "--timeout", "10"); err == nil {
			t.Errorf("two users have one address:\n%s", out)
		}
		s.newest(t, "fixed-address-in-use")
		leave(t, "placed")
		if routes := s.gateway.Run("ip", "-6", "route", "show", "table", "all"); strings.Contains(routes, "2001:db8:9::9") {
			t.Errorf("still led to the client:\n%s", routes)
		}
	})
	t.Run("pools", func(t *testing.T) {
		in := login(t, "pooled")
		if want := []string{"192.0.2.129", "2001:db8:6::1"}; !slices.Equal(in.Addresses, want) {
			t.Errorf("addresses %v, want %v", in.Addresses, want)
		}
		c.reaches(t, "from the pools", in.Addresses)
		leave(t, "pooled")
	})
	t.Run("filter", func(t *testing.T) {
		login(t, "filtered")
		drops := func(reason string) float64 {
			return s.metrics(t)[fmt.Sprintf(`bridgehead_packets_dropped_total{layer="esp",reason=%q}`, reason)]
		}
		try := func(what string, passes bool, command func(string, bool) []string, host string) {
			t.Helper()
			args := command(host, passes)
			if out, err := c.Try(args[0], args[1:]...); (err == nil) != passes {
				t.Errorf("%s: error %v\n%s", what, err, out)
			}
		}
		limit := map[bool]string{true: "20", false: "1"} // of what passes, and of what does not
		ping := func(host string, passes bool) []string {
			return []string{"ping", "-c", "1", "-W", limit[passes], host}
		}
		web := func(host string, passes bool) []string {
			return []string{"curl", "-s", "-S", "-m", limit[passes], "http://" + host + "/"}
		}
		for _, rekeyed := range []bool{false, true} {
			if rekeyed {
				c.rekey(t, "child", "filtered")
				c.rekey(t, "ike", "filtered")
			}
			try("ping over IPv4", false, ping, behind4)
			try("ping over IPv6", true, ping, behind6)
			try("web over IPv4", true, web, behind4)
			try("web over IPv6", false, web, "["+behind6+"]")
		}
		if drops("in_filter") == 0 || drops("out_filter") == 0 {
			t.Errorf("%v and %v packets were dropped", drops("in_filter"), drops("out_filter"))
		}
		leave(t, "filtered")
	})
	t.Run("rate", func(t *testing.T) {
		login(t, "slow")
		// One octet a second and 128 KiB at once: of 300 packets of 1,000 octets
		// 131 may pass at most.
		out, _ := c.Try("ping", "-q", "-f", "-c", "300", "-s", "972", "-W", "1", behind4)
		m := pongs.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("ping:\n%s", out)
		}
		if n, _ := strconv.Atoi(m[1]); n > 131 || n < 100 {
			t.Errorf("%d of 300 packets passed", n)
		}
		if n := s.metrics(t)[`bridgehead_packets_dropped_total{layer="esp",reason="in_rate"}`]; n < 100 {
			t.Errorf("%v packets were dropped", n)
		}
		leave(t, "slow")
	})
	t.Run("the client is told its end", func(t *testing.T) {
		login(t, "reading")
		if log := c.charon.Log(); !strings.Contains(log, "received AUTH_LIFETIME of 3600s") {
			t.Errorf("strongSwan did not hear of it:\n%s", log)
		}
		leave(t, "reading")
	})
	t.Run("session timeout", func(t *testing.T) {
		login(t, "brief")
		ends(t, "session-timeout")
	})
	t.Run("idle timeout", func(t *testing.T) {
		in := login(t, "idle")
		c.reaches(t, "before it is idle", in.Addresses)
		ends(t, "idle-timeout")
	})
}
