// Package admin is the way to look into a running gateway and to command it: a
// Unix socket that speaks HTTP with JSON bodies, both its ends, the memory of
// recent events and refusals behind it, and the metrics.
//
// Only root, the gateway's own user and members of the socket's group are
// served. The types with JSON tags are the documented, stable form of what
// "--json" prints: fields may be added, none is renamed or removed.
package admin
