package convert

import (
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"bridgehead/auth/secrets"
)

// radiusHeld are the settings that attributes of FreeRADIUS' users carry.
var radiusHeld = []string{"group", "pool", "pool6", "ip4", "ip6", "dns", "routes", "session_timeout", "idle_timeout", "max_sessions", "rate_up", "rate_down"}

// WriteFreeRADIUS writes users for FreeRADIUS' module files, the NT hash as
// NT-Password and what the user has of his own as reply attributes. The notes
// tell what it can't hold.
func WriteFreeRADIUS(w io.Writer, users []secrets.User) ([]Line, error) {
	e := &exporter{w: w}
	for _, u := range users {
		name, ok := radiusWord(u.Name)
		if !ok || u.Name == "DEFAULT" {
			e.leave(u, "FreeRADIUS' users holds no such name")
			continue
		}
		e.print("%s\tNT-Password := 0x%s", name, hexHash(u))
		if u.Disabled {
			e.print(", Auth-Type := Reject")
		}
		items, left := replyItems(u)
		if len(items) > 0 {
			e.print("\n\t%s", strings.Join(items, ",\n\t"))
		}
		e.print("\n\n")
		e.done(u, append(settingNotes(u, radiusHeld), left...))
	}
	return e.lines, e.err
}

// radiusWord quotes a text so that FreeRADIUS expands nothing in it.
func radiusWord(s string) (string, bool) {
	if s == "" || strings.ContainsAny(s, "'\"\\%$") {
		return "", false
	}
	return "'" + s + "'", true
}

// replyItems are the attributes of Access-Accept for what a user has of his
// own.
func replyItems(u secrets.User) (items, left []string) {
	item := func(attribute, value string) { items = append(items, attribute+" += "+value) }
	text := func(attribute, value string) {
		if value == "" {
			return
		}
		word, ok := radiusWord(value)
		if !ok {
			left = append(left, "left out: "+attribute+", FreeRADIUS would expand it")
			return
		}
		item(attribute, word)
	}
	text("Filter-Id", u.Group)
	text("Framed-Pool", u.Pool)
	text("Framed-IPv6-Pool", u.Pool6)
	if u.IPv4.IsValid() {
		item("Framed-IP-Address", u.IPv4.String())
	}
	if u.IPv6.IsValid() {
		item("Framed-IPv6-Address", u.IPv6.String())
	}
	left = append(left, dnsItems(u.DNS, item)...)
	for _, p := range u.Routes {
		attribute := map[bool]string{true: "Framed-Route", false: "Framed-IPv6-Route"}[p.Addr().Is4()]
		item(attribute, "'"+p.String()+"'")
	}
	number := func(attribute string, n uint64) {
		if n > 0 {
			item(attribute, strconv.FormatUint(n, 10))
		}
	}
	number("Session-Timeout", uint64(u.SessionTimeout/time.Second))
	number("Idle-Timeout", uint64(u.IdleTimeout/time.Second))
	number("Port-Limit", uint64(u.MaxSessions))
	rate := func(attribute, ownName string, n uint64) {
		if n >= 1<<32 { // the attribute has 32 bits; what a users file has beyond them is in thousands
			item("Filter-Id", fmt.Sprintf("'bridgehead:%s=%dk'", ownName, n/1000))
			return
		}
		number(attribute, n)
	}
	rate("WISPr-Bandwidth-Max-Up", "rate-up", u.RateUp)
	rate("WISPr-Bandwidth-Max-Down", "rate-down", u.RateDown)
	return items, left
}

// dnsItems are name servers: two of IPv4, any number of IPv6.
func dnsItems(servers []netip.Addr, item func(attribute, value string)) (left []string) {
	free := []string{"MS-Primary-DNS-Server", "MS-Secondary-DNS-Server"}
	for _, a := range servers {
		switch {
		case a.Is6():
			item("DNS-Server-IPv6-Address", a.String())
		case len(free) > 0:
			item(free[0], a.String())
			free = free[1:]
		default:
			left = append(left, fmt.Sprintf("left out: dns=%s, RADIUS has two of IPv4", a))
		}
	}
	return left
}
