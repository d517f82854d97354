// Package clients puts every client the gateway knows through its whole stay:
// login, traffic of both families, both rekeys, a move, an idle day, logout.
// The outcome is a table, one for each data plane: "make clients" prints it.
package clients
