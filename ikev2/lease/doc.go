// Package lease gives each session its inner addresses: IPv4 and IPv6, from
// named pools of prefixes and ranges, the same ones again when a user comes
// back.
//
// A pool keeps a cursor and what it has handed out, never an array of its
// size, so a /64 costs as little as a /29. An address is in one of four
// states: held by a session; remembered for the identity that held it last;
// freed, that is below the cursor and remembered for nobody; or untouched,
// above the cursor. A new identity takes a freed address, else the next
// untouched one, else the one remembered longest, so all moves are O(1).
//
// A claim is in the store before Acquire returns. After a crash the claims of
// the dead sessions come back as remembered addresses: free for anybody when
// the pool is full, and waiting for their identity until they expire.
package lease
