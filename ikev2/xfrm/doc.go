// Package xfrm is the data plane in the Linux kernel: it implements
// esp.DataPlane with ESP states and policies in tunnel mode, by netlink.
//
// # What a Child SA is in the kernel
//
// Two states, one a direction, each for inner packets of both families
// (XFRM_STATE_AF_UNSPEC), over either family and in UDP where the path says so;
// and for each pair of traffic selectors, in the kernel's prefixes and masks,
// three policies: out, in (to the host itself) and forward. All of a Child SA
// goes in one batch of messages. Packets outside the selectors
// are dropped on their way in. On their way out they are not this Child SA's:
// the kernel routes them as it routes anything.
//
// # What is whose
//
// States and policies carry request IDs from a range of the Plane's own. It
// removes what an earlier process left under them, and never touches what
// carries others; where one of those has the place that it needs, Install
// fails. Where Config.Protected names networks, policies that come after all
// others drop what would travel to or from them in clear; they are a Plane's own,
// too. Reconcile compares kernel and Child SAs. One setting of the network
// namespace is changed while a Plane is open, which makes no difference but in
// speed: the prefix lengths from which on the kernel finds a policy by hash.
//
// # Rekeying
//
// After Rekey both Child SAs receive. Unless Child.Sending says otherwise the
// new one sends from the first packet that arrives on it, or once
// Config.RekeyGrace has passed, or when the old one is removed or the new one
// moved. The end that answered CREATE_CHILD_SA cannot
// know when its answer has arrived, and what it sent on the new SA before that
// the peer would drop (RFC 7296 §2.8). The new outbound state is added before
// the old one is removed, so no packet is without one.
//
// A Child SA that was rekeyed still receives for Config.Linger once it is
// removed, but no longer than those after it are there, and of many in short
// order the latest four do: what the peer sent on it
// may be taken up after its DELETE, since IKE and ESP come by different ways
// through a host.
//
// # Moving
//
// XFRM_MSG_MIGRATE is not used: it finds states by request ID, which a Child SA
// shares with its successor, and copies an outbound sequence number while the
// old state still counts on, so that a nonce may be used twice. Move updates
// states in place where the kernel can. Where the peer's address changes, the
// new outbound state stands beside the old one before that goes, and the
// inbound one stays. Where the local address does, Expect has added the new
// inbound state beside the old one before the peer came to use it, and the old
// one goes after Config.Linger. None of these loses a packet. Three moves must remove a state
// before they can add it again, and lose what passes within those
// microseconds: outbound, a change of the local address or of the UDP
// encapsulation towards the same peer address; inbound, a change of the
// encapsulation at the same local address; and, before Linux 5.17, inbound
// with encapsulation, any change of the peer's address. A replay window that
// must be copied is that of a moment before: what the kernel accepted in
// between it would accept once more.
//
// An outbound state that follows another begins some 256 sequence numbers after
// it, and that one is given a hard limit of as many packets more, so that none
// is used twice. What is late on the old path is so still inside a replay window
// as wide as ours when it comes after packets of the new one.
//
// # Keys
//
// The Plane keeps a copy of the keys, which Move needs; Remove and Close wipe
// it, and requests are wiped once sent. Nothing here prints a key: errors name
// SPIs, addresses and selectors.
package xfrm
