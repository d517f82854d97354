package auth

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxPassword is the longest password of MS-CHAPv2, in units of UTF-16
// (RFC 2759 §8.3).
const MaxPassword = 256

// PasswordError tells why a password can't be used at all.
type PasswordError struct{ Problem string }

func (e *PasswordError) Error() string { return "the password " + e.Problem }

// CheckPassword refuses what no client could send, and gives advice on what is
// easily guessed: whoever gets hold of an NT hash tries billions a second.
func CheckPassword(user string, password []byte) (advice []string, err error) {
	switch n := utf16Units(password); {
	case n == 0:
		return nil, &PasswordError{"is empty"}
	case n > MaxPassword:
		return nil, &PasswordError{fmt.Sprintf("has %d characters of UTF-16; MS-CHAPv2 knows at most %d", n, MaxPassword)}
	case !utf8.Valid(password):
		return nil, &PasswordError{"is not UTF-8"}
	}
	if n := utf8.RuneCount(password); n < 12 {
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

// utf16Units counts what HashPassword hashes, two octets each.
func utf16Units(password []byte) int {
	n := 0
	for rest := password; len(rest) > 0; n++ {
		r, size := utf8.DecodeRune(rest)
		if r > 0xFFFF {
			n++ // a surrogate pair
		}
		rest = rest[size:]
	}
	return n
}
