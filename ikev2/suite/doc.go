// Package suite is the cryptography of IKEv2: proposals and their selection,
// key exchange, key derivation, protection of the Encrypted payload, and the
// AUTH payload. It knows algorithms and keys, no exchanges and no state of an
// SA.
//
// Algorithms are numbered as in the IANA registry "Internet Key Exchange
// Version 2 (IKEv2) Parameters".
package suite
