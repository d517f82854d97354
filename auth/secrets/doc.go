// Package secrets keeps users in a flat file: the product's own users file,
// or strongSwan's ipsec.secrets as it stands. Passwords become NT hashes when
// they are read, and the octets of the file are wiped.
//
// A users file has one line a user:
//
//	# name        hash                                  what the session gets
//	alice         $nt$8846f7eaee8fb117ad06bdd830b7586c  group=staff pool=staff ip4=192.0.2.10 ip6=2001:db8::10
//	"John Doe"    $nt$8846f7eaee8fb117ad06bdd830b7586c  disabled
//	CORP\bob      $nt$8846f7eaee8fb117ad06bdd830b7586c  routes=10.0.0.0/8,2001:db8::/32 session_timeout=8h max_sessions=2
//
// Behind the hash stands what the user has of his own, by the names that
// groups have in the configuration: group, pool, pool6, ip4, ip6, dns, routes,
// domains, session_timeout, idle_timeout, max_sessions, rate_up, rate_down,
// each once as key=value, lists with commas; and disabled.
//
// Words are separated by blanks or tabs. A word that holds blanks, or begins
// with # or a quote, stands in double quotes; inside them \" is a quote and
// \\ a backslash, outside them a backslash is itself. A # at the start of a
// word begins a comment. The text is UTF-8; a name may hold no control
// character. A line that can't be read is reported with file, line and column
// and loses only itself; of two lines for one user the first counts.
//
// In ipsec.secrets, EAP, XAUTH and NTLM lines are users, RSA, ECDSA, BLISS,
// PKCS8 and P12 lines are returned as keys, PSK and PIN lines are noted and
// left alone, and include works with patterns, relative to the including
// file, ten levels deep. Unlike strongSwan this package reads on after a bad
// line, takes a tab for a blank around the colon, and hashes a password as
// UTF-8, as clients do, where strongSwan widens each octet.
package secrets
