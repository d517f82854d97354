package auth

import "strings"

// Cause names why a login was refused or could not be judged. Causes are
// stable: they stand in logs, metrics and in what "bridgehead why" prints.
type Cause string

// Reason is a cause with its evidence.
type Reason struct {
	Cause    Cause
	Evidence []Evidence
}

// Evidence is one fact behind a Reason: what was expected, what came. Values
// never hold secrets.
type Evidence struct{ Key, Value string }

// MaxClaim bounds what evidence and Steps keep of a name that nobody has proven,
// octets: RFC 2759 §4 has names of at most 256.
const MaxClaim = 256

// Clip shortens what a stranger sent to what evidence may keep.
func Clip(s string) string {
	if len(s) > MaxClaim {
		return strings.ToValidUTF8(s[:MaxClaim], "") + "…"
	}
	return s
}

// Text is one sentence that says what happened; the cause's name where the
// catalogue doesn't know it.
func (r Reason) Text() string {
	if e, ok := explained(r.Cause); ok {
		return e.text
	}
	return string(r.Cause)
}

// Advice is one sentence that says what the operator can do; empty where the
// catalogue doesn't know the cause.
func (r Reason) Advice() string {
	e, _ := explained(r.Cause)
	return e.advice
}
