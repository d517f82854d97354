package suite

import "fmt"

// What holds keys prints a placeholder of its own. That its Secrets do is not
// enough: package fmt asks no method of an unexported field, and none at all
// below a pointer that it shows with a verb that suits none.

// Format writes a placeholder for every verb.
func (IKEKeys) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[IKE keys]") }

// Format writes a placeholder for every verb.
func (ChildKeys) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[Child SA keys]") }

// Format writes a placeholder for every verb.
func (Sealer) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[sealer]") }

// Format writes a placeholder for every verb.
func (Opener) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[opener]") }

// Format writes the group.
func (k modpKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[key of %v]", k.modp.group) }

// Format writes the group.
func (k curveKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[key of %v]", k.curve.group) }
