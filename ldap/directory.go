package ldap

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	client "github.com/go-ldap/ldap/v3"

	"bridgehead/auth"
)

// Directory is an auth.HashStore over LDAP servers.
type Directory struct {
	config     Config
	endpoints  []Endpoint
	attributes []string // what is asked of a user's entry
	pool       pool
	probeEvery time.Duration
	stop       context.CancelFunc
	running    sync.WaitGroup
}

// New makes a directory. Nothing is connected yet: a directory that is away
// keeps no gateway from starting. The error says what of the configuration
// can't work.
func New(c Config) (*Directory, error) {
	endpoints, err := c.check()
	if err != nil {
		return nil, err
	}
	d := newDirectory(c, endpoints)
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.refresh(ctx)
	d.running.Go(func() { d.run(ctx) })
	return d, nil
}

// newDirectory is New without anything that goes on by itself.
func newDirectory(c Config, endpoints []Endpoint) *Directory {
	d := &Directory{config: c, endpoints: endpoints, probeEvery: probeInterval, stop: func() {}}
	d.pool.slots = make(chan struct{}, c.Pool)
	d.pool.adopt(endpoints, c.Now())
	d.attributes = slices.Concat([]string{c.NameAttr}, c.Hash, stateAttributes, c.Attributes.list())
	if c.Groups.used() && c.Groups.Base == "" {
		d.attributes = append(d.attributes, attrMemberOf)
	}
	return d
}

// Close ends all connections; logins under way fail.
func (d *Directory) Close() {
	d.stop()
	d.pool.mu.Lock()
	idle := d.pool.idle
	d.pool.idle, d.pool.closed = nil, true
	d.pool.mu.Unlock()
	for _, c := range idle {
		c.discard()
	}
	d.running.Wait()
}

// Figures are those of every server, best first.
func (d *Directory) Figures() []Figures {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	var list []Figures
	for _, s := range d.pool.servers {
		f := s.done
		f.URL, f.Up, f.Since = s.URL, !s.down, s.since
		for _, c := range d.pool.idle {
			if c.server == s {
				f.Idle++
			}
		}
		list = append(list, f)
	}
	return list
}

// Lookup implements auth.HashStore. The error is an *auth.OutageError. An entry
// without a usable hash is an account that is barred (auth.Account.Barred).
func (d *Directory) Lookup(ctx context.Context, name string) (auth.Account, bool, error) {
	if !searchable(name) {
		return auth.Account{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, d.config.ConnectTimeout+2*d.config.Timeout)
	defer cancel()
	request, ok, err := d.request(name)
	if err != nil || !ok {
		return auth.Account{}, false, err
	}
	var failed *stepError
	for range max(2, len(d.endpoints)) + d.config.Pool { // every idle connection may have been dropped
		account, found, err := d.lookup(ctx, name, request)
		if err == nil {
			return account, found, nil
		}
		again := errors.Is(err, errAgain)
		if !errors.As(err, &failed) {
			failed = &stepError{auth.CauseLDAPRefusedSearch, "all servers", err}
		}
		if !again || ctx.Err() != nil {
			break
		}
	}
	return auth.Account{}, false, &auth.OutageError{Reason: failed.reason(), Err: failed}
}

// errAgain marks a failure that another connection may not have.
var errAgain = errors.New("on another connection it may work")

// request is the search for a user; ok is false for a name that can be nobody's.
func (d *Directory) request(name string) (r *client.SearchRequest, ok bool, err error) {
	const most = 2 // one is too many already
	places := placesOf(name)
	if d.config.DN != "" {
		dn, ok, err := fill(d.config.DN, places, client.EscapeDN)
		return client.NewSearchRequest(dn, client.ScopeBaseObject, client.NeverDerefAliases, most, 0, false, "(objectClass=*)", d.attributes, nil), ok, err
	}
	filter, ok, err := fill(d.config.Filter, places, client.EscapeFilter)
	scope := client.ScopeWholeSubtree
	if d.config.Scope == OneLevel {
		scope = client.ScopeSingleLevel
	}
	seconds := max(1, int(d.config.Timeout/time.Second))
	return client.NewSearchRequest(d.config.Base, scope, client.NeverDerefAliases, most, seconds, false, filter, d.attributes, nil), ok, err
}

// lookup asks over one connection.
func (d *Directory) lookup(ctx context.Context, name string, request *client.SearchRequest) (account auth.Account, found bool, err error) {
	c, fresh, err := d.acquire(ctx)
	if err != nil {
		return account, false, err
	}
	within, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	c.watch(within)
	account, found, err = d.read(c, name, request)
	broken := err != nil && (within.Err() != nil || c.IsClosing() || lost(err))
	d.count(c.server, err != nil)
	d.release(c, !broken)
	switch {
	case err == nil:
		return account, found, nil
	case !broken:
		return account, false, &stepError{causeOf(err, auth.CauseLDAPRefusedSearch), c.server.URL, err}
	}
	failed := &stepError{auth.CauseLDAPUnreachable, c.server.URL, err}
	switch {
	case within.Err() != nil:
		failed.cause = auth.CauseLDAPTimeout
		if ctx.Err() == nil { // the server had all its time
			d.mark(c.server, failed)
		}
	case fresh:
		d.mark(c.server, failed)
	}
	return account, false, errors.Join(errAgain, failed)
}

// lost tells an error of the connection, or of a server that has no time, from
// an answer.
func lost(err error) bool {
	switch causeOf(err, auth.CauseLDAPUnreachable) {
	case auth.CauseLDAPTimeout:
		return true
	case auth.CauseLDAPUnreachable:
		var answer *client.Error
		return !errors.As(err, &answer) || answer.ResultCode >= client.ErrorNetwork
	}
	return false
}

func (d *Directory) count(s *server, failed bool) {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	s.done.Searches++
	if failed {
		s.done.Failures++
	}
}

// read makes an account of what a search finds.
func (d *Directory) read(c *conn, name string, request *client.SearchRequest) (account auth.Account, found bool, err error) {
	result, err := c.Search(request)
	if result != nil {
		defer func() {
			for _, e := range result.Entries {
				wipe(e, d.config.Hash)
			}
		}()
	}
	switch {
	case client.IsErrorWithCode(err, client.LDAPResultNoSuchObject) && d.config.DN != "":
		return account, false, nil
	case client.IsErrorWithCode(err, client.LDAPResultSizeLimitExceeded) && result != nil && len(result.Entries) > 1: // as below
	case err != nil:
		return account, false, err
	}
	switch n := len(result.Entries); {
	case n == 0 && len(result.Referrals) > 0:
		return account, false, client.NewError(client.LDAPResultReferral, errors.New(printable(result.Referrals[0])))
	case n == 0:
		return account, false, nil
	case n > 1:
		account.Barred = barred(auth.ErrorAuthenticationFailed, auth.CauseLDAPSeveral, "entries", result.Entries[0].DN+"; "+result.Entries[1].DN)
		account.Grant.Name = name
		return account, true, nil
	}
	return d.account(c, name, result.Entries[0])
}

// account reads an entry.
func (d *Directory) account(c *conn, name string, e *client.Entry) (account auth.Account, found bool, err error) {
	own := d.nameOf(e, name)
	if own == "" {
		return account, false, nil
	}
	account.Grant.Name = own
	if account.Hash, account.Barred = hashOf(e, d.config.Hash); account.Barred != nil {
		account.Barred.Reason.Evidence = append(account.Barred.Reason.Evidence, auth.Evidence{Key: "entry", Value: printable(e.DN)})
		return account, true, nil
	}
	account.Barred = stateOf(e, d.config.Now())
	if why := d.config.Attributes.grant(e, &account.Grant); why != nil && account.Barred == nil {
		account.Barred = why
	}
	if !d.config.Groups.used() {
		return account, true, nil
	}
	in, err := d.groupsOf(c, e, own)
	if err != nil {
		account.Hash.Wipe()
		return auth.Account{}, false, err
	}
	if why := d.config.Groups.judge(in, &account.Grant); why != nil && account.Barred == nil {
		account.Barred = why
	}
	return account, true, nil
}

// nameOf is the name of an entry's user as the directory writes it, so that a
// user is one whatever the case of what was typed. It is empty where the name in
// this case is nobody's.
func (d *Directory) nameOf(e *client.Entry, name string) string {
	values := e.GetEqualFoldAttributeValues(d.config.NameAttr)
	user := auth.SplitName(name).User
	for _, asked := range []string{name, user} {
		if slices.Contains(values, asked) {
			return asked
		}
	}
	if d.config.Exact {
		return ""
	}
	for _, v := range values {
		if strings.EqualFold(v, name) || strings.EqualFold(v, user) {
			return v
		}
	}
	if len(values) > 0 && printable(values[0]) == values[0] {
		return values[0]
	}
	return user
}
