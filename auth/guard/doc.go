// Package guard slows down and refuses whoever tries passwords, without ever
// shutting out the user whose password is tried. It stands before an
// auth.Backend and counts wrong passwords by where they come from, by whom
// they are for, and in all. Over a limit an answer is refused without asking
// the backend, and the client sees what a wrong password shows.
//
// Where a user has logged in from before, only wrong passwords for that user
// from there count: strangers elsewhere spoil nothing.
//
// Known is an address or a /64, and only exactly that. From a place that many
// share, others there count against its limit and against the user there; the
// delays there may show that a user logs in from it.
//
// No answer is delayed by waiting: a Step says how late it is to go out.
package guard
