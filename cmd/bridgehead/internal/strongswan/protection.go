package strongswan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"bridgehead/ikev2"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// rightAuth is how clients prove themselves; other methods made the connection
// unfit.
func rightAuth(t *translator, e *entry) {
	if e.value == "eap-radius" {
		if t.radius() {
			e.taken("auth.backend = \"radius\": the servers of eap-radius in %s", t.strongswanConf)
			return
		}
		e.unsupported("%s names no RADIUS server (--strongswan FILE names another): users are those of the users file, see bridgehead users add; nobody else gets in", t.strongswanConf)
		return
	}
	e.taken("auth.backend = \"file\": EAP-MSCHAPv2 with the users file")
}

var debugLevel = regexp.MustCompile(`([a-z]+)\s+(-?[0-9]+)`)

// charonDebug is what is logged. strongSwan's level 2 of cfg shows proposals.
func charonDebug(t *translator, e *entry) {
	debug := false
	for _, m := range debugLevel.FindAllStringSubmatch(strings.ToLower(e.value), -1) {
		level, err := strconv.Atoi(m[2])
		debug = debug || err != nil || level > 2 || level == 2 && m[1] != "cfg"
	}
	if debug {
		t.set(e, "log.level", quote("debug"))
		return
	}
	e.unneeded("the proposals received, configured and selected are logged for every login")
}

// dpdAction turns liveness checks on; strongSwan has them off by default.
func dpdAction(t *translator, e *entry) {
	if t.swanctl { // says what becomes of a dead client alone
		when("clear|none", kept("a dead client's session is removed"), todo("a dead client's session is removed: "+gatewayStartsNothing))(t, e)
		return
	}
	if strings.EqualFold(e.value, "none") {
		t.set(e, "ike.dpd", quote("0"))
		return
	}
	if t.connection.get("dpddelay") == nil {
		t.set(e, "ike.dpd", quote("30s"))
		e.taken("30s is strongSwan's default")
	} else {
		e.taken("a dead client's session is removed")
	}
	if !strings.EqualFold(e.value, "clear") {
		e.taken("it is cleared only: %s", gatewayStartsNothing)
	}
}

// dpdDelay is after how much silence a client is asked for a sign of life.
func dpdDelay(t *translator, e *entry) {
	if action := strings.ToLower(t.connection.value("dpdaction")); !t.swanctl && (action == "" || action == "none") {
		e.unneeded("without dpdaction strongSwan asks nobody; see ike.dpd")
		return
	}
	d, err := parseTime(e.value)
	if err != nil {
		t.add(e.valueAt, "%s: expected a time such as 30s, 5m or 1h", e.Name)
		return
	}
	t.set(e, "ike.dpd", quote(shortDuration(d)))
}

// maxTime is the longest time that a configuration takes.
const maxTime = 365 * 24 * time.Hour

// parseTime reads a number with s, m, h or d behind it; without one, seconds.
func parseTime(s string) (time.Duration, error) {
	unit := time.Second
	if s != "" {
		switch s[len(s)-1] {
		case 'm':
			unit = time.Minute
		case 'h':
			unit = time.Hour
		case 'd':
			unit = 24 * time.Hour
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimRight(s, "smhd")), 10, 32)
	if err != nil || len(strings.TrimRight(s, "smhd")) < len(s)-1 || n > uint64(maxTime/unit) {
		return 0, errors.New("no time")
	}
	return time.Duration(n) * unit, nil
}

// shortDuration leaves out the zero units that time.Duration prints.
func shortDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

func ikeProposals(t *translator, e *entry) {
	t.proposals(e, "ike.proposals", message.ProtocolIKE, suite.DefaultIKE())
}

func espProposals(t *translator, e *entry) {
	t.proposals(e, "esp.proposals", message.ProtocolESP, suite.DefaultESP())
}

// proposals takes over cipher suites. Without a final "!", strongSwan adds its
// default ones in ipsec.conf; so bridgehead's are added here.
func (t *translator) proposals(e *entry, setting string, protocol message.Protocol, defaults suite.Proposals) {
	list, strict := strings.CutSuffix(strings.ReplaceAll(e.value, " ", ""), "!")
	kept, dropped := supported(protocol, list)
	if i := slices.Index(kept, "default"); i >= 0 {
		kept = slices.Replace(kept, i, i+1, defaults.String())
	} else if !strict && !t.swanctl {
		kept = append(kept, defaults.String())
	}
	if len(kept) == 0 {
		t.add(e.valueAt, "%s: expected a cipher suite that bridgehead has: %s", e.Name, strings.Join(dropped, "; "))
		return
	}
	t.set(e, setting, quote(strings.Join(kept, ",")))
	if !strict && !t.swanctl {
		e.taken("bridgehead's own follow, as strongSwan adds its own without a final \"!\"")
	}
	for _, d := range dropped {
		e.taken("left out: %s", d)
	}
	t.suites = append(t.suites, e)
	if setting == "ike.proposals" {
		e.taken("of what both ends have, the gateway's strongest is taken; ike.order = \"client\" has the client's order count, as in older strongSwan")
	}
}

// adviseWeak says of proposals with modp1024 how to do without. It needs both
// lists: what Windows is to be set to must fit either.
func (t *translator) adviseWeak() {
	ike := t.planned("ike.proposals", message.ProtocolIKE, suite.DefaultIKE())
	esp := t.planned("esp.proposals", message.ProtocolESP, suite.DefaultESP())
	for _, e := range t.suites {
		if kept := map[string]suite.Proposals{"ike": ike, "esp": esp}[e.rule]; !strings.Contains(kept.String(), suite.MODP1024.String()) {
			continue
		}
		if line, ok := ikev2.WindowsSettings("NAME", ike, esp); ok {
			e.taken("modp1024 can be broken by who can afford it (RFC 8247); Windows does without it after: %s", line)
		} else {
			e.taken("modp1024 can be broken by who can afford it (RFC 8247); put aes256-sha256-modp2048 before it, to which Windows can be set")
		}
	}
}

// planned gives the proposals that the configuration will have.
func (t *translator) planned(setting string, protocol message.Protocol, defaults suite.Proposals) suite.Proposals {
	i := slices.IndexFunc(t.plan.settings, func(s planned) bool { return s.setting == setting })
	if i < 0 {
		return defaults
	}
	text, err := strconv.Unquote(t.plan.settings[i].value)
	if err != nil {
		return defaults
	}
	list, err := suite.ParseProposals(protocol, text)
	if err != nil {
		return defaults
	}
	return list
}

// supported splits a list into the proposals that can be used, less the words
// that can't, and what was left out with its reason.
func supported(protocol message.Protocol, list string) (kept, dropped []string) {
	for proposal := range strings.SplitSeq(list, ",") {
		if proposal == "default" {
			kept = append(kept, proposal)
			continue
		}
		var usable []string
		for word := range strings.SplitSeq(proposal, "-") {
			if reason := wordProblem(protocol, word); reason != "" {
				dropped = append(dropped, word+": "+reason)
				continue
			}
			usable = append(usable, word)
		}
		joined := strings.Join(usable, "-")
		_, err := suite.ParseProposals(protocol, joined)
		var broken *suite.ProposalError
		switch {
		case len(usable) == 0:
		case errors.As(err, &broken):
			reason, _, _ := strings.Cut(broken.Reason, ";")
			dropped = append(dropped, proposal+" as a whole: "+reason)
		default:
			kept = append(kept, joined)
		}
	}
	return kept, dropped
}

// wordProblem tells why an algorithm can't be used; "" if it can. A proposal of
// one word is never complete for IKE: only what is said of the word counts.
func wordProblem(protocol message.Protocol, word string) string {
	probe := word + "-" // the empty word behind it ends the reading
	_, err := suite.ParseProposals(protocol, probe)
	var broken *suite.ProposalError
	if errors.As(err, &broken) && broken.Word == word && word != "" {
		reason, _, _ := strings.Cut(broken.Reason, ";")
		return reason
	}
	if word == "" {
		return "expected an algorithm"
	}
	return ""
}
