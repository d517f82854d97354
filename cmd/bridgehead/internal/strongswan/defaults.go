package strongswan

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Default is a directive that the input doesn't set, where strongSwan's default
// isn't what bridgehead does.
type Default struct {
	Directive  string `json:"directive"`  // its name
	StrongSwan string `json:"strongswan"` // what strongSwan does without it
	Bridgehead string `json:"bridgehead"` // what bridgehead does
	Restore    string `json:"restore"`    // the setting that brings the former behaviour back
}

// Defaults of strongSwan, for lifetimes that are not named.
const (
	defaultLifetime    = "1h"
	defaultIKELifetime = "3h"
	defaultMargin      = "9m"

	swanctlRekeyTime = 4 * time.Hour    // of the IKE SA
	swanctlLifeTime  = 66 * time.Minute // of a Child SA; a tenth over its rekey_time
)

// defaults judges what the input leaves to strongSwan's defaults. What keeps
// sessions apart is written as it was. What a gateway for road warriors rather
// leaves to its clients stands in the report: rekeys by the server's clock are
// the most frequent reason for Windows and Apple to lose their tunnel.
func (t *translator) defaults() {
	if t.swanctl {
		t.rekeyDefaultsOfSwanctl()
	} else {
		t.uniqueDefault()
		t.rekeyDefaults()
	}
	liveness, action := "dpd_delay", ""
	if !t.swanctl {
		liveness, action = "dpdaction", t.connection.value("dpdaction")
	}
	if !t.plan.has("ike.dpd") && action == "" {
		t.left(liveness, "a client that is gone is never noticed", "a client is asked after 40 minutes of silence, and its session removed where it doesn't answer", `ike.dpd = "0"`)
	}
	for directive, setting := range map[string]string{"ike": "ike.proposals", "esp": "esp.proposals"} {
		if !t.plan.has(setting) {
			if t.swanctl {
				directive = map[string]string{"ike": "proposals", "esp": "esp_proposals"}[directive]
			}
			t.left(directive, "its default cipher suites", "its own, as bridgehead check --explain shows them", setting+", with those that clients use by now (ipsec statusall, swanctl --list-sas)")
		}
	}
	slices.SortFunc(t.unset, func(a, b Default) int { return strings.Compare(a.Directive, b.Directive) })
}

// left reports a directive that is left at bridgehead's default.
func (t *translator) left(directive, strongSwan, bridgehead, restore string) {
	t.unset = append(t.unset, Default{directive, strongSwan, bridgehead, restore})
}

// uniqueDefault: uniqueids is yes in ipsec.conf.
func (t *translator) uniqueDefault() {
	said := ""
	for _, e := range t.entries { // the last one counts
		if e.Section == "config setup" && e.Name == "uniqueids" {
			said = e.value
		}
	}
	if said == "" {
		t.plan.setDefault("sessions.unique", quote("replace"), "uniqueids is not set: yes")
		t.note(`uniqueids isn't set, which is yes in strongSwan: sessions.unique = "replace", for each device of a user by itself; with "no" two devices that send the same IKE identity may be up at once`)
	}
}

// rekeyDefaults: rekey and reauth are yes in ipsec.conf, and lifetimes have
// defaults. With reauth the keys of an IKE SA are not replaced: its client has
// to log in again.
func (t *translator) rekeyDefaults() {
	if !t.rekeys() {
		return
	}
	if after, err := t.beforeExpiry(defaultLifetime); err == nil {
		t.leftRekey("lifetime", "esp.rekey_time", "a Child SA", after)
	}
	ikeLife, reauth := t.connection.value("ikelifetime"), t.connection.value("reauth")
	if ikeLife == "" {
		ikeLife = defaultIKELifetime
	}
	after, err := t.beforeExpiry(ikeLife)
	switch {
	case err != nil: // said where it stands
	case isOneOf(no, reauth):
		t.leftRekey("ikelifetime", "ike.rekey_time", "an IKE SA", after)
	case reauth == "":
		age := shortDuration(after)
		t.left("reauth", "clients have to log in again after "+age, "sessions go on", `sessions.timeout = "`+age+`", which ends them`)
	}
}

// rekeyDefaultsOfSwanctl: rekey_time has defaults, of the IKE SA only without
// reauth_time.
func (t *translator) rekeyDefaultsOfSwanctl() {
	if t.connection.value("rekey_time") == "" && isOneOf("|0|0s", t.connection.value("reauth_time")) {
		t.leftRekey("rekey_time", "ike.rekey_time", "an IKE SA", swanctlRekeyTime)
	}
	if t.connection.value("child_rekey_time") == "" {
		life, err := parseTime(t.connection.value("life_time"))
		if err != nil || life == 0 {
			life = swanctlLifeTime
		}
		t.leftRekey("children.rekey_time", "esp.rekey_time", "a Child SA", life*10/11)
	}
}

// leftRekey reports a rekey that the gateway doesn't start.
func (t *translator) leftRekey(directive, setting, what string, after time.Duration) {
	if t.plan.has(setting) {
		return
	}
	when := shortDuration(max(after.Truncate(time.Minute), leastRekeyTime))
	t.left(directive, fmt.Sprintf("the gateway replaces the keys of %s after %s", what, when),
		"clients do, by their own clock", fmt.Sprintf("%s = %q", setting, when))
}
