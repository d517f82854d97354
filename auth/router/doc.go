// Package router is an auth.Backend over several others: rules choose a chain
// by realm, domain or profile, and in the chain decides the first member that
// knows the user. It asks every member that can tell whom it knows, whatever
// the others say, so that an unknown user costs what a known one does.
//
// The truth table of a chain, for each member from left to right:
//
//	what the member says      what follows
//	known, right password     accepted
//	known, anything else      refused; no other member is asked for its opinion
//	unknown                   the next member; behind the last one: refused
//	unavailable, timed out    unavailable; with SkipOutages the next member, and
//	                          behind the last one: unavailable
//
// A member that can't tell whom it knows, such as RADIUS, stands last, and what
// it says is the outcome. Where the outcome is "unavailable" for the sake of a
// central member, and only there, break-glass accounts are looked at.
//
// Nothing that a client sends leads its conversation to another chain: the
// first name that it gives chooses, and a later one must be the same user's.
package router
