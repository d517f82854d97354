package provision

import "strings"

// powerShell quotes a string as an expandable one, whose special characters
// are the back-tick, the dollar sign, and four double quotes, of which any
// ends it (about_Quoting_Rules).
func powerShell(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if strings.ContainsRune("`$\"\u201c\u201d\u201e", r) {
			b.WriteByte('`')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}

// shell quotes a word for the POSIX shell (XCU §2.2.2).
func shell(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.,:/@%+") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// option writes a value for nmcli's lists of options, which commas separate.
func option(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(s)
}

// swanctl quotes a value for strongSwan's configuration files.
func swanctl(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
