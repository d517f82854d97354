package strongswan

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The least that the configuration takes.
const (
	leastRekeyTime    = time.Minute
	leastRekeyBytes   = 1 << 20
	leastRekeyPackets = 1 << 10
)

const (
	neverExpires = "keys are replaced when that is due, and no session ends because they are old"
	ownJitter    = "each time is made shorter by up to a tenth, at random"
	rekeyIsOff   = "rekey=no: the gateway starts no rekeying, and no session ends because its keys are old"
)

// rekeys tells whether the connection lets the gateway replace keys.
func (t *translator) rekeys() bool { return !isOneOf(no, t.connection.value("rekey")) }

// rekeyYes has the gateway replace keys by strongSwan's default lifetimes,
// where the connection names none.
func rekeyYes(t *translator, e *entry) {
	for setting, names := range map[string][2]string{
		"esp.rekey_time": {"lifetime", defaultLifetime}, "ike.rekey_time": {"ikelifetime", defaultIKELifetime},
	} {
		if t.connection.value(names[0]) == "" && !t.plan.has(setting) {
			t.setRekeyTime(e, setting, names[1])
		}
	}
	e.taken("the gateway replaces keys itself, where the client takes it")
}

// lifetime is when keys expire in ipsec.conf, from which the margin is taken
// off for the time of their replacement.
func lifetime(setting string) rule {
	return func(t *translator, e *entry) {
		if !t.rekeys() {
			e.unneeded(rekeyIsOff)
			return
		}
		t.setRekeyTime(e, setting, e.value)
	}
}

func (t *translator) setRekeyTime(e *entry, setting, life string) {
	after, err := t.beforeExpiry(life)
	if err != nil {
		t.add(e.valueAt, "%s: expected a time such as 30s, 5m or 1h", e.Name)
		return
	}
	t.set(e, setting, quote(shortDuration(max(after, leastRekeyTime))))
}

// beforeExpiry takes the connection's margin off a lifetime of ipsec.conf.
func (t *translator) beforeExpiry(life string) (time.Duration, error) {
	margin := t.connection.value("margintime")
	if margin == "" {
		margin = t.connection.value("rekeymargin")
	}
	if margin == "" {
		margin = defaultMargin
	}
	l, err := parseTime(life)
	if m, wrong := parseTime(margin); wrong == nil && m < l {
		l -= m
	}
	return l, err
}

// margin is what is taken off a lifetime.
func margin(t *translator, e *entry) {
	if !t.rekeys() {
		e.unneeded(rekeyIsOff)
		return
	}
	if _, err := parseTime(e.value); err != nil {
		t.add(e.valueAt, "%s: expected a time such as 30s, 5m or 1h", e.Name)
		return
	}
	e.taken("taken off the lifetimes in esp.rekey_time and ike.rekey_time")
}

// rekeyTime is when keys are replaced in swanctl.conf.
func rekeyTime(setting string) rule {
	return when("0|0s", kept("the gateway starts no rekeying, and answers the clients'"), func(t *translator, e *entry) {
		d, err := parseTime(e.value)
		if err != nil {
			t.add(e.valueAt, "%s: expected a time such as 30s, 5m or 1h", e.Name)
			return
		}
		t.set(e, setting, quote(shortDuration(max(d, leastRekeyTime))))
	})
}

// rekeyAmount is after how many octets or packets the keys of a Child SA are
// replaced; less is what marginName takes off, in ipsec.conf.
func rekeyAmount(setting, marginName string, least uint64) rule {
	return func(t *translator, e *entry) {
		if !t.swanctl && !t.rekeys() {
			e.unneeded(rekeyIsOff)
			return
		}
		n, err := parseAmount(e.value)
		if err != nil {
			t.add(e.valueAt, "%s: %v", e.Name, err)
			return
		}
		if less, err := parseAmount(t.connection.value(marginName)); err == nil && less < n {
			n -= less
		}
		if n > 0 {
			n = max(n, least)
		}
		t.set(e, setting, strconv.FormatUint(n, 10))
	}
}

// parseAmount reads a number, with k, m or g behind it for multiples of 1024.
func parseAmount(s string) (uint64, error) {
	const units = "kmg"
	unit := uint64(1)
	word := strings.ToLower(s)
	if word != "" {
		if i := strings.IndexByte(units, word[len(word)-1]); i >= 0 {
			unit, word = 1<<(10*(i+1)), word[:len(word)-1]
		}
	}
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("expected a number, such as 500000000")
	}
	return n * unit, nil
}
