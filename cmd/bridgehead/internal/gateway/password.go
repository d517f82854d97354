package gateway

import (
	"fmt"
	"io"
	"strings"
)

// NewPassword draws a password of 80 bits that can be read out and typed on a
// phone: no capitals, nothing that looks like something else.
func NewPassword(random io.Reader) (string, error) {
	const (
		alphabet = "abcdefghijkmnpqrstuvwxyz23456789" // 32 letters: 5 bits each
		letters  = 16
		group    = 4
	)
	var b [letters]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("random octets: %w", err)
	}
	defer clear(b[:])
	var s strings.Builder
	for i, x := range b {
		if i > 0 && i%group == 0 {
			s.WriteByte('-')
		}
		s.WriteByte(alphabet[x%byte(len(alphabet))])
	}
	return s.String(), nil
}
