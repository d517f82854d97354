package ikev2

import (
	"net/netip"
	"sync"
)

// sessionLimits counts the sessions of each user over all shards, so that two
// logins at once cannot both take the last place. Its methods are called by
// jobs and safe for concurrent use.
type sessionLimits struct {
	mu     sync.Mutex
	byUser map[string]map[string]clientDevice // by session id; guarded by mu
}

// clientDevice is a clientID without its user.
type clientDevice struct {
	identity string
	from     netip.Addr
}

func newSessionLimits() *sessionLimits {
	return &sessionLimits{byUser: make(map[string]map[string]clientDevice)}
}

// enter adds a session of a client unless its user has limit already, 0 being
// no limit, or, if it is to be alone, the client has another. The error is a
// *PeerFault.
func (l *sessionLimits) enter(client clientID, session string, limit int, alone bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	sessions, d := l.byUser[client.user], clientDevice{client.identity, client.from}
	if alone {
		for former, other := range sessions {
			if other == d {
				return keptFault(former)
			}
		}
	}
	if limit > 0 && len(sessions) >= limit {
		return tooManyFault(limit)
	}
	if sessions == nil {
		sessions = make(map[string]clientDevice, 1)
		l.byUser[client.user] = sessions
	}
	sessions[session] = d
	return nil
}

// leave takes a session out; one that never entered is no error.
func (l *sessionLimits) leave(user, session string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byUser[user], session)
	if len(l.byUser[user]) == 0 {
		delete(l.byUser, user)
	}
}
