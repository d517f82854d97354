package strongswan

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// uniqueIDs is what becomes of a client's former session.
func uniqueIDs(t *translator, e *entry) {
	when(no, kept("a user may have several sessions; a client that says it starts afresh replaces its own"), asLater("uniqueids"))(t, e)
	if e.Outcome == TakenOver && (strings.EqualFold(e.value, "keep") || isOneOf(yes+"|replace", e.value)) {
		e.taken("strongSwan goes by the user alone; here each device of a user, told by its IKE identity, has a session")
	}
}

// uniquePolicy is a value of uniqueids as one of sessions.unique.
func uniquePolicy(v string) (string, error) {
	switch word := strings.ToLower(v); {
	case isOneOf(yes+"|replace", word):
		return quote("replace"), nil
	case word == "keep", word == "never":
		return quote(word), nil
	}
	return "", errors.New("yes, no, never, keep or replace")
}

// encapsulation is a value of forceencaps as one of ike.encap.
func encapsulation(v string) (string, error) {
	switch {
	case isOneOf(yes, v):
		return quoteList([]string{"ipv4", "ipv6"}), nil
	case isOneOf(no, v):
		return quote("none"), nil
	}
	return "", errors.New("yes or no")
}

// roaming is a value of mobike as one of ike.mobike.
func roaming(v string) (string, error) {
	switch {
	case isOneOf(yes, v):
		return "true", nil
	case isOneOf(no, v):
		return "false", nil
	}
	return "", errors.New("yes or no")
}

// childless is a value of that name as one of ike.childless.
func childless(v string) (string, error) {
	switch {
	case isOneOf("allow|prefer", v):
		return "true", nil
	case isOneOf("never", v):
		return "false", nil
	}
	return "", errors.New("allow, prefer, force or never")
}

// idleTime is a value of inactivity as one of sessions.idle_timeout.
func idleTime(v string) (string, error) {
	d, err := parseTime(v)
	if err != nil {
		return "", errors.New("a time such as 30s, 5m or 1h")
	}
	return quote(shortDuration(d)), nil
}

// outputMark is the mark of protected packets. That of the inner packet, or
// single bits of a mark, can't be had.
func outputMark(t *translator, e *entry) {
	const whole = math.MaxUint32
	word, mask, masked := strings.Cut(e.value, "/")
	mark, err := strconv.ParseUint(word, 0, 32)
	bits, wrong := strconv.ParseUint(mask, 0, 32)
	if !masked {
		bits, wrong = whole, nil
	}
	switch {
	case strings.HasPrefix(word, "%same"), err == nil && wrong == nil && bits != whole:
		e.unsupported("a mark of our own is set, and as a whole; let a firewall rule for ESP and UDP 4500 set these bits")
	case err != nil || wrong != nil:
		t.add(e.valueAt, "%s: expected a mark such as 42, 0x2a or 0x2a/0xffffffff", e.Name)
	case mark == 0:
		e.unneeded("packets get no mark")
	default:
		t.set(e, "dataplane.output_mark", strconv.FormatUint(mark, 10))
	}
}
