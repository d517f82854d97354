package guard

import "time"

// Defaults are limits that fit a site whose users share an address: what a
// user gets wrong where they have logged in before counts for that user alone,
// and each of the others' logins makes good some typing errors. To a guesser
// they leave some thousand passwords a day from one address, and fifteen
// hundred for one user from all places together.
func Defaults() Settings {
	return Settings{
		PerAddress: 60, PerUser: 10, Total: 6000, Window: 10 * time.Minute,
	}
}
