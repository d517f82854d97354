// Package esp holds Child SAs as the data planes see them, and the processing
// of single ESP packets in tunnel mode (RFC 4303): encryption, integrity, the
// replay window, extended sequence numbers, and the traffic selectors that the
// inner packet is held to.
//
// A packet is worked on in place. The inner packet lies in the caller's buffer
// with room before and after it, and becomes the ESP packet without being
// copied:
//
//	[ESP header 8][IV][inner packet][padding, pad length, next header][ICV]
//
// Nothing here does I/O, reads a clock or allocates per packet.
package esp
