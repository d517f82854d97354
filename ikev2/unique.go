package ikev2

// Unique is the policy for a client that logs in while a session of the same
// client stands: of the same verified user and IKE identity and, where that
// identity is an address, from the same outer address. A user has any number
// of other sessions unless the Grant limits them.
type Unique uint8

// Policies.
const (
	// UniqueNo ends former sessions only if the client says by
	// INITIAL_CONTACT that they are gone (RFC 7296 §2.4).
	UniqueNo      Unique = iota
	UniqueReplace        // a new login ends the former session in any case
	UniqueKeep           // a new login is refused while the former session stands
	UniqueNever          // INITIAL_CONTACT is not heeded either
)
