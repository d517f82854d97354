// Package hostnet changes the network of the machine that it runs on, for a
// gateway and for a client: the tunnel's link, addresses and routes,
// forwarding, and masquerading and MSS clamping in an nftables table of its
// own.
//
// Every change is journalled on disk before it is made and is undone in reverse
// order by Host.Close, or, after a crash, by the next Open with the same
// journal. What somebody else has changed meanwhile is left as it is, and so is
// everything once the machine has been booted again: nothing outlives that.
//
// The package is for Linux. A Host belongs to one goroutine, and its netlink
// requests and sysctls concern the network namespace of the calling thread.
package hostnet
