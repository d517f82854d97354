package exchange

import "fmt"

// Format writes a placeholder for every verb: what lies below holds keys.
func (Protection) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[protection]") }
