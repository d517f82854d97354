package strongswan

// counterpart is what a directive becomes. Without a setting and without kept
// there is nothing yet, and todo says what to do until then.
type counterpart struct {
	setting string                                 // such as "ike.unique"
	value   func(directive string) (string, error) // as TOML; the error completes "expected …"
	kept    string                                 // what bridgehead does without a setting
	todo    string
}

// later holds the directives whose counterpart comes with a release, and those
// that have it since. To have one taken over, give its row a setting and a
// value, or what is done anyway.
var later = map[string]counterpart{
	"leftupdown":  {setting: "hooks.updown", value: func(path string) (string, error) { return quote(path), nil }},
	"uniqueids":   {setting: "sessions.unique", value: uniquePolicy},
	"forceencaps": {setting: "ike.encap", value: encapsulation},
	"childless":   {setting: "ike.childless", value: childless},
	"mobike":      {setting: "ike.mobike", value: roaming},
	"inactivity":  {setting: "sessions.idle_timeout", value: idleTime},
	"mark":        {todo: "marks by which the kernel tells SAs apart aren't supported; take it out: sessions are told apart by their addresses"},
	"if_id":       {todo: "XFRM interfaces aren't supported; let firewall rules match clients by their addresses, or by meta ipsec exists"},
}

// asLater is the rule of a directive in that table.
func asLater(name string) rule {
	return func(t *translator, e *entry) {
		switch to := t.later[name]; {
		case to.setting != "":
			value, err := to.value(e.value)
			if err != nil {
				t.add(e.valueAt, "%s: expected %v", e.Name, err)
				return
			}
			t.set(e, to.setting, value)
		case to.kept != "":
			e.taken("%s", to.kept)
		default:
			e.unsupported("%s", to.todo)
		}
	}
}
