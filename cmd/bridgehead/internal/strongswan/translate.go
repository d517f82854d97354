package strongswan

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"bridgehead/auth/secrets"
)

// Options of an import; the zero value is ready for use.
type Options struct {
	Connection string // the one to take over; "": the only one that fits
	StrongSwan string // strongswan.conf, for the servers of eap-radius; "": where it is beside the input
	Name       string // what clients type; "": as the input or the certificate says
	// Suggest gives the known word that a mistyped one most likely means, or "".
	Suggest func(word string, known []string) string
}

// translator turns the directives of one connection into settings.
type translator struct {
	problems
	options Options
	folders folders
	swanctl bool // the input is swanctl.conf: proposals are strict, DPD needs no action

	connection *connection
	rules      map[string]rule // of connections
	later      map[string]counterpart
	plan       plan
	notes      []string
	unset      []Default
	name       string // of the server, as the input says
	nameFrom   Place
	certs      []credential
	keys       []credential
	chain      []string
	suites     []*entry         // directives with cipher suites
	pools      map[string]*view // of swanctl.conf
	users      []secrets.User

	disk           disk         // where that is
	strongswanConf string       // with the settings of eap-radius
	asksRADIUS     bool         // servers decide, instead of the users file
	secretFiles    []secretFile // beside the configuration
	entries        []*entry     // of the whole input, in the order of reading
}

// credential is a file with a certificate or a private key, and the directive
// that names it.
type credential struct {
	path   string
	from   *entry // nil: found in a folder
	locked bool   // by a passphrase
}

// place is where it is named.
func (c *credential) place() Place {
	if c.from == nil {
		return Place{File: c.path}
	}
	return c.from.Place
}

// folders are where strongSwan looks for files with a relative path.
type folders struct{ certs, cacerts string }

func newTranslator(o Options) *translator {
	if o.Suggest == nil {
		o.Suggest = func(string, []string) string { return "" }
	}
	return &translator{options: o, rules: connectionRules, later: later, disk: realDisk}
}

func (t *translator) note(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// set plans a setting and says so in the directive's line of the report. No
// setting is written without a value: a directive that comes to none is wrong.
func (t *translator) set(e *entry, setting, value string) {
	if !t.plan.set(setting, value, e.Place) {
		t.addEmpty(e)
		return
	}
	e.taken("%s = %s", setting, value)
}

// setList is set for a list; an earlier one is overridden.
func (t *translator) setList(e *entry, setting string, words []string) {
	if len(words) > 0 { // else a problem was said
		t.set(e, setting, quoteList(words))
	}
}

// addList adds a directive's words to a setting's list.
func (t *translator) addList(e *entry, setting string, words []string) {
	if len(words) > 0 { // else a problem was said
		t.plan.addList(setting, words, e.Place)
		e.taken("%s = %s", setting, quoteList(words))
	}
}

// addEmpty reports a directive that looks as if it had a value.
func (t *translator) addEmpty(e *entry) {
	t.add(e.valueAt, "%s: expected a value, or nothing behind the equals sign for the default", e.Name)
}

// judgeConnection has each setting of the connection judged by its rule.
func (t *translator) judgeConnection() {
	for _, e := range t.connection.settings {
		t.apply(t.rules, e)
	}
}

// apply judges one directive.
func (t *translator) apply(rules map[string]rule, e *entry) {
	r, known := rules[e.rule]
	switch {
	case !known:
		e.unsupported("unknown to strongSwan%s", t.didYouMean(e.Name, slices.Sorted(maps.Keys(rules))))
	case e.value == "" && !e.secret:
		e.unneeded("an empty value means the default")
	default:
		r(t, e)
	}
}

func (t *translator) didYouMean(word string, known []string) string {
	if near := t.options.Suggest(word, known); near != "" {
		return `; did you mean "` + near + `"?`
	}
	return "; take it out"
}

// choose finds the connection to take over. It must be the only one that fits,
// unless the options name it.
func (t *translator) choose(all []*connection, at Place) *connection {
	var fit []*connection
	reasons := make(map[*connection]string)
	for _, c := range all {
		if reasons[c] = t.unfit(c); reasons[c] == "" {
			fit = append(fit, c)
		}
	}
	if name := t.options.Connection; name != "" {
		i := slices.IndexFunc(all, func(c *connection) bool { return c.name == name })
		switch {
		case i < 0:
			t.add(at, "no connection %q; expected one of those in the file", name)
			return nil
		case reasons[all[i]] != "":
			t.add(all[i].at, "%q can't be taken over: %s", name, reasons[all[i]])
			return nil
		}
		return all[i]
	}
	switch len(fit) {
	case 1:
		return fit[0]
	case 0:
		if len(all) == 0 {
			t.add(at, "no connection; expected a section for clients that log in by IKEv2 and EAP")
		}
		for _, c := range all {
			t.add(c.at, "%q can't be taken over: %s", c.name, reasons[c])
		}
		return nil
	}
	for _, c := range fit {
		t.add(c.at, "%q is one of %d connections that could be taken over; choose one with --conn NAME", c.name, len(fit))
	}
	return nil
}

// unfit tells why a connection isn't one for clients with a name and a
// password; "" if it is.
func (t *translator) unfit(c *connection) string {
	version, auto := c.value("keyexchange"), c.value("auto")
	local, remote := c.value("leftauth"), c.value("rightauth")
	if local == "" {
		local = c.value("authby")
	}
	switch {
	case version == "ikev1" || version == "1":
		return "it is for IKEv1, which bridgehead doesn't speak: clients need IKEv2"
	case !t.swanctl && (auto == "" || auto == "ignore"):
		return "strongSwan doesn't load it: auto is ignore"
	case local != "" && !isPublicKey(local):
		return "the gateway must prove itself by a certificate there (leftauth=pubkey), not by " + firstWord(local)
	case !isEAP(remote):
		return "its clients don't log in with a name and a password (rightauth=eap-mschapv2)"
	case c.value("rightauth2") != "" || c.value("leftauth2") != "" || c.rounds > 1:
		return "it asks for a second authentication, which bridgehead doesn't: it would let in who knows the password alone"
	case c.value("type") != "" && c.value("type") != "tunnel":
		return "it is no tunnel"
	}
	return ""
}

// firstWord is a value up to what may follow its first word.
func firstWord(s string) string {
	if i := strings.IndexAny(s, " ,:"); i >= 0 {
		return s[:i]
	}
	return s
}

func isPublicKey(method string) bool {
	method = strings.TrimPrefix(method, "ike:")
	for _, known := range []string{"pubkey", "rsa", "ecdsa", "rsasig", "ecdsasig", "ed25519", "ed448"} {
		if method == known || strings.HasPrefix(method, known+"-") || strings.HasPrefix(method, known+"/") {
			return true
		}
	}
	return false
}

func isEAP(method string) bool {
	return slices.Contains([]string{"eap", "eap-mschapv2", "eap-radius", "eap-dynamic"}, method)
}

// leftover judges what no rule came to: directives that are overridden, or in
// a section that isn't taken over.
func (t *translator) leftover(inForce func(*entry) *entry, why func(*entry) string) {
	for _, e := range t.entries {
		if e.Outcome != "" {
			continue
		}
		if winner := inForce(e); winner != nil && winner != e {
			e.unneeded("overridden by %s", winner.Place.line())
			continue
		}
		e.unneeded("%s", why(e))
	}
}

// finish checks what the configuration can't do without.
func (t *translator) finish() {
	c := t.connection
	if !t.plan.has("addresses.pools") {
		t.add(c.at, "%q gives its clients no addresses; expected rightsourceip (pools in swanctl.conf) with a prefix or a range", c.name)
	}
	if c.value("leftsubnet") == "" {
		t.add(c.at, "%q doesn't say what clients may reach, which is the gateway alone in strongSwan and everything in bridgehead; expected leftsubnet (local_ts in swanctl.conf), such as 0.0.0.0/0,::/0", c.name)
	}
	t.credentials()
	t.serverName()
	t.adviseWeak()
	if !t.plan.has("addresses.dns") {
		t.note("no name servers for clients: those in strongswan.conf are not read; put them into addresses.dns")
	}
	t.defaults()
	if t.asksRADIUS {
		t.plan.set("auth.backend", quote("radius"), Place{})
		if len(t.users) > 0 {
			t.note("the RADIUS servers decide who comes in; the users of the secrets are in the users file, which nobody reads then")
		}
		return
	}
	if len(t.users) == 0 {
		t.note("no users; add them with: bridgehead users add NAME")
	}
	t.plan.set("auth.backend", quote("file"), Place{})
	t.plan.set("auth.file.path", quote(usersFile), Place{})
}

// report is the result's, once all is judged.
func (t *translator) report() Report {
	r := Report{Connection: t.connection.name, Users: len(t.users), Notes: t.notes, Defaults: t.unset, Directives: make([]Directive, len(t.entries))}
	if r.Notes == nil {
		r.Notes = []string{}
	}
	if r.Defaults == nil {
		r.Defaults = []Default{}
	}
	for i, e := range t.entries {
		r.Directives[i] = e.Directive
	}
	return r
}

// resolve completes a relative path.
func resolve(folder, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}
