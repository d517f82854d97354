// Package provision writes what sets up the VPN software of clients: a script,
// a profile or a configuration file for each kind, out of what the gateway
// accepts. The client then proposes one suite, the best one that both sides
// know. No output holds a password, and all of them stay the same as long as
// the gateway does.
package provision
