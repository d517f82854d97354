// Package dae is the server of dynamic authorization (RFC 5176): RADIUS
// servers and operators' programs, its clients, end sessions by
// Disconnect-Request and change them by CoA-Request, over UDP or TLS (RFC
// 6614).
//
// A request does nothing before it is authentic: a known client by its
// address, the Request Authenticator, the Message-Authenticator, and an
// Event-Timestamp within five minutes. Only then the answers given before are
// looked up, so that a repeated request gets its answer again and has no
// second effect. What identifies a session must all be true of it; a request
// that is true of several sessions is refused unless it, or its client's
// configuration, says that it may be.
package dae
