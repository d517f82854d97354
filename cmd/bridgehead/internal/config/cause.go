package config

// Cause is a short name of what is wrong, for scripts and searches; names stay.
// Those of certificates are the pki package's.
type Cause string

// Causes of what is wrong with a configuration or the files it names.
const (
	CauseUnreadable     Cause = "unreadable-file"    // it isn't there, or can't be read
	CauseSyntax         Cause = "syntax"             // it is no TOML
	CauseSetTwice       Cause = "set-twice"          // one file has a setting twice
	CauseUnknownSection Cause = "unknown-section"    //
	CauseUnknownSetting Cause = "unknown-setting"    //
	CauseMissing        Cause = "missing-setting"    // a required one
	CauseBadValue       Cause = "bad-value"          // of another type or form than expected, or one that fits no other
	CauseAdvice         Cause = "advice"             // it works, but not well
	CausePoolOverlap    Cause = "pool-overlap"       //
	CauseSmallPool      Cause = "small-pool"         // more users than addresses
	CauseInsidePool     Cause = "inside-pool"        // an address in use could be given to a client
	CauseKeyCount       Cause = "key-count"          // not one key for each certificate
	CauseKeyMismatch    Cause = "key-mismatch"       // a key belongs to another certificate
	CauseReadableSecret Cause = "readable-by-others" // a file with secrets
	CauseUsersLine      Cause = "users-line"         // a line of the users file is lost
	CauseNoUsers        Cause = "no-users"           //
	CauseUnknownPool    Cause = "unknown-pool"       // a user's
	CauseUnknownGroup   Cause = "unknown-group"      // a user's
	CauseNoInterface    Cause = "no-interface"       // this host lacks it
	CauseKernelSetting  Cause = "kernel-setting"     // a sysctl
	CauseKernelESP      Cause = "kernel-esp"         // asked for, and this host's kernel lacks it
	CauseWeakGroup      Cause = "weak-group"         // modp1024 is accepted
)

// Symptom is what the users of some clients see.
type Symptom struct {
	Clients string `json:"clients"` // the kind of client
	Shows   string `json:"shows"`   // the message, word for word
}

// As names the cause of a problem and what clients show of it.
func (p Problem) As(cause Cause, symptoms ...Symptom) Problem {
	p.Cause, p.Symptoms = cause, symptoms
	return p
}
