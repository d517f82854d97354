package guard

import "bridgehead/auth"

// Causes of answers that the guard against guessing refused unasked. On the
// wire they are like auth.CauseWrongPassword.
const (
	CauseGuessingAddress auth.Cause = "too-many-wrong-from-address"
	CauseGuessingUser    auth.Cause = "too-many-wrong-for-user"
	CauseGuessingTotal   auth.Cause = "too-many-wrong-in-all"
)
