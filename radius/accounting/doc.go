// Package accounting keeps account of sessions at RADIUS servers (RFC 2866,
// RFC 2869) and loses none of it.
//
// A Spool is an auth.Accountant. What it is told is on disk before it says so,
// and goes to the servers from there, the records of a session in their order,
// for as long as it takes them to answer. Of a gateway that crashed, every
// session that was open gets its Stop, with what was last known of it, at the
// next start. The time between two starts is an epoch: all of one is sent
// before the Accounting-On of the next, and that before the first Start.
package accounting
