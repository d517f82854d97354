// Package uml runs tests in a user-mode Linux kernel of Debian's, which has the
// ESP that the machine's own kernel may lack. It boots in seconds, as an
// ordinary process.
package uml
