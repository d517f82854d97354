package mschapv2

import "fmt"

// Format writes the user: package fmt asks no method of an unexported field,
// and so would print the hash.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[MSCHAPv2 client %q]", c.user) }
