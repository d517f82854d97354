// Package regressions lists what broke other VPN gateways, each fault with the
// tests that do the same to this one. It has tests alone; they run all of these
// and print the table:
//
//	go test ./integration/regressions -v
package regressions
