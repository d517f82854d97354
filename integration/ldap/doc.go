// Package ldap tests the directory of users against Debian's slapd on loopback,
// which is killed, stopped and made to drop connections.
package ldap
