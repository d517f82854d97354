// Package compare measures bridgehead against Debian's strongSwan, side by
// side in one run on one machine, in network namespaces, and prints ratios:
// absolute figures of two machines, or of two runs, can't be compared. Its
// tests are built with the tag "bench" and run by "make bench".
package compare
