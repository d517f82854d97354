// Package hostnet changes the network of the machine that it runs on, for a
// gateway and for a client: the tunnel's link, addresses and routes,
// forwarding, and masquerading and MSS clamping in an nftables table of its
// own, all by a Host. An Announcer answers ARP and NDP for clients, and a
// Script has the site's own program hear of them.
//
// Every change is journalled on disk before it is made. Those of a Host are
// undone in reverse order by Host.Close, or, after a crash, by the next Open
// with the same journal; those of an Announcer as clients leave, or by the next
// OpenAnnouncer; and a Script tells of the sessions that a crash has ended. What
// somebody else has changed meanwhile is left as it is, and so is everything
// once the machine has been booted again, for no change outlives that. Only a
// script may have made one that does: it hears of its sessions all the same.
//
// The package is for Linux. A Host belongs to one goroutine, and its netlink
// requests and sysctls concern the network namespace of the calling thread.
package hostnet
