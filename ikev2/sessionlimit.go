package ikev2

import (
	"net/netip"
	"slices"
	"sync"

	"bridgehead/auth"
)

// sessionLimits knows the sessions of each user over all shards, from the
// claim of their lease on, so that two logins at once cannot both take the
// last place, and one of the same client is always the later one. Its methods
// are called by jobs and safe for concurrent use.
type sessionLimits struct {
	mu     sync.Mutex
	byUser map[string][]entered // guarded by mu
}

// entered is a session of a user.
type entered struct {
	session string
	device  clientDevice
	leaving bool // it gives way to a later one
}

// clientDevice is a clientID without its user.
type clientDevice struct {
	identity string
	from     netip.Addr
}

func newSessionLimits() *sessionLimits { return &sessionLimits{byUser: make(map[string][]entered)} }

// allowance is how many sessions a user may have, 0 being any number, and what
// gives way to one more.
type allowance struct {
	most int
	full auth.WhenFull
}

// displaced are sessions that give way to a login, and leave in their own time.
type displaced struct {
	former []string  // the client's own, as its fate says
	others []entered // the user's, for the sake of the limit
}

// enter adds a session of a client unless its user has as many others already as
// are allowed, and none of them gives way. The client's own former sessions do
// not count if they are to end. If they are to be kept there must be none. The
// error is a *PeerFault.
func (l *sessionLimits) enter(client clientID, session string, allowed allowance, fate fate) (d displaced, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sessions, device := l.byUser[client.user], clientDevice{client.identity, client.from}
	var others []entered // the oldest first
	for _, e := range sessions {
		switch {
		case e.leaving:
		case e.device != device || fate == stay:
			others = append(others, e)
		case fate == forbid:
			return displaced{}, keptFault(e.session)
		default:
			d.former = append(d.former, e.session)
		}
	}
	if surplus := len(others) - allowed.most + 1; allowed.most > 0 && surplus > 0 {
		switch allowed.full {
		case auth.EndOldest:
			d.others = others[:surplus]
		case auth.EndNewest:
			d.others = others[len(others)-surplus:]
		default:
			return displaced{}, tooManyFault(allowed.most)
		}
	}
	for i := range sessions {
		sessions[i].leaving = sessions[i].leaving || slices.ContainsFunc(d.others, func(e entered) bool { return e.session == sessions[i].session })
	}
	l.byUser[client.user] = append(sessions, entered{session: session, device: device})
	return d, nil
}

// leave takes a session out; one that never entered is no error.
func (l *sessionLimits) leave(user, session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := slices.DeleteFunc(l.byUser[user], func(e entered) bool { return e.session == session })
	if l.byUser[user] = rest; len(rest) == 0 {
		delete(l.byUser, user)
	}
}
