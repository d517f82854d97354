package suite

import (
	"fmt"
	"log/slog"
)

// Secret is key material. It never prints itself, whatever the verb.
type Secret []byte

// Format writes a placeholder for every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "[%d secret octets]", len(s)) }

// LogValue keeps a Secret out of structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText keeps a Secret out of JSON and TOML.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Wipe overwrites the secret with zeros.
func (s Secret) Wipe() { clear(s) }
