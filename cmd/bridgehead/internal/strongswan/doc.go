// Package strongswan takes over the configuration of a strongSwan gateway: it
// reads ipsec.conf with ipsec.secrets, or swanctl.conf, and gives the
// bridgehead.toml and the file of users that mean the same, with a report that
// names every directive of the input.
//
// Nothing is taken over by halves. What can't be read is an error with its
// place, all of them at once; a directive that was read but has no counterpart
// stands in the report with what to do about it. Where leaving a directive out
// would let more people in, or let them reach more, the import fails instead.
// Passwords are hashed as they are read; neither an error nor the report holds
// any part of one.
package strongswan
