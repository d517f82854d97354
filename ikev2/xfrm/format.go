package xfrm

import "fmt"

// What holds keys prints a summary of its own whatever the verb; a child is
// printed as the esp.Child that it holds.

// Format writes what the kernel can do.
func (p *Plane) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[xfrm plane: %v]", p.capabilities) }

// Format writes the suite.
func (a algorithms) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[%v]", a.suite) }

// Format writes SPI, addresses and suite.
func (s state) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "[%v from %v %v]", s.id, s.source, s.algorithms.suite)
}

// Format writes what is done to what.
func (r request) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[%s]", r.what) }

// Format writes what is done to what.
func (s step) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[%s]", s.do.what) }

// Format writes the number of steps.
func (c change) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[change of %d]", len(c.steps)) }

// Format writes what it is; the kernel's answers to GETSA hold keys.
func (a answer) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[answer, error %v]", a.err) }
