package ikev2

import "fmt"

// What holds keys prints a placeholder whatever the verb, and so do the
// structs around it: package fmt asks no unexported field for its methods.

func (c Certificate) describe() string {
	if len(c.Chain) == 0 {
		return "[certificate]"
	}
	return fmt.Sprintf("[certificate of %s]", c.Chain[0].Subject)
}

// Format writes the leaf's subject.
func (c Certificate) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.describe()) }

// MarshalText gives the leaf's subject.
func (c Certificate) MarshalText() ([]byte, error) { return []byte(c.describe()), nil }

// Format writes how many certificates there are, of what else is set nothing.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[configuration with %d certificates]", len(c.Certificates))
}

// MarshalText is Format's text.
func (c Config) MarshalText() ([]byte, error) { return fmt.Append(nil, c), nil }

// Format writes the responder SPI and the state.
func (sa *SA) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[IKE SA %s %s]", sa.spir, sa.state) }

// Format, which every job has from here, writes whose it is.
func (j job) Format(f fmt.State, _ rune) {
	if j.sa == nil {
		fmt.Fprint(f, "[job]")
		return
	}
	fmt.Fprintf(f, "[job of IKE SA %s]", j.sa.spir)
}
