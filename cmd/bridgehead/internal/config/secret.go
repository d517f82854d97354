package config

import (
	"fmt"
	"path/filepath"
	"regexp"
	"unicode/utf8"
)

// secretKey is a key that speaks of a secret, up to its value. The equals sign
// may be what is missing.
var secretKey = regexp.MustCompile(`(?i)(?:^|[{,])\s*["']?[\w. -]*(?:secret|passw(?:or)?d|passphrase)[\w-]*["']?\s*(?:=\s*)?`)

// secretPlace is a value that tells where a secret is, and can't be one by
// mistake.
var secretPlace = regexp.MustCompile(`^(?:"/[^"]*"|'/[^']*'|["']` + CredentialPrefix + `[\w.@-]+["'])`)

// hidden stands for a secret in a line that is quoted.
const hidden = "***"

// hideSecret cuts a line where a secret may begin: one that was written where
// the name of its file belongs. It gives the characters that are left before
// the mark, all of the line if there is nothing to hide.
func hideSecret(line string) (shown string, left int) {
	for _, m := range secretKey.FindAllStringIndex(line, -1) {
		if value := line[m[1]:]; value != "" && !secretPlace.MatchString(value) {
			return line[:m[1]] + hidden, utf8.RuneCountInString(line[:m[1]])
		}
	}
	return line, utf8.RuneCountInString(line)
}

// needSecret is needFile for a file with a secret, whose name may be the secret
// itself: only an absolute one is told.
func (c *Config) needSecret(setting, path, hint string) []Problem {
	problems := c.needFile(setting, -1, path, hint)
	if e := c.entries[setting]; e == nil || filepath.IsAbs(e.value.text) {
		return problems
	}
	for i := range problems {
		problems[i].Message = fmt.Sprintf("%s: there is no such file, or it can't be read", setting)
		problems[i].Hint += "; what stands here is not shown, as it may be the secret itself"
	}
	return problems
}

// unquotedError is an error of a parser whose text must not be repeated.
type unquotedError struct{ text string }

func (e *unquotedError) Error() string { return e.text }
