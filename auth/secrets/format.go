package secrets

import "fmt"

// Package fmt asks no method below a pointer that it shows with a verb that
// suits none; what holds secrets therefore prints itself field by field.

// Format writes the user without the hash.
func (u User) Format(f fmt.State, verb rune) {
	type plain User
	fmt.Fprintf(f, fmt.FormatString(f, verb), plain(u))
}

// Format writes the key's place without the pass phrase.
func (k Key) Format(f fmt.State, verb rune) {
	type plain Key
	fmt.Fprintf(f, fmt.FormatString(f, verb), plain(k))
}
