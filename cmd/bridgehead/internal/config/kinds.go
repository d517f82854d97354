package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"bridgehead/ikev2/suite"
)

// kind reads and prints one sort of value.
type kind[T any] struct {
	toml     unstable.Kind
	expected string // completes "expected …"
	parse    func(v *value) (T, error)
	format   func(T) string // as TOML
}

// parseText adapts a parser of strings.
func parseText[T any](parse func(string) (T, error)) func(*value) (T, error) {
	return func(v *value) (T, error) { return parse(v.text) }
}

// quoted formats as a TOML string.
func quoted[T any](t T) string { return strconv.Quote(fmt.Sprint(t)) }

// literal formats as a bare TOML value.
func literal[T any](t T) string { return fmt.Sprint(t) }

// advice is an error of a parser that brings a better hint than the kind's.
type advice struct {
	message, hint string
}

func (a *advice) Error() string { return a.message }

// pathKind is a path; a relative one is taken from the file's folder.
func pathKind() kind[string] {
	return kind[string]{unstable.String, `a path, such as "/etc/bridgehead/users"`, func(v *value) (string, error) {
		if v.text == "" {
			return "", errors.New("is empty")
		}
		if filepath.IsAbs(v.text) {
			return v.text, nil
		}
		return filepath.Join(filepath.Dir(v.at.source.path), v.text), nil
	}, quoted[string]}
}

// optional makes a text that may be empty, for what is left out.
func optional(k kind[string]) kind[string] {
	parse := k.parse
	k.parse = func(v *value) (string, error) {
		if v.text == "" {
			return "", nil
		}
		return parse(v)
	}
	return k
}

// nameKind is what clients type: a DNS name or an address.
func nameKind() kind[string] {
	return kind[string]{unstable.String, `a DNS name or an address, such as "vpn.example.org"`, parseText(ServerName), quoted[string]}
}

// ServerName checks what clients are to type: a DNS name or an address.
func ServerName(s string) (string, error) {
	if _, err := netip.ParseAddr(s); err == nil {
		return s, nil
	}
	if strings.Contains(s, "*") {
		return "", &advice{"is a wildcard", "write the one name that clients type; several clients refuse a wildcard certificate"}
	}
	return domainName(s)
}

// domainName checks the form of a DNS name (RFC 1123 §2.1).
func domainName(s string) (string, error) {
	if len(s) > 253 || s == "" {
		return "", errors.New("is not a DNS name")
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		letters := strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
		if label == "" || len(label) > 63 || letters != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return "", fmt.Errorf("is not a DNS name: label %q", label)
		}
	}
	return s, nil
}

func domainKind() kind[string] {
	return kind[string]{unstable.String, `a domain, such as "example.org"`, parseText(domainName), quoted[string]}
}

func addressKind() kind[netip.Addr] {
	return kind[netip.Addr]{unstable.String, `an address, such as "192.0.2.1" or "2001:db8::1"`, parseText(func(s string) (netip.Addr, error) {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return a, errors.New("is not an address")
		}
		return a.Unmap(), nil
	}), quoted[netip.Addr]}
}

func prefixKind() kind[netip.Prefix] {
	return kind[netip.Prefix]{unstable.String, `a prefix, such as "10.99.0.0/24"`, parseText(parsePrefix), quoted[netip.Prefix]}
}

// parsePrefix refuses host bits: they are a typing mistake more often than not.
func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, errors.New("is not a prefix")
	}
	if p != p.Masked() {
		return p, &advice{"has bits set behind its length", `did you mean "` + p.Masked().String() + `"?`}
	}
	return p, nil
}

func poolKind() kind[Pool] {
	return kind[Pool]{
		unstable.String, `a prefix such as "192.0.2.0/25", or a range such as "192.0.2.10-192.0.2.99"`,
		parseText(ParsePool), quoted[Pool],
	}
}

func durationKind() kind[time.Duration] {
	const most = 365 * 24 * time.Hour
	return kind[time.Duration]{unstable.String, `a duration in quotes, such as "40m", "30s" or "0"`, parseText(func(s string) (time.Duration, error) {
		if s == "0" {
			return 0, nil
		}
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return 0, errors.New("is not a duration")
		case d < 0 || d > most:
			return 0, errors.New("is not between 0 and a year")
		}
		return d, nil
	}), func(d time.Duration) string { return quoted(shortDuration(d)) }}
}

// shortDuration leaves out the zero units that time.Duration prints.
func shortDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// number is a kind of whole numbers from low to high.
func number[T int | uint16 | uint32](low, high T) kind[T] {
	return kind[T]{unstable.Integer, fmt.Sprintf("a number from %d to %d", low, high), func(v *value) (T, error) {
		n, err := strconv.ParseInt(strings.ReplaceAll(v.text, "_", ""), 0, 64)
		if err != nil || n < int64(low) || n > int64(high) {
			return 0, errors.New("is out of range")
		}
		return T(n), nil
	}, literal[T]}
}

func boolKind() kind[bool] {
	return kind[bool]{unstable.Bool, "true or false", parseText(strconv.ParseBool), literal[bool]}
}

// choice is a kind of a few words.
func choice(words ...string) kind[string] {
	return kind[string]{unstable.String, `one of "` + strings.Join(words, `", "`) + `"`, parseText(func(s string) (string, error) {
		for _, w := range words {
			if s == w {
				return s, nil
			}
		}
		a := &advice{message: "is not known here"}
		if n := Nearest(s, words); n != "" {
			a.hint = `did you mean "` + n + `"?`
		}
		return "", a
	}), quoted[string]}
}

// backendKind names the backends that this version has.
func backendKind() kind[string] {
	return choice(BackendFile, BackendLDAP, BackendRADIUS)
}

// textKind is any text of at most so many octets.
func textKind(expected string, most int) kind[string] {
	return kind[string]{unstable.String, expected, parseText(func(s string) (string, error) {
		if len(s) > most || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", errors.New("is too long or has control characters")
		}
		return s, nil
	}), quoted[string]}
}

func orderKind() kind[suite.Order] {
	words := choice("gateway", "client")
	return kind[suite.Order]{unstable.String, words.expected, func(v *value) (suite.Order, error) {
		w, err := words.parse(v)
		if w == "client" {
			return suite.ClientOrder, err
		}
		return suite.GatewayOrder, err
	}, func(o suite.Order) string {
		if o == suite.ClientOrder {
			return `"client"`
		}
		return `"gateway"`
	}}
}

func levelKind() kind[slog.Level] {
	words := choice("debug", "info", "warn", "error")
	return kind[slog.Level]{unstable.String, words.expected, func(v *value) (slog.Level, error) {
		w, err := words.parse(v)
		if err != nil {
			return 0, err
		}
		var l slog.Level
		return l, l.UnmarshalText([]byte(w))
	}, func(l slog.Level) string { return quoted(strings.ToLower(l.String())) }}
}

func proposalsKind(expected string, parse func(string) (suite.Proposals, error)) kind[suite.Proposals] {
	return kind[suite.Proposals]{unstable.String, expected, parseText(parse), quoted[suite.Proposals]}
}

// deviceKind is a name of a network interface.
func deviceKind() kind[string] {
	const most = 15 // IFNAMSIZ less the final zero
	return kind[string]{unstable.String, "a name of at most 15 letters and digits", parseText(func(s string) (string, error) {
		for _, r := range strings.Replace(s, "%d", "", 1) { // a pattern of the kernel's
			if r <= ' ' || r == '/' || r == ':' || r == '%' || r > '~' {
				return "", fmt.Errorf("has the character %q", r)
			}
		}
		if s == "" || s == "." || s == ".." || len(s) > most {
			return "", errors.New("is not a name of an interface")
		}
		return s, nil
	}), quoted[string]}
}
