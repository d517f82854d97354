package gateway

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPassword is the longest password of MS-CHAPv2, in characters (RFC 2759
// §8.3).
const MaxPassword = 256

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

// PasswordError tells why a password can't be used at all.
type PasswordError struct{ Problem string }

func (e *PasswordError) Error() string { return "the password " + e.Problem }

// CheckPassword refuses what no client could send, and gives advice on what is
// easily guessed: whoever gets hold of an NT hash tries billions a second.
func CheckPassword(user string, password []byte) (advice []string, err error) {
	switch n := utf8.RuneCount(password); {
	case n == 0:
		return nil, &PasswordError{"is empty"}
	case n > MaxPassword:
		return nil, &PasswordError{fmt.Sprintf("has %d characters; MS-CHAPv2 knows at most %d", n, MaxPassword)}
	case !utf8.Valid(password):
		return nil, &PasswordError{"is not UTF-8"}
	case n < 12:
		advice = append(advice, fmt.Sprintf("the password has %d characters; 12 or more resist guessing far longer", n))
	}
	text := string(password)
	if strings.EqualFold(text, user) || user != "" && strings.Contains(strings.ToLower(text), strings.ToLower(user)) {
		advice = append(advice, "the password contains the user's name")
	}
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsDigit(r) }) < 0 {
		advice = append(advice, "the password is digits only")
	}
	if strings.Trim(text, text[:1]) == "" {
		advice = append(advice, "the password is one character repeated")
	}
	return advice, nil
}
