package auth

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
