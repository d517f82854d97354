// Package ldap knows users from an LDAP directory that shows the gateway their
// NT hashes: OpenLDAP or 389 Directory Server with Samba's attributes, FreeIPA.
//
// A Directory is an auth.HashStore over a bounded pool of connections to one or
// several servers. It only ever searches: as one account of its own, over TLS,
// over a socket of the host, or in plain text on loopback where told so. A
// server that fails is left alone until a probe in the background has found it
// well again, so that only the first login after its death waits for it.
//
// Whoever has an NT hash can log in with it. Octets of hashes are overwritten
// after use; the copies that the LDAP library makes as text are left to the
// garbage collector, and none is ever printed.
package ldap
