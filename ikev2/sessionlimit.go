package ikev2

import (
	"net/netip"
	"slices"
	"sync"
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
}

// clientDevice is a clientID without its user.
type clientDevice struct {
	identity string
	from     netip.Addr
}

func newSessionLimits() *sessionLimits { return &sessionLimits{byUser: make(map[string][]entered)} }

// enter adds a session of a client unless its user has limit others already, 0
// being no limit. The client's own former sessions do not count if they are to
// end: they are returned, and leave in their own time. If they are to be kept
// there must be none. The error is a *PeerFault.
func (l *sessionLimits) enter(client clientID, session string, limit int, fate fate) (former []string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sessions, d := l.byUser[client.user], clientDevice{client.identity, client.from}
	others := 0
	for _, e := range sessions {
		switch {
		case e.device != d || fate == stay:
			others++
		case fate == forbid:
			return nil, keptFault(e.session)
		default:
			former = append(former, e.session)
		}
	}
	if limit > 0 && others >= limit {
		return nil, tooManyFault(limit)
	}
	l.byUser[client.user] = append(sessions, entered{session, d})
	return former, nil
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
