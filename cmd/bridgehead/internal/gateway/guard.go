package gateway

import (
	"crypto/rand"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/guard"
)

// guarded puts the guard against guessing before the backends of clients.
// Logins that an operator tries out do not pass it.
func (g *Gateway) guarded(b auth.Backend) auth.Backend {
	return g.guard.Wrap(b, time.Now, rand.Reader)
}

func newGuard() *guard.Guard { return guard.New(guard.Defaults()) }
