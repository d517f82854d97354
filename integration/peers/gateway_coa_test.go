package peers

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bridgehead/integration/lab"
)

// TestChangesByRADIUS has radclient change what a session of strongSwan's may
// do, each time with what comes of it.
func TestChangesByRADIUS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.WriteFile(filepath.Join(s.dir, "dae.secret"), []byte(daeSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve(t, daeSections+"[dataplane]\nkind = \"userspace\"\n")
	c := s.newClient(t, "phone")
	s.swanctl(t, c, connection{server: s.outside.IPv4.String()}.String())
	c.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
	in := s.oneSession(t)
	named := "Acct-Session-Id = " + in.ID

	// One octet a second and 128 KiB at once: of 300 packets of 1,000 octets 131
	// may pass at most, and the same number of answers.
	flood := func() int {
		t.Helper()
		out, _ := c.Try("ping", "-q", "-f", "-c", "300", "-s", "972", "-W", "1", behind4)
		m := pongs.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("ping:\n%s", out)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := flood(); n <= 131 {
		t.Errorf("without a rate %d of 300 packets passed", n)
	}
	for _, way := range []struct{ attribute, reason string }{
		{"WISPr-Bandwidth-Max-Up", "in_rate"}, {"WISPr-Bandwidth-Max-Down", "out_rate"},
	} {
		s.changes(t, dae4, "", named, way.attribute+" = 8")
		if n := flood(); n > 131 || n < 100 {
			t.Errorf("%s: %d of 300 packets passed", way.attribute, n)
		}
		if n := s.metrics(t)[`bridgehead_packets_dropped_total{layer="esp",reason="`+way.reason+`"}`]; n < 100 {
			t.Errorf("%s: %v packets were dropped", way.attribute, n)
		}
		s.changes(t, dae4, "", named, way.attribute+" = 1000000000")
		c.reaches(t, "at a rate that is never reached", in.Addresses)
	}

	s.changes(t, dae6, "", named, "Session-Timeout = 3600", "Termination-Action = RADIUS-Request")
	lab.Eventually(t, lab.Patience, "strongSwan to hear when its session ends", func() bool {
		return strings.Contains(c.charon.Log(), "received AUTH_LIFETIME of 3600s")
	})
	c.reaches(t, "after the word of its end", in.Addresses)

	s.changes(t, dae4, "", named, "Acct-Interim-Interval = 600", "Idle-Timeout = 1")
	s.nobodyIn(t)
	last := s.events(t)
	if e := last[len(last)-1]; e.Kind != "down" || e.Cause != "idle-timeout" {
		t.Errorf("the last event is %+v", e)
	}
}
