package esp

import "fmt"

// The types that hold keys print a summary of their own whatever the verb. The
// redaction of suite.Secret alone is not enough: fmt shows a pointer within a
// slice under a verb that does not suit it without asking any method below it.
// Nothing helps against printing a struct that holds these in unexported
// fields, whose methods fmt never asks.

// Format writes SPI and suite.
func (sa SA) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[SA %08x %v]", sa.SPI, sa.Suite) }

// Format writes the child's id, session, SPIs, suite and path.
func (c Child) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[child %d session %q in %08x out %08x %v path %v]",
		c.ID, c.Session, c.In.SPI, c.Out.SPI, c.In.Suite, c.Path)
}

// Format writes the SPI.
func (in *Inbound) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[inbound SA %08x]", in.spi) }

// Format writes the SPI.
func (o *Outbound) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[outbound SA %08x]", o.spi) }
