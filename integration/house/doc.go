// Package house holds the rules of the code itself as tests: the floors
// between the packages, documentation, and what may not be imported.
package house
