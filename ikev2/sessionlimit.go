package ikev2

import "sync"

// sessionLimits counts the sessions of each user over all shards, so that two
// logins at once cannot both take the last place. Its methods are called by
// jobs and safe for concurrent use.
type sessionLimits struct {
	mu     sync.Mutex
	byUser map[string]map[string]struct{} // session ids; guarded by mu
}

func newSessionLimits() *sessionLimits {
	return &sessionLimits{byUser: make(map[string]map[string]struct{})}
}

// enter adds a session of a user unless there are limit already; 0 is no
// limit.
func (l *sessionLimits) enter(user, session string, limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if limit > 0 && len(l.byUser[user]) >= limit {
		return false
	}
	if l.byUser[user] == nil {
		l.byUser[user] = make(map[string]struct{}, 1)
	}
	l.byUser[user][session] = struct{}{}
	return true
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
