package initiator

import "fmt"

// What holds a password or keys prints a summary of its own: package fmt asks
// no method of an unexported field, and none at all below a pointer that it
// shows with a verb that suits none.

// Format writes server and user.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[client %q of %q]", c.User, c.Server) }

// Format writes server and user.
func (c ConnectConfig) Format(f fmt.State, verb rune) { c.Config.Format(f, verb) }

// Format writes server and user.
func (c LoadConfig) Format(f fmt.State, verb rune) { c.Config.Format(f, verb) }

// Format writes server and user.
func (sa *SA) Format(f fmt.State, verb rune) { sa.cfg.Format(f, verb) }

// Format writes server and user.
func (s *Session) Format(f fmt.State, verb rune) { s.cfg.Format(f, verb) }

// Format writes the Child SA without its keys.
func (c Change) Format(f fmt.State, verb rune) { c.Child.Format(f, verb) }
