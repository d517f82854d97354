package convert

import (
	"fmt"
	"io"
	"strings"
	"time"

	"bridgehead/auth/secrets"
)

// parseSMBPasswd reads name:uid:LM hash:NT hash:[flags]:LCT-time: of Samba's
// smbpasswd(5). Lines of before Samba 2.0.7 have no flags.
func parseSMBPasswd(r *reader, text []byte) {
	eachLine(text, func(number int, line []byte) {
		if len(line) == 0 || line[0] == '#' {
			return
		}
		at := place{number, 1}
		fields := strings.Split(string(line), ":")
		if len(fields) < 4 {
			r.add(at, "", NotTakenOver, "expected NAME:UID:LM HASH:NT HASH:[FLAGS]:")
			return
		}
		u := secrets.User{Name: fields[0]}
		flags := ""
		if len(fields) > 4 {
			flags = strings.Trim(fields[4], "[] ")
		}
		if why := barredFlags(flags); why != "" {
			r.add(at, u.Name, NotTakenOver, why)
			return
		}
		hash, ok := ntHash(fields[3])
		if !ok || strings.HasPrefix(fields[3], "0x") {
			column := len([]rune(strings.Join(fields[:3], ":"))) + 2
			r.add(place{number, column}, u.Name, NotTakenOver, "expected an NT hash of 32 hexadecimal digits in the fourth place; who has none there has no password")
			return
		}
		u.Hash, u.Disabled = hash, strings.Contains(flags, "D")
		r.take(at, u, nil)
	})
}

// barredFlags tells why an account is no user's.
func barredFlags(flags string) string {
	switch {
	case strings.ContainsAny(flags, "WSI"):
		return "an account of a machine or a domain, not of a user"
	case strings.Contains(flags, "N"):
		return "an account without a password (flag N)"
	}
	return ""
}

// SMBPasswdOptions of WriteSMBPasswd.
type SMBPasswdOptions struct {
	FirstUID int       // of the first user; the others follow
	Now      time.Time // when the passwords were set, as Samba is told
}

// noLM stands where there is no LM hash (smbpasswd(5)).
var noLM = strings.Repeat("X", 32)

// WriteSMBPasswd writes users for Samba's smbpasswd(5). The notes tell what
// that can't hold.
func WriteSMBPasswd(w io.Writer, users []secrets.User, o SMBPasswdOptions) ([]Line, error) {
	e := &exporter{w: w}
	for i, u := range users {
		if strings.ContainsAny(u.Name, ":") || strings.HasPrefix(u.Name, "#") {
			e.leave(u, "a name of smbpasswd holds no colon and begins with no #")
			continue
		}
		e.print("%s:%d:%s:%s:[%s]:LCT-%08X:\n", u.Name, o.FirstUID+i, noLM, hexHash(u), sambaFlags(u), o.Now.Unix())
		e.done(u, settingNotes(u, nil))
	}
	return e.lines, e.err
}

// sambaFlags are eleven characters between the brackets.
func sambaFlags(u secrets.User) string {
	flags := "U"
	if u.Disabled {
		flags = "UD"
	}
	return fmt.Sprintf("%-11s", flags)
}
