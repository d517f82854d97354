package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bridgehead/integration/lab"
)

const daeSecret = "what both sides know, and nobody else"

// daeSections let the hosts behind the gateway end and change sessions.
const daeSections = `
[dae]
listen = ["0.0.0.0", "::"]

[dae.clients.inside]
address     = ["` + behind4 + `", "` + behind6 + `"]
secret_file = "dae.secret"
`

// Where the host inside finds the gateway.
const (
	dae4 = "10.99.0.254:3799"
	dae6 = "[fd00:99::fe]:3799"
)

// radclient has FreeRADIUS's client ask the gateway from a machine, once, and
// gives what it printed of the answer.
func radclient(t *testing.T, n *lab.Namespace, server, command, secret string, attributes ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := n.Command("radclient", "-x", "-r", "1", "-t", "3", "-S", file, server, command)
	text := strings.Join(append(attributes, "Message-Authenticator = 0x00"), "\n") + "\n"
	if !strings.Contains(text, "Event-Timestamp") {
		text += dated(0) + "\n"
	}
	got := finish(t, cmd, text)
	_, answer, _ := strings.Cut(got.out, "Received ")
	return answer
}

// dated is an Event-Timestamp of some time ago.
func dated(ago time.Duration) string {
	return fmt.Sprintf("Event-Timestamp = %d", time.Now().Add(-ago).Unix())
}

// ends asks for the end of sessions and checks what comes back: an Error-Cause
// by its name, "" for an ACK.
func (s *site) ends(t *testing.T, server, cause string, attributes ...string) {
	t.Helper()
	radiusSaid(t, radclient(t, s.inside, server, "disconnect", daeSecret, attributes...), "Disconnect", cause)
}

// changes is ends for a CoA-Request.
func (s *site) changes(t *testing.T, server, cause string, attributes ...string) {
	t.Helper()
	radiusSaid(t, radclient(t, s.inside, server, "coa", daeSecret, attributes...), "CoA", cause)
}

func radiusSaid(t *testing.T, answer, kind, cause string) {
	t.Helper()
	want, with := kind+"-ACK ", ""
	if cause != "" {
		want, with = kind+"-NAK ", "Error-Cause = "+cause
	}
	if !strings.HasPrefix(answer, want) || !strings.Contains(answer, with) || cause == "" && strings.Contains(answer, "Error-Cause") {
		t.Errorf("answered %q, want %s%s", answer, want, with)
	}
}

// TestDynamicAuthorization has FreeRADIUS's radclient end and change sessions
// of strongSwan and of our own client.
func TestDynamicAuthorization(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.WriteFile(filepath.Join(s.dir, "dae.secret"), []byte(daeSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serve(t, daeSections)
	phone, laptop := s.newClient(t, "phone"), s.newClient(t, "laptop")
	s.swanctl(t, phone, connection{server: s.outside.IPv4.String()}.String())
	login := func() session {
		t.Helper()
		phone.charon.Swanctl("--initiate", "--child", "home", "--timeout", "60")
		return s.sessionFrom(t, phone)
	}
	one := login()
	process := connect(t, laptop.Namespace, t.TempDir(), s.root, s.outside.IPv4.String(), "--subnet", "10.99.0.0/24", "--subnet", "fd00:99::/64")
	two := s.sessionFrom(t, laptop)

	t.Run("what is not authentic has no answer and no effect", func(t *testing.T) {
		for name, answer := range map[string]string{
			"wrong secret": radclient(t, s.inside, dae4, "disconnect", "a guess", "Acct-Session-Id = "+one.ID),
			"a stranger":   radclient(t, laptop.Namespace, s.outside.IPv4.String()+":3799", "disconnect", daeSecret, "Acct-Session-Id = "+one.ID),
			"an old one":   radclient(t, s.inside, dae4, "disconnect", daeSecret, "Acct-Session-Id = "+one.ID, dated(10*time.Minute)),
		} {
			if answer != "" {
				t.Errorf("%s: %q", name, answer)
			}
		}
		m := s.metrics(t)
		for _, reason := range []string{"bad_authenticator", "unknown_client", "stale_event_timestamp"} {
			if m[fmt.Sprintf("bridgehead_dae_packets_discarded_total{reason=%q}", reason)] == 0 {
				t.Errorf("nothing was discarded for %s", reason)
			}
		}
	})
	t.Run("one request, one session", func(t *testing.T) {
		s.ends(t, dae4, "Multiple-Session-Selection-Unsupported", "User-Name = "+user)
		s.ends(t, dae4, "Session-Context-Not-Found", `User-Name = "*"`)
		s.ends(t, dae4, "Session-Context-Not-Found", "User-Name = bob", "Acct-Session-Id = "+one.ID)
		s.ends(t, dae4, "NAS-Identification-Mismatch", "NAS-Identifier = vpn2.example.org", "Acct-Session-Id = "+one.ID)
		s.ends(t, dae4, "NAS-Identification-Mismatch", "NAS-IP-Address = 10.99.0.253", "Acct-Session-Id = "+one.ID)
		s.ends(t, dae4, "Missing-Attribute", "NAS-Identifier = "+gatewayName)
		s.ends(t, dae4, "Unsupported-Attribute", "Acct-Session-Id = "+one.ID, "Login-LAT-Service = x")
		s.changes(t, dae4, "Unsupported-Service", "Acct-Session-Id = "+one.ID, "Service-Type = Authorize-Only", "State = 0x01")
		phone.reaches(t, "after refused requests", one.Addresses)
		laptop.reaches(t, "after refused requests", two.Addresses)
	})
	t.Run("an ACK means that the session is gone", func(t *testing.T) {
		s.ends(t, dae4, "", "Acct-Session-Id = "+one.ID, "User-Name = "+user, "NAS-Identifier = "+gatewayName, "NAS-IP-Address = 10.99.0.254")
		now := s.status(t) // as it is, nothing is waited for
		if now.Sessions != 1 || now.Pools[0].InUse != 1 || now.Pools[1].InUse != 1 {
			t.Errorf("after the ACK: %+v", now)
		}
		phone.isCutOff(t, "after the ACK")
		lab.Eventually(t, lab.Patience, "strongSwan to hear of it", func() bool { return phone.charon.Swanctl("--list-sas") == "" })
		laptop.reaches(t, "after another device's end", two.Addresses)
		s.ends(t, dae4, "Session-Context-Not-Found", "Acct-Session-Id = "+one.ID)
		last := s.events(t)
		if e := last[len(last)-1]; e.Kind != "down" || e.User != user || e.Cause != "radius-disconnect" {
			t.Errorf("the last event is %+v", e)
		}
	})
	t.Run("over IPv6, by inner address", func(t *testing.T) {
		for _, a := range two.Addresses {
			if strings.Contains(a, ":") {
				s.ends(t, dae6, "", "Framed-IPv6-Address = "+a, "NAS-IPv6-Address = fd00:99::fe")
			}
		}
		if code := process.Code(t, lab.Patience); code != 1 {
			t.Errorf("our client ended with %d:\n%s", code, process.Log())
		}
		s.nobodyIn(t)
	})
	t.Run("changes", func(t *testing.T) {
		three := login()
		phone.reaches(t, "before a change", three.Addresses)
		s.changes(t, dae6, "Invalid-Attribute-Value", "Acct-Session-Id = "+three.ID, "Session-Timeout = 0")
		s.changes(t, dae6, "Unsupported-Attribute", "Acct-Session-Id = "+three.ID, "Filter-Id = x")
		s.changes(t, dae4, "", "Acct-Session-Id = "+three.ID, fmt.Sprintf(`NAS-Filter-Rule = "deny in ip from any to %s"`, behind4))
		if out, err := phone.Try("ping", "-c", "1", "-W", "1", behind4); err == nil {
			t.Errorf("passed the filter:\n%s", out)
		}
		phone.visits(t, "what the filter lets pass", behind6, three.Addresses...)
		s.changes(t, dae4, "", fmt.Sprintf("Calling-Station-Id = %s", three.Peer), "User-Name = "+user, "Session-Timeout = 1")
		lab.Eventually(t, lab.Patience, "the session to reach its end", func() bool { return s.status(t).Sessions == 0 })
		last := s.events(t)
		if e := last[len(last)-1]; e.Kind != "down" || e.Cause != "session-timeout" {
			t.Errorf("the last event is %+v", e)
		}
	})
	m := s.metrics(t)
	for labels, want := range map[string]float64{
		`client="inside",kind="disconnect",result="done"`: 2, `client="inside",kind="coa",result="done"`: 2,
		`client="inside",kind="disconnect",result="nas_identification_mismatch"`: 2, `client="inside",kind="coa",result="unsupported_service"`: 1,
	} {
		if got := m["bridgehead_dae_requests_total{"+labels+"}"]; got != want {
			t.Errorf("%s: %v, want %v", labels, got, want)
		}
	}
}
