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
