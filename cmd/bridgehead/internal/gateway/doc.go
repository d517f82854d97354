// Package gateway is the composition root: it makes a running gateway of a
// configuration, reloads it, and ends it in order. Quickstart makes the
// configuration itself, from what it finds on the host.
//
// No decision about the protocol is taken here: the parts are joined, started
// and stopped, and what they tell is handed to the log, the journal and the
// metrics.
package gateway
