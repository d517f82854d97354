package auth

import "fmt"

// What holds secrets prints itself field by field. That Secret and NTHash print
// placeholders is not enough: package fmt asks none of their methods below a
// pointer that it shows with a verb that suits none.

// Format writes the account without its hash.
func (a Account) Format(f fmt.State, verb rune) {
	type plain Account
	fmt.Fprintf(f, fmt.FormatString(f, verb), plain(a))
}

// Format writes the grant without its MSK.
func (g Grant) Format(f fmt.State, verb rune) {
	type plain Grant
	fmt.Fprintf(f, fmt.FormatString(f, verb), plain(g))
}

// Format writes whom the keys are for.
func (k Keys) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[keys of %q]", k.Grant.Name) }

// Format writes the response without what the password could be guessed from.
func (r MSCHAPv2Response) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[MSCHAPv2 response of %q, identity %q]", r.Name, r.Identity)
}

// Format writes whose password is to change.
func (c PasswordChange) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[change of password of %q]", c.Response.Name)
}
