package strongswan

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// eapRADIUS takes over the settings of strongSwan's plugin eap-radius, which
// stand in strongswan.conf.
type eapRADIUS struct {
	t       *translator
	plugin  *view
	flat    *radiusServer // of settings outside of a section
	servers []*radiusServer

	dae, daeListen, daePort, daeSecret *entry
}

// radiusServer is a server as strongswan.conf has it.
type radiusServer struct {
	name                              string // in [radius.NAME]
	at                                Place
	address, secret, source, nas      *entry
	port, accountingPort, preferences *entry
}

// secretFile is a file of the result that only its owner may read.
type secretFile struct {
	name    string
	content []byte
}

// Ports of RADIUS where strongswan.conf names none.
const (
	radiusPort     = "1812"
	accountingPort = "1813"
	daePort        = "3799"
)

// daemons are the sections of strongswan.conf that hold plugins; the first one
// overrides the other.
var daemons = []string{"charon-systemd", "charon"}

// radius takes over the servers of a connection whose clients they judge. It is
// false where strongswan.conf names none.
func (t *translator) radius() bool {
	path := t.strongswanConf
	text, err := t.disk.read(path, maxOctets)
	clear(text) // it is read again, with its includes
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	top, entries, wrong := readTree(path, t.disk)
	t.list = append(t.list, wrong...)
	v := newViewer(top, &t.problems)
	var nodes []*node
	for _, daemon := range daemons {
		if n := top.child(daemon); n != nil && n.child("plugins") != nil && n.child("plugins").child("eap-radius") != nil {
			nodes = append(nodes, n.child("plugins").child("eap-radius"))
		}
	}
	if len(wrong) > 0 {
		return true
	}
	if len(nodes) == 0 {
		return false
	}
	for _, e := range entries {
		if slices.ContainsFunc(nodes, func(n *node) bool { return e.Section == n.path || strings.HasPrefix(e.Section, n.path+".") }) {
			t.entries = append(t.entries, e)
		}
	}
	r := &eapRADIUS{t: t, plugin: v.view(nodes, 1)}
	r.flat = &radiusServer{name: "server", at: r.plugin.at}
	r.read()
	for e, winner := range v.inForce {
		if e.Outcome == "" && winner != e {
			e.unneeded("overridden by %s", winner.Place.line())
		}
	}
	t.note("of %s the settings of eap-radius were read, no others", path)
	t.asksRADIUS = true
	r.write()
	return true
}

// keep is a rule that remembers a directive for write.
func keep(where **entry) rule { return func(_ *translator, e *entry) { *where = e } }

// yesNo is a rule for yes or no.
func yesNo(then, otherwise rule) rule {
	return func(t *translator, e *entry) {
		switch {
		case isOneOf(yes, e.value):
			then(t, e)
		case isOneOf(no, e.value):
			otherwise(t, e)
		default:
			t.add(e.valueAt, "%s: expected yes or no", e.Name)
		}
	}
}

// put is a rule that plans a value.
func put(setting, value string) rule {
	return func(t *translator, e *entry) { t.set(e, setting, value) }
}

const (
	byRFC5080  = "requests are sent again as RFC 5080 says; auth.radius.step_time bounds the wait"
	noForwards = "attributes are not carried between client and server"
)

// rules are those of the plugin's own settings.
func (r *eapRADIUS) rules() map[string]rule {
	return map[string]rule{
		"accounting":                  yesNo(put("accounting.backend", quote("radius")), put("accounting.backend", quote("none"))),
		"accounting_close_on_timeout": yesNo(why("an outage of accounting ends no session: records wait on disk"), why("an outage of accounting ends no session")),
		"accounting_interval":         accountingInterval,
		"accounting_requires_vip":     why("every client has an address"),
		"accounting_send_class":       yesNo(kept("Class is sent back"), why("Class is sent back, as RFC 2865 asks")),
		"class_group":                 yesNo(todo("Class is no group here; have the server send Filter-Id, which is"), why("Class is no group here either")),
		"filter_id":                   yesNo(kept("Filter-Id is the user's group, whatever the Tunnel-Type"), why("Filter-Id is the user's group all the same, which nothing is tied to by itself")),
		"close_all_on_timeout":        yesNo(todo("sessions outlive an outage of the server; nothing ends them all"), why("sessions outlive an outage of the server")),
		"eap_start":                   yesNo(put("auth.radius.identity", quote("server")), put("auth.radius.identity", quote("client"))),
		"id_prefix":                   todo("names go to the server as clients send them; have the server do without the prefix"),
		"nas_identifier":              keep(&r.flat.nas),
		"station_id_with_port":        yesNo(r.stationPort("true"), r.stationPort("false")),
		"server":                      keep(&r.flat.address),
		"secret":                      keep(&r.flat.secret),
		"source":                      keep(&r.flat.source),
		"port":                        keep(&r.flat.port), "auth_port": keep(&r.flat.port), "acct_port": keep(&r.flat.accountingPort),
		"sockets":         why("hundreds of requests are under way at once"),
		"retransmit_base": why(byRFC5080), "retransmit_timeout": why(byRFC5080), "retransmit_tries": why(byRFC5080),
		"load": yesNo(why("what the configuration uses is there"), notLoaded),
	}
}

// serverRules are those of one section below servers.
func serverRules(s *radiusServer) map[string]rule {
	return map[string]rule{
		"address": keep(&s.address), "secret": keep(&s.secret), "source": keep(&s.source), "nas_identifier": keep(&s.nas),
		"port": keep(&s.port), "auth_port": keep(&s.port), "acct_port": keep(&s.accountingPort), "preference": keep(&s.preferences),
		"sockets":         why("hundreds of requests are under way at once"),
		"retransmit_base": why(byRFC5080), "retransmit_timeout": why(byRFC5080), "retransmit_tries": why(byRFC5080),
	}
}

// read judges every setting below the plugin.
func (r *eapRADIUS) read() {
	r.judge(r.plugin.settings, r.rules())
	for _, below := range r.plugin.children {
		switch below.name {
		case "servers":
			for _, s := range below.children {
				one := &radiusServer{name: s.name, at: s.at}
				r.servers = append(r.servers, one)
				r.judge(s.settings, serverRules(one))
			}
		case "dae":
			r.judge(below.settings, map[string]rule{"enable": keep(&r.dae), "listen": keep(&r.daeListen), "port": keep(&r.daePort), "secret": keep(&r.daeSecret)})
		case "forward":
			for _, e := range below.settings {
				e.unsupported(noForwards)
			}
		case "xauth":
			r.unneeded(below, "it is for IKEv1")
		default:
			r.unneeded(below, "unknown to strongSwan")
		}
	}
}

func (r *eapRADIUS) unneeded(v *view, reason string) {
	for _, e := range v.settings {
		e.unneeded("%s", reason)
	}
	for _, below := range v.children {
		r.unneeded(below, reason)
	}
}

func (r *eapRADIUS) judge(settings []*entry, rules map[string]rule) {
	for _, e := range settings {
		e.rule = e.Name
		r.t.apply(rules, e)
	}
}

func (r *eapRADIUS) stationPort(value string) rule {
	return func(t *translator, e *entry) {
		t.set(e, "auth.radius.station_port", value)
		if value == "true" {
			e.taken("192.0.2.1:4500 stands for strongSwan's 192.0.2.1[4500]")
		}
	}
}

func notLoaded(t *translator, e *entry) {
	t.add(e.valueAt, "load: the plugin isn't loaded, so that nobody could log in; expected yes")
}

func accountingInterval(t *translator, e *entry) {
	d, err := parseTime(e.value)
	if err != nil {
		t.add(e.valueAt, "%s: expected a time such as 300s or 5m", e.Name)
		return
	}
	t.set(e, "accounting.interim", quote(shortDuration(d)))
}

// write plans the sections of the servers, and the files with their secrets.
func (r *eapRADIUS) write() {
	t := r.t
	if len(r.servers) == 0 {
		r.servers = []*radiusServer{r.flat}
	} else {
		for _, e := range []*entry{r.flat.address, r.flat.secret, r.flat.source, r.flat.port, r.flat.accountingPort} {
			if e != nil {
				e.unneeded("the servers are those below servers")
			}
		}
	}
	taken := map[string]bool{}
	highest := 0
	for _, s := range r.servers {
		if s.name = sectionName(s.name); taken[s.name] {
			t.add(s.at, "two servers would be named [radius.%s]; expected names that differ by more than punctuation", s.name)
		}
		taken[s.name] = true
		highest = max(highest, s.preference(t))
	}
	for _, s := range r.servers {
		s.write(t, highest)
	}
	r.writeNames()
	r.writeDAE()
	if t.plan.has("accounting.backend") && !t.plan.has("accounting.interim") {
		t.plan.setDefault("accounting.interim", quote("0"), "accounting_interval is not set: none but the server's")
	}
}

// sectionName is a name of the kind that TOML sections have here.
func sectionName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, s)
}

// preference is how much more than others a server is preferred.
func (s *radiusServer) preference(t *translator) int {
	if s.preferences == nil {
		return 0
	}
	const most = 1000
	n, err := strconv.Atoi(s.preferences.value)
	if err != nil || n < 0 || n > most {
		t.add(s.preferences.valueAt, "preference: expected a number from 0 to %d", most)
		return 0
	}
	return n
}

// write plans one [radius.NAME].
func (s *radiusServer) write(t *translator, highest int) {
	section := "radius." + s.name + "."
	if s.address == nil || s.secret == nil {
		t.add(s.at, "the RADIUS server %s lacks its address or its secret", s.name)
		return
	}
	host := s.address.value
	if !typeable(host) {
		t.add(s.address.valueAt, "%s: expected a DNS name or an address", s.address.Name)
		return
	}
	port := s.portOf(t, s.port, radiusPort)
	address := host
	if port != radiusPort {
		address = net.JoinHostPort(host, port)
	}
	t.set(s.address, section+"address", quote(address))
	if s.port != nil {
		s.port.taken("%saddress = %s", section, quote(address))
	}
	if s.accountingPort != nil {
		if books := s.portOf(t, s.accountingPort, accountingPort); books != accountingPort {
			t.set(s.accountingPort, section+"accounting", quote(net.JoinHostPort(host, books)))
		} else {
			s.accountingPort.unneeded("it is the default")
		}
	}
	file := "radius-" + s.name + ".secret"
	t.secretFiles = append(t.secretFiles, secretFile{file, []byte(s.secret.value + "\n")})
	s.secret.value = ""
	t.set(s.secret, section+"secret_file", quote(file))
	if s.source != nil {
		if a, err := netip.ParseAddr(s.source.value); err != nil || a.Zone() != "" {
			t.add(s.source.valueAt, "source: expected an address")
		} else {
			t.set(s.source, section+"source", quote(a.String()))
		}
	}
	if priority := highest - s.preference(t); priority > 0 {
		t.plan.set(section+"priority", strconv.Itoa(priority), s.at)
	}
	if s.preferences != nil {
		s.preferences.taken("servers with the lowest %spriority are asked first, the others where those are silent", section)
	}
}

// portOf is a port as it is set, or the default one.
func (s *radiusServer) portOf(t *translator, e *entry, standard string) string {
	if e == nil {
		return standard
	}
	n, err := strconv.ParseUint(e.value, 10, 16)
	if err != nil || n == 0 {
		t.add(e.valueAt, "%s: expected a port", e.Name)
		return standard
	}
	return strconv.FormatUint(n, 10)
}

// writeNames plans the gateway's name to the servers: one, for all of them.
func (r *eapRADIUS) writeNames() {
	var all []*entry
	for _, s := range r.servers {
		e := s.nas
		if e == nil {
			e = r.flat.nas
		}
		if !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	const standard = "strongSwan"
	name := func(e *entry) string {
		if e == nil {
			return standard
		}
		return e.value
	}
	for _, e := range all {
		switch {
		case name(e) != name(all[0]):
			if e != nil {
				e.unsupported("all servers get the same name, auth.radius.nas_identifier = %s", quote(name(all[0])))
			}
		case e == nil:
			r.t.plan.setDefault("auth.radius.nas_identifier", quote(standard), "nas_identifier is not set: "+standard)
		default:
			r.t.set(e, "auth.radius.nas_identifier", quote(e.value))
		}
	}
	if e := r.flat.nas; e != nil && e.Outcome == "" {
		e.unneeded("each server has its own")
	}
}

// writeDAE plans who may end and change sessions: the servers, for strongSwan
// names nobody.
func (r *eapRADIUS) writeDAE() {
	t := r.t
	rest := []*entry{r.daeListen, r.daePort, r.daeSecret}
	if r.dae == nil || !isOneOf(yes, r.dae.value) {
		for _, e := range append(rest, r.dae) {
			if e != nil {
				e.unneeded("dynamic authorization is off")
			}
		}
		return
	}
	if r.daeSecret == nil {
		t.add(r.dae.Place, "dae: expected a secret")
		return
	}
	host, port := "0.0.0.0", daePort
	if r.daeListen != nil {
		host = r.daeListen.value
	}
	if r.daePort != nil {
		port = r.flat.portOf(t, r.daePort, daePort)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		t.add(r.daeListen.valueAt, "listen: expected an address")
		return
	}
	listen := quoteList([]string{net.JoinHostPort(host, port)})
	t.set(r.dae, "dae.listen", listen)
	for _, e := range []*entry{r.daeListen, r.daePort} {
		if e != nil {
			e.taken("dae.listen = %s", listen)
		}
	}
	const file = "dae.secret"
	t.secretFiles = append(t.secretFiles, secretFile{file, []byte(r.daeSecret.value + "\n")})
	r.daeSecret.value = ""
	clients := 0
	for _, s := range r.servers {
		if s.address == nil {
			continue
		}
		if _, err := netip.ParseAddr(s.address.value); err != nil {
			t.note("dae.clients.%s: its address isn't known, only its name %s; add the section with the address that its requests come from", s.name, s.address.value)
			continue
		}
		clients++
		t.plan.set("dae.clients."+s.name+".address", quote(s.address.value), r.dae.Place)
		t.plan.set("dae.clients."+s.name+".secret_file", quote(file), r.daeSecret.Place)
	}
	r.daeSecret.taken("the file %s", file)
	t.note("dynamic authorization: strongSwan takes requests from anywhere; here %d clients may send them, the RADIUS servers, and each request must have Message-Authenticator and Event-Timestamp unless [dae.clients.NAME] says otherwise", clients)
}
