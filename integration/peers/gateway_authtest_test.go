package peers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// loginReport is what `auth test --json` prints.
type loginReport struct {
	User, Backend, Session, Verdict, Cause, Text, Told string
	Evidence, Grant                                    []struct{ Key, Value string }
	Hops                                               []struct {
		From, To, Packet, Note string
		At                     int64 `json:"at_ns"`
		Attributes             []struct{ Key, Value string }
	}
}

// packets are the hops without their numbers.
func (r loginReport) packets() []string {
	var list []string
	for _, h := range r.Hops {
		name, _, _ := strings.Cut(h.Packet, " ")
		if strings.HasPrefix(name, "EAP-") {
			name = h.Packet
		}
		if name != "Status-Server" && h.Note == "" {
			list = append(list, h.From+">"+h.To+" "+name)
		}
	}
	return list
}

// TestAuthTest has a user logged in from the gateway's side with every backend,
// rightly and wrongly, and looks at what is shown of it.
func TestAuthTest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	overEAP := fmt.Sprintf(overRADIUS, s.dir) + "[auth.radius]\nstep_time = \"4s\"\n"
	withoutEAP := overEAP + "method = \"mschapv2\"\n"
	s.secretFile(t, radiusSecret)
	server := s.freeRADIUS(t, fmt.Sprintf("%s\tCleartext-Password := %q\n\tFramed-Pool = \"default\", Session-Timeout = 3600, Class = \"staff\"\n", user, password))
	try := func(config, name, secret string, args ...string) (outcome, loginReport) {
		t.Helper()
		file := s.writeConfig(t, config)
		got := bridgehead(t, s.gateway, secret+"\n", append([]string{"auth", "test", name, "--config", file, "--json"}, args...)...)
		for _, hidden := range []string{secret, radiusSecret} {
			if strings.Contains(got.out+got.err, hidden) {
				t.Errorf("%q is shown:\n%s", hidden, got)
			}
		}
		return got, decode[loginReport](t, got.out)
	}
	eapLogin := []string{
		"gateway>client EAP-Request Identity", "client>gateway EAP-Response Identity",
		"gateway>campus Access-Request", "campus>gateway Access-Challenge",
		"gateway>client EAP-Request MSCHAPv2", "client>gateway EAP-Response MSCHAPv2",
		"gateway>campus Access-Request", "campus>gateway Access-Challenge",
		"gateway>client EAP-Request MSCHAPv2", "client>gateway EAP-Response MSCHAPv2",
		"gateway>campus Access-Request", "campus>gateway Access-Accept", "gateway>client EAP-Success",
	}
	verifierLogin := slices.Concat(eapLogin[:2], eapLogin[4:7], eapLogin[11:12], eapLogin[8:10], eapLogin[12:])
	fileLogin := slices.Concat(eapLogin[:2], eapLogin[4:6], eapLogin[8:10], eapLogin[12:])
	for _, test := range []struct {
		name, config, user, password string
		args                         []string
		code                         int
		verdict, cause               string
		packets                      []string // nil: not all are looked at
		grant                        string
	}{
		{"EAP", overEAP, user, password, nil, 0, "accepted", "", eapLogin, "session timeout=1h0m0s"},
		{"EAP as Android", overEAP, user, password, []string{"--client", "android"}, 0, "accepted", "", eapLogin, "pool=default"},
		{"EAP, wrong password", overEAP, user, "wrong battery", nil, 4, "refused", "radius-refused", nil, ""},
		{"EAP, unknown user", overEAP, "mallory", "wrong battery", nil, 4, "refused", "radius-refused", nil, ""},
		{"EAP as Windows, wrong password", overEAP, user, "wrong battery", []string{"--client", "windows"}, 4, "refused", "radius-refused", nil, ""},
		{"MS-CHAPv2", withoutEAP, user, password, nil, 0, "accepted", "", verifierLogin, "pool=default"},
		{"MS-CHAPv2, wrong password", withoutEAP, user, "wrong battery", nil, 4, "refused", "", nil, ""},
		{"file", "", user, password, nil, 0, "accepted", "", fileLogin, "name=" + user},
		{"file, wrong password", "", user, "wrong battery", nil, 4, "refused", "wrong-password", nil, ""},
	} {
		got, report := try(test.config, test.user, test.password, test.args...)
		if got.code != test.code || report.Verdict != test.verdict || test.cause != "" && report.Cause != test.cause {
			t.Errorf("%s: %s", test.name, got)
		}
		if test.packets != nil && !slices.Equal(report.packets(), test.packets) {
			t.Errorf("%s: the packets are\n%s, want\n%s", test.name, strings.Join(report.packets(), "\n"), strings.Join(test.packets, "\n"))
		}
		if test.grant != "" && !slices.ContainsFunc(report.Grant, func(g struct{ Key, Value string }) bool { return g.Key+"="+g.Value == test.grant }) {
			t.Errorf("%s: %s is not in %v", test.name, test.grant, report.Grant)
		}
	}

	file := s.writeConfig(t, overEAP)
	got := bridgehead(t, s.gateway, password+"\n", "auth", "test", user, "--config", file, "--from", "198.51.100.7")
	for _, words := range []string{
		"gateway → campus  Access-Request", `User-Name = "` + user + `"`, `Calling-Station-Id = "198.51.100.7:4500"`,
		"EAP-Message = EAP-Response MSCHAPv2", "MS-MPPE-Send-Key = [", `Class = "staff"`, "alice: accepted by radius",
	} {
		if !strings.Contains(got.out, words) {
			t.Errorf("%q is not in %s", words, got)
		}
	}

	if err := server.Stop(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got, report := try(overEAP, user, password); got.code != 5 || report.Verdict != "unavailable" || report.Cause != "backend-unavailable" || !strings.Contains(got.out, "connection refused") {
		t.Errorf("server down: %s", got)
	}
	if got := bridgehead(t, s.gateway, "x\n", "auth", "test", user, "--config", filepath.Join(s.dir, "nowhere.toml")); got.code != 78 {
		t.Errorf("no configuration: %s", got)
	}
}
