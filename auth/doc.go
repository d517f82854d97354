// Package auth is the contract between the gateway and whoever decides who
// may come in: a Backend runs one EAP conversation per login (RFC 3748), a
// Verifier judges one MS-CHAPv2 answer, a Grant says what an accepted user
// gets. Implementations are local (a file) or remote (RADIUS, LDAP); the
// gateway can't tell them apart.
package auth
