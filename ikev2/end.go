package ikev2

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Find gives the sessions that are up and that sel picks, without their
// traffic, in order of their beginning.
func (r *Responder) Find(ctx context.Context, sel Selector) ([]SessionInfo, error) {
	shards, err := ask(ctx, r, func(_ time.Time, s *shard) []SessionInfo { return s.find(sel.matches) })
	infos := slices.Concat(shards...)
	slices.SortFunc(infos, func(a, b SessionInfo) int { return a.Since.Compare(b.Since) })
	return infos, err
}

// End ends sessions by their ids, and returns when nothing is left of them:
// their Child SAs are out of the data plane and their leases given back. The
// clients are told; nobody waits for their answers. It tells how many of the
// sessions were up. The error is ctx's, ErrEnded, or tells what could not be
// taken back.
func (r *Responder) End(ctx context.Context, cause Cause, ids ...string) (int, error) {
	gone := make(chan error, len(ids))
	shards, err := ask(ctx, r, func(now time.Time, s *shard) int { return s.end(now, cause, ids, gone) })
	n := 0
	for _, count := range shards {
		n += count
	}
	if err != nil {
		return n, err
	}
	for range n {
		select {
		case e := <-gone:
			err = errors.Join(err, e)
		case <-ctx.Done():
			return n, errors.Join(err, ctx.Err())
		case <-r.ended:
			return n, errors.Join(err, ErrEnded)
		}
	}
	return n, err
}

// find describes the sessions that are up and fit.
func (s *shard) find(fits func(*SA) bool) []SessionInfo {
	var infos []SessionInfo
	for _, sa := range s.reg.sas {
		if sa.state == StateEstablished && sa.session.isUp && fits(sa) {
			infos = append(infos, sa.info())
		}
	}
	return infos
}

// end ends sessions by id and tells how many were up: for each of them gone,
// which has room, hears once when nothing is left of it.
func (s *shard) end(now time.Time, cause Cause, ids []string, gone chan<- error) int {
	n := 0
	listed := func(sa *SA) bool { return slices.Contains(ids, sa.session.id) }
	for _, i := range s.find(listed) {
		s.reg.ending[i.ID] = append(s.reg.ending[i.ID], gone)
		n++
	}
	s.disconnect(now, cause, listed)
	return n
}

// gone tells whoever waits for the end of a session that nothing is left of
// it, or what could not be taken back.
func (r *registrar) gone(session string, err error) {
	for _, waiting := range r.ending[session] {
		waiting <- err
	}
	delete(r.ending, session)
}

// goneWith tells of the session that ends with a teardown. Its lease goes back
// last, by itself if a Child SA may still use the address.
func (sa *SA) goneWith(j *teardown) {
	switch {
	case j.holder != "":
		sa.reg.gone(j.holder, j.err)
	case j.report != nil && !sa.session.owes:
		sa.reg.gone(j.report.Session.ID, j.err)
	}
}
