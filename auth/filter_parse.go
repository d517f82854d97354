package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Bounds of a filter: each packet of its user may meet all of it.
const (
	MaxFilterRules = 128
	maxRuleText    = 1024 // octets of one rule
	maxPortRanges  = 16   // at one end of a rule
)

// FilterError is a filter rule that can't be read or enforced. Whoever sent it
// wanted it obeyed: to leave it out could let through what it forbids.
type FilterError struct {
	Rule string // as it was given, at most 100 octets of it
	Err  error
}

// Error names the rule and what is wrong with it.
func (e *FilterError) Error() string {
	return fmt.Sprintf("filter rule %q: %v: write \"permit|deny in|out PROTOCOL from ADDRESS to ADDRESS\" as in RFC 6733 §4.3.1", e.Rule, e.Err)
}

// Unwrap gives what is wrong.
func (e *FilterError) Unwrap() error { return e.Err }

// ParseFilter reads the rules of one filter. The error is a *FilterError.
func ParseFilter(rules []string) ([]FilterRule, error) {
	if len(rules) > MaxFilterRules {
		return nil, &FilterError{Rule: excerpt(rules[MaxFilterRules]), Err: fmt.Errorf("the filter has %d rules, expected at most %d", len(rules), MaxFilterRules)}
	}
	filter := make([]FilterRule, 0, len(rules))
	for _, text := range rules {
		r, err := ParseFilterRule(text)
		if err != nil {
			return nil, err
		}
		filter = append(filter, r)
	}
	return filter, nil
}

// ParseFilterRule reads a rule such as "deny out tcp from any 25 to assigned".
// Of the options it takes "established" and "setup"; the other ones of RFC 6733
// §4.3.1 (frag, ipoptions, tcpoptions, tcpflags, icmptypes) can't be enforced.
// A prefix may have bits beyond its length, as in the RFC's own example. The
// error is a *FilterError.
func ParseFilterRule(text string) (FilterRule, error) {
	r, err := parseRule(text)
	if err != nil {
		return FilterRule{}, &FilterError{Rule: excerpt(text), Err: err}
	}
	return r, nil
}

func excerpt(text string) string { return text[:min(len(text), 100)] }

func parseRule(text string) (FilterRule, error) {
	var r FilterRule
	if len(text) > maxRuleText {
		return r, fmt.Errorf("%d octets, expected at most %d", len(text), maxRuleText)
	}
	words := ruleWords(strings.Fields(text))
	var err error
	if r.Deny, err = words.either("permit", "deny"); err != nil {
		return r, err
	}
	if r.Out, err = words.either("in", "out"); err != nil {
		return r, err
	}
	if r.Protocol, err = parseProtocol(words.next()); err != nil {
		return r, err
	}
	if _, err = words.either("from", "from"); err != nil {
		return r, err
	}
	if r.From, err = words.end(r.Protocol); err != nil {
		return r, err
	}
	if _, err = words.either("to", "to"); err != nil {
		return r, err
	}
	if r.To, err = words.end(r.Protocol); err != nil {
		return r, err
	}
	if r.mixed() {
		return r, errors.New("one end is IPv4 and the other IPv6, which no packet matches")
	}
	return r, r.options(words)
}

// ruleWords are the words of a rule that are not read yet.
type ruleWords []string

// next takes a word; the empty one at the end.
func (w *ruleWords) next() string {
	if len(*w) == 0 {
		return ""
	}
	word := (*w)[0]
	*w = (*w)[1:]
	return word
}

// either takes one of two words and tells whether it was the second, other one.
func (w *ruleWords) either(first, second string) (bool, error) {
	switch word := w.next(); {
	case word == first:
		return false, nil
	case word == second:
		return true, nil
	case first == second:
		return false, fmt.Errorf("%q found, expected %q", word, first)
	default:
		return false, fmt.Errorf("%q found, expected %q or %q", word, first, second)
	}
}

func parseProtocol(word string) (uint8, error) {
	for _, p := range filterProtocols {
		if p.name == word {
			return p.number, nil
		}
	}
	n, err := strconv.ParseUint(word, 10, 8)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no IP protocol from 1 to 255, nor \"ip\"", word)
	}
	return uint8(n), nil
}

// end takes an address and, if what follows begins with a digit, its ports.
func (w *ruleWords) end(protocol uint8) (FilterEnd, error) {
	var e FilterEnd
	word := w.next()
	word, e.Not = strings.CutPrefix(word, "!")
	switch word {
	case "any":
		if e.Not {
			return e, errors.New("\"!any\" matches nothing")
		}
	case "assigned":
		e.Assigned = true
	default:
		var err error
		if e.Prefix, err = parseRulePrefix(word); err != nil {
			return e, err
		}
	}
	if len(*w) == 0 || (*w)[0][0] < '0' || (*w)[0][0] > '9' {
		return e, nil
	}
	if !hasPorts(protocol) {
		return e, errors.New("ports go with tcp, udp, sctp and dccp only")
	}
	var err error
	e.Ports, err = parsePorts(w.next())
	return e, err
}

func parseRulePrefix(word string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(word); err == nil && !p.Addr().Is4In6() {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(word)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no address or prefix, nor \"any\" or \"assigned\"", word)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func parsePorts(word string) ([]PortRange, error) {
	parts := strings.Split(word, ",")
	if len(parts) > maxPortRanges {
		return nil, fmt.Errorf("%d port ranges, expected at most %d", len(parts), maxPortRanges)
	}
	ports := make([]PortRange, 0, len(parts))
	for _, part := range parts {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		f, err := strconv.ParseUint(first, 10, 16)
		l, errLast := strconv.ParseUint(last, 10, 16)
		if err != nil || errLast != nil || f > l {
			return nil, fmt.Errorf("%q is no port or range of ports", part)
		}
		ports = append(ports, PortRange{uint16(f), uint16(l)})
	}
	return ports, nil
}

// options reads what stands behind the ends.
func (r *FilterRule) options(words ruleWords) error {
	for _, word := range words {
		switch {
		case word != "established" && word != "setup":
			return fmt.Errorf("the option %q can't be enforced", word)
		case r.Protocol != protocolTCP:
			return fmt.Errorf("the option %q goes with tcp only", word)
		}
		r.Established = r.Established || word == "established"
		r.Setup = r.Setup || word == "setup"
	}
	if r.Established && r.Setup {
		return errors.New("no segment is both \"established\" and \"setup\"")
	}
	return nil
}
