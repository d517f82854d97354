package ikev2

import (
	"context"
	"time"
)

// Reconfigure has logins that begin from now on use c: its certificates,
// proposals, subnets, name servers, domains, limits and timers. Sessions keep
// what they began with. Backend, Leases, Plane, Limiter, Shards, Timers.Drain and
// whatever joins the Responder to its surroundings stay as they were. On an
// error of c nothing changes; when ctx ends, the change is still under way.
func (r *Responder) Reconfigure(ctx context.Context, c Config) error {
	next, err := newSettings(c)
	if err != nil {
		return err
	}
	next.Backend, next.Leases, next.Plane, next.Limiter, next.Shards = r.cfg.Backend, r.cfg.Leases, r.cfg.Plane, r.cfg.Limiter, r.cfg.Shards
	next.Logger, next.Rand, next.Now, next.Sink, next.Send = r.cfg.Logger, r.cfg.Rand, r.cfg.Now, r.cfg.Sink, r.cfg.Send
	_, err = ask(ctx, r, func(_ time.Time, s *shard) struct{} {
		s.cfg, s.gate.cfg = next, next
		return struct{}{}
	})
	return err
}
