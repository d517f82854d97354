// Package message is the wire codec of IKEv2 (RFC 7296): headers and payloads
// as plain structs, parsing that keeps what it does not model, and encoding
// that gives back the octets that were parsed. It knows no keys and no state.
package message
