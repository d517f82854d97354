package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"bridgehead/ikev2"
)

// uniqueWords are the values of sessions.unique, by policy.
var uniqueWords = []string{
	ikev2.UniqueNo: "no", ikev2.UniqueReplace: "replace", ikev2.UniqueKeep: "keep", ikev2.UniqueNever: "never",
}

func uniqueKind() kind[ikev2.Unique] {
	words := choice(uniqueWords...)
	return kind[ikev2.Unique]{unstable.String, words.expected, func(v *value) (ikev2.Unique, error) {
		w, err := words.parse(v)
		return ikev2.Unique(max(slices.Index(uniqueWords, w), 0)), err
	}, func(u ikev2.Unique) string { return quoted(uniqueWords[u]) }}
}

func encapKind() kind[Encap] {
	words := choice(string(EncapAuto), string(EncapNone), string(EncapIPv4), string(EncapIPv6))
	return kind[Encap]{unstable.String, words.expected, func(v *value) (Encap, error) {
		w, err := words.parse(v)
		return Encap(w), err
	}, quoted[Encap]}
}

// quirkKind names quirks by their ids.
func quirkKind() kind[ikev2.Quirk] {
	var ids []string
	for _, q := range ikev2.AllQuirks() {
		if !q.Fixed() {
			ids = append(ids, q.String())
		}
	}
	return kind[ikev2.Quirk]{unstable.String, "one of " + strings.Join(ids, " "), parseText(func(s string) (ikev2.Quirk, error) {
		q, ok := ikev2.ParseQuirk(s)
		switch {
		case !ok:
			return 0, errors.New("is no quirk")
		case q.Fixed():
			return 0, &advice{"cannot be switched off: " + q.Meaning(), "take it out; the gateway is built so"}
		}
		return q, nil
	}), quoted[ikev2.Quirk]}
}

// amountKind is a number that may be large.
func amountKind() kind[uint64] {
	return kind[uint64]{unstable.Integer, "a number, 0 or more; 1_000_000_000 may be written so", func(v *value) (uint64, error) {
		n, err := strconv.ParseInt(strings.ReplaceAll(v.text, "_", ""), 0, 64)
		if err != nil || n < 0 {
			return 0, errors.New("is out of range")
		}
		return uint64(n), nil
	}, literal[uint64]}
}

// leastRekey are the smallest limits that leave time for a rekey before the
// next one is due.
const (
	leastRekeyTime    = 5 * time.Second
	leastRekeyBytes   = 1 << 20
	leastRekeyPackets = 1 << 10
)

// validatePolicies checks what sessions are held to.
func (c *Config) validatePolicies() []Problem {
	var problems []Problem
	alone := func(e Encap) bool { return e == EncapAuto || e == EncapNone }
	if list := c.IKE.Encap; len(list) > 1 && slices.ContainsFunc(list, alone) {
		problems = append(problems, c.At("ike.encap", -1, `ike.encap: "auto" or "none" beside others`, `expected "auto" or "none" alone, or a list of "ipv4" and "ipv6"`))
	}
	if slices.Contains(c.IKE.Encap, EncapIPv6) && slices.Contains(c.IKE.QuirksOff, ikev2.QuirkD5) {
		problems = append(problems, c.Warn("ike.encap", -1, "ike.encap: Android's own client gives up when it is told of a NAT over IPv6", `take "ipv6" out, or D5 out of ike.quirks_off, which spares Android`))
	} else if slices.Contains(c.IKE.Encap, EncapIPv6) {
		problems = append(problems, c.Warn("ike.encap", -1, "ike.encap: Android's own client is left out over IPv6: it gives up when it is told of a NAT there", "its ESP goes without UDP; let IP protocol 50 through for it, or publish no IPv6 address"))
	}
	for _, l := range []struct {
		setting     string
		value, low  uint64
		show, least string
	}{
		{"ike.rekey_time", uint64(c.IKE.Rekey), uint64(leastRekeyTime), c.IKE.Rekey.String(), "5s"},
		{"esp.rekey_time", uint64(c.ESP.Rekey), uint64(leastRekeyTime), c.ESP.Rekey.String(), "5s"},
		{"esp.rekey_bytes", c.ESP.RekeyBytes, leastRekeyBytes, strconv.FormatUint(c.ESP.RekeyBytes, 10), "1_048_576"},
		{"esp.rekey_packets", c.ESP.RekeyPackets, leastRekeyPackets, strconv.FormatUint(c.ESP.RekeyPackets, 10), "1_024"},
	} {
		if l.value > 0 && l.value < l.low {
			problems = append(problems, c.At(l.setting, -1, fmt.Sprintf("%s: %s leaves no time between rekeys", l.setting, l.show), "expected "+l.least+" or more, or 0 to leave rekeys to the clients"))
		}
	}
	for setting, d := range map[string]time.Duration{"sessions.timeout": c.Sessions.Timeout, "sessions.idle_timeout": c.Sessions.Idle} {
		if d > 0 && d < time.Minute {
			problems = append(problems, c.Warn(setting, -1, fmt.Sprintf("%s: %s ends sessions before they are of use", setting, d), `expected some hours; "0" has no limit`))
		}
	}
	return problems
}
