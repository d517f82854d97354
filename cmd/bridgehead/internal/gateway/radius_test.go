package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"bridgehead/auth"
	"bridgehead/auth/eap"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/radius"
)

// radiusSite is a site whose users are decided about by a server at an address
// of loopback where nobody answers.
func radiusSite(t *testing.T) (file, text string) {
	t.Helper()
	file = site(t)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	base, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "radius.secret", "twenty octets and more\n")
	text = string(base) + fmt.Sprintf("[auth]\nbackend = \"radius\"\n[radius.one]\naddress = %q\nsecret_file = \"radius.secret\"\nstatus_server = false\n", silent.LocalAddr())
	write(t, file, text)
	return file, text
}

func loaded(t *testing.T, file string) *config.Config {
	t.Helper()
	c, _, err := LoadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSecretsOfServers(t *testing.T) {
	file, _ := radiusSite(t)
	for _, test := range []struct{ text, want, problem string }{
		{"", "", "holds no secret"},
		{"\n", "", "holds no secret"},
		{"testing123\n", "testing123", "warning: radius.one.secret_file: the secret is the one of the examples"},
		{"short", "short", "warning: radius.one.secret_file: the secret has 5 octets"},
		{"sixteen octets !", "sixteen octets !", ""},
		{"a # \"quoted\" one, \x00\xff \n\n", "a # \"quoted\" one, \x00\xff \n", ""},
		{"with carriage return\r\n", "with carriage return\r", ""},
		{strings.Repeat("x", 5000), "", "is larger than 4096 octets"},
	} {
		write(t, "radius.secret", test.text)
		c, problems := config.Load(file)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		plan, problems := planRADIUS(c)
		if got := string(plan.groups[0].servers[0].Secret); test.want != "" && got != test.want {
			t.Errorf("%q gives %q", test.text, got)
		}
		switch {
		case test.problem == "" && len(problems) > 0:
			t.Errorf("%q: %v", test.text, problems)
		case test.problem != "" && (len(problems) != 1 || !strings.Contains(problems[0].String(), test.problem)):
			t.Errorf("%q: %v, want %q", test.text, problems, test.problem)
		}
	}
}

func TestSecretsOfSystemd(t *testing.T) {
	file, text := radiusSite(t)
	write(t, file, strings.Replace(text, `"radius.secret"`, `"credential:campus"`, 1))
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	c, warnings, err := LoadConfig(file)
	if err != nil || !slices.ContainsFunc(warnings, func(p config.Problem) bool { return p.Cause == config.CauseNoCredentials }) {
		t.Fatalf("checked by hand: %v, %v", warnings, err)
	}
	if _, err := readRADIUS(c); err == nil {
		t.Error("a gateway would start without the secret")
	}
	if trials, _, err := ExamineServers(t.Context(), c); err != nil || len(trials) != 0 {
		t.Errorf("asked without the secret: %v, %v", trials, err)
	}
	folder := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", folder)
	write(t, folder+"/campus", "handed over by systemd\n")
	plan, err := readRADIUS(c)
	if err != nil || string(plan.groups[0].servers[0].Secret) != "handed over by systemd" {
		t.Errorf("%v, %v", plan, err)
	}
}

// A reload takes other servers into use only where something about them is
// new, and logins end with those they began with.
func TestReloadOfServers(t *testing.T) {
	file, text := radiusSite(t)
	g := &Gateway{logger: slog.New(slog.DiscardHandler)}
	g.config.Store(loaded(t, file))
	if err := g.openAuthority(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	first := g.authorities.current.Load()
	reload := func() *taking {
		t.Helper()
		taken, err := g.takeOver(loaded(t, file))
		if err != nil {
			t.Fatal(err)
		}
		return taken
	}
	if same := reload(); same.fresh || same.next != first || len(same.changed()) > 0 {
		t.Errorf("nothing changed, and yet: %+v", same)
	}
	write(t, file, strings.Replace(text, "status_server = false", "weight = 7", 1))
	dropped := reload()
	if !dropped.fresh || !slices.Equal(dropped.changed(), []string{"RADIUS servers"}) {
		t.Errorf("another weight: %+v", dropped)
	}
	dropped.drop()
	if g.authorities.current.Load() != first || !isClosed(t, dropped.next) {
		t.Error("a reload that fails later leaves its servers open, or in force")
	}

	write(t, file, text)
	running, err := g.authorities.Begin(t.Context(), auth.Peer{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, "radius.secret", "another secret of many octets\n")
	taken := reload()
	taken.keep()
	taken.drop()
	if next := g.authorities.current.Load(); next == first || next != taken.next || isClosed(t, next) {
		t.Error("the new servers are not in force")
	}
	if isClosed(t, first) {
		t.Error("a login lost its servers")
	}
	running.Close()
	running.Close()
	first.closed.Wait()
	if !isClosed(t, first) {
		t.Error("servers stay open that nobody uses")
	}
	var stopping authorities
	stopping.current.Store(first)
	if _, err := stopping.Begin(t.Context(), auth.Peer{}); err == nil {
		t.Error("a login began with servers that are closed")
	}
}

// isClosed tells whether an authority's servers are.
func isClosed(t *testing.T, a *authority) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	c, err := a.backend.Begin(ctx, auth.Peer{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask, err := c.Next(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	identity := eap.Packet{Code: eap.CodeResponse, Identifier: ask.Packet[1], Type: eap.TypeIdentity, Data: []byte("alice")}
	step, err := c.Next(ctx, identity.Append(nil))
	if err != nil || step.Verdict != auth.Unavailable {
		t.Fatalf("%+v, %v", step, err)
	}
	return slices.ContainsFunc(step.Reason.Evidence, func(e auth.Evidence) bool { return strings.Contains(e.Value, radius.ErrClosed.Error()) })
}

func TestFiguresOfServers(t *testing.T) {
	file, _ := radiusSite(t)
	g := &Gateway{logger: slog.New(slog.DiscardHandler)}
	g.config.Store(loaded(t, file))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(serverCollector{&g.authorities})
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		t.Errorf("before there are servers: %v, %v", families, err)
	}
	if err := g.openAuthority(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	families, err := registry.Gather()
	if err != nil || len(families) != len(serverMetrics) {
		t.Fatalf("%d metrics, %v", len(families), err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("names: %v %v", problems, err)
	}
	list, warnings := serversOf(g.authorities.current.Load(), time.Now())
	if len(list) != 1 || list[0].Name != "one" || list[0].State != "unproven" || list[0].Transport != "UDP" || list[0].Group != "others" || len(warnings) > 0 {
		t.Errorf("%+v, %q", list, warnings)
	}
}

func TestEveryFaultOfAServerIsExplained(t *testing.T) {
	causes := map[config.Cause]bool{}
	server := config.RADIUSServer{Name: "one"}
	c := config.Default()
	known := map[string]bool{}
	c.RADIUS = []config.RADIUSServer{server}
	for _, e := range c.Explain() {
		known[e.Setting] = true
	}
	for f := radius.NoFault + 1; f <= radius.TLSFailed; f++ {
		e, ok := serverFaults[f]
		if !ok || causes[e.cause] || strings.Count(e.text, "%s") != 1 || len(e.hint) < 20 || !known[server.Setting(e.key)] {
			t.Errorf("fault %d: %+v", f, e)
		}
		causes[e.cause] = true
	}
}

func TestPatience(t *testing.T) {
	for _, test := range []struct{ step, login, want time.Duration }{
		{0, time.Minute, 50 * time.Second}, {0, 3 * time.Minute, 170 * time.Second}, {0, 12 * time.Second, 6 * time.Second},
		{8 * time.Second, time.Minute, 8 * time.Second},
	} {
		c := config.Default()
		c.Auth.RADIUS.StepTime, c.IKE.LoginTimeout = test.step, test.login
		if got := stepTime(c); got != test.want {
			t.Errorf("step_time %s, login_timeout %s: %s, want %s", test.step, test.login, got, test.want)
		}
	}
}

func TestGroupsByRealm(t *testing.T) {
	c := config.Default()
	c.RADIUS = []config.RADIUSServer{{Name: "a", Realms: []string{"x", "y"}}, {Name: "b"}, {Name: "c", Realms: []string{"y", "x"}}, {Name: "d"}, {Name: "e", Realms: []string{"z"}}}
	var got [][]string
	for _, g := range c.RADIUSGroups() {
		var names []string
		for _, s := range g {
			names = append(names, s.Name)
		}
		got = append(got, names)
	}
	if d := cmp.Diff([][]string{{"a", "c"}, {"b", "d"}, {"e"}}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
