package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
)

// Finding is what asking one server showed.
type Finding struct {
	URL       string
	RoundTrip time.Duration // of connection, TLS and bind
	Ends      time.Time     // of the server's certificate; zero without TLS
	Cause     auth.Cause    // what keeps logins from working; empty: nothing
	Err       error         // behind Cause
	// ActiveDirectory tells that the server is one, which shows nobody a hash.
	ActiveDirectory bool
	Anonymous       bool // hashes are shown to whoever asks
	Hash            bool // a user was found whose hash the gateway may read
}

// Examine asks each server what a login needs: the way to it, TLS, the bind, the
// search base, and a readable hash.
func Examine(ctx context.Context, c Config) ([]Finding, error) {
	endpoints, err := c.check()
	if err != nil {
		return nil, err
	}
	d := newDirectory(c, endpoints)
	defer d.Close()
	d.refresh(ctx)
	well, _ := d.pool.order()
	if len(well) == 0 {
		return []Finding{{URL: c.Domain, Cause: auth.CauseLDAPUnreachable, Err: errors.New("DNS names no server of this domain")}}, nil
	}
	var list []Finding
	for _, s := range well {
		list = append(list, d.examine(ctx, s))
	}
	return list, nil
}

func (d *Directory) examine(ctx context.Context, s *server) Finding {
	f := Finding{URL: s.URL}
	began := d.config.Now()
	c, err := d.dial(ctx, s)
	if err != nil {
		f.Cause, f.Err = auth.CauseLDAPUnreachable, err
		var failed *stepError
		if errors.As(err, &failed) {
			f.Cause, f.Err = failed.cause, failed.err
		}
		return f
	}
	f.RoundTrip, f.Ends = d.config.Now().Sub(began), c.ends
	defer c.discard()
	c.watch(ctx)
	stop := context.AfterFunc(ctx, c.discard)
	defer stop()
	c.SetTimeout(d.config.Timeout)
	if root, err := c.Search(rootRequest("supportedCapabilities")); err == nil && len(root.Entries) > 0 {
		const activeDirectory = "1.2.840.113556.1.4.800" // MS-ADTS §3.1.1.3.4.3.1
		f.ActiveDirectory = slices.Contains(root.Entries[0].GetAttributeValues("supportedCapabilities"), activeDirectory)
	}
	if f.ActiveDirectory {
		f.Cause, f.Err = auth.CauseLDAPNoHash, errors.New("it is an Active Directory, which gives no hash over LDAP")
		return f
	}
	if f.Hash, err = d.readable(c.Conn); err != nil {
		f.Cause, f.Err = causeOf(err, auth.CauseLDAPRefusedSearch), err
		return f
	}
	if !f.Hash {
		f.Cause, f.Err = auth.CauseLDAPNoHash, fmt.Errorf("no entry below %s shows one", d.config.Base)
		return f
	}
	f.Anonymous = d.anonymous(ctx, s)
	return f
}

// anonymous tells whether a server shows hashes to whoever asks.
func (d *Directory) anonymous(ctx context.Context, s *server) bool {
	config := d.config
	config.BindDN, config.External = "", false
	nobody := newDirectory(config, d.endpoints)
	c, err := nobody.dial(ctx, s)
	if err != nil {
		return false
	}
	defer c.discard()
	c.SetTimeout(d.config.Timeout)
	seen, err := nobody.readable(c.Conn)
	return err == nil && seen
}

// readable looks for any entry with a hash.
func (d *Directory) readable(c *client.Conn) (bool, error) {
	base := d.config.Base
	if d.config.DN != "" && base == "" {
		parsed, err := client.ParseDN(d.config.DN)
		if err != nil {
			return false, err
		}
		parsed.RDNs = parsed.RDNs[1:]
		base = parsed.String()
	}
	filter := "(|"
	for _, name := range d.config.Hash {
		filter += "(" + name + "=*)"
	}
	const some = 1
	result, err := c.Search(client.NewSearchRequest(base, client.ScopeWholeSubtree, client.NeverDerefAliases, some, 0, false, filter+")", d.config.Hash, nil))
	if result == nil {
		return false, err
	}
	found := false
	for _, e := range result.Entries {
		h, why := hashOf(e, d.config.Hash)
		h.Wipe()
		found = found || why == nil
	}
	if found || client.IsErrorWithCode(err, client.LDAPResultSizeLimitExceeded) {
		return found, nil
	}
	return false, err
}
