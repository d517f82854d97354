package auth

// Causes of answers that the guard against guessing refused without asking a
// backend. On the wire they are like CauseWrongPassword.
const (
	CauseGuessingAddress Cause = "too-many-wrong-from-address"
	CauseGuessingUser    Cause = "too-many-wrong-for-user"
	CauseGuessingTotal   Cause = "too-many-wrong-in-all"
)

var guardCatalogue = map[Cause]entry{
	CauseGuessingAddress: {
		"Too many wrong passwords came from the client's address; this answer was refused unasked.",
		"Find whose device keeps trying; the address is let in again within ten minutes, and users who have logged in from there are all the while.",
	},
	CauseGuessingUser: {
		"Too many wrong passwords came for this user; this answer was refused unasked.",
		"The user still gets in from where they logged in before; from elsewhere they wait up to ten minutes. If it is no attack, look for a device with an old password.",
	},
	CauseGuessingTotal: {
		"Too many wrong passwords came in all; users who log in from a new place are refused unasked.",
		"Somebody guesses from many addresses: have the host's firewall drop their networks.",
	},
}
