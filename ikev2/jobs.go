package ikev2

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/lease"
	"bridgehead/ikev2/message"
	"bridgehead/ikev2/suite"
)

// Job is work too slow for a shard. A worker calls Run once; the results are
// in the job's own fields when it comes back to its SA as a Finished event.
// The types are keyExchange, signature, eapStep, claimLease, installChild,
// moveChildren, expectChildren, changeLimits, openAccount, readUsage and
// teardown.
type Job interface {
	// Run does the work. It blocks until it is done or ctx ends.
	Run(ctx context.Context, w *works)
	// pool tells which workers run the job.
	pool() pool
	// owner is the SA that gets the Finished event.
	owner() *SA
}

// pool is a set of workers. They are apart so that a slow backend holds up
// neither cryptography nor the host's own work.
type pool uint8

const (
	poolCrypto  pool = iota // bound by processors
	poolBackend             // waits for authentication backends
	poolHost                // leases and data plane
	poolAccount             // waits for an accountant
	poolCount
)

// works is what jobs work with.
type works struct {
	backend  auth.Backend
	leases   Leases
	plane    esp.DataPlane
	limiter  esp.Limiter     // nil: there is none
	accounts auth.Accountant // nil: there is none
	rand     io.Reader
	now      func() time.Time
	sessions *sessionLimits
	// supersede ends former sessions of the same client (RFC 7296 §2.4); their
	// leases are free when it returns, unless a job still uses them. nil: there
	// is nobody to ask.
	supersede func(ctx context.Context, s superseding)
}

// job is the part all jobs share.
type job struct{ sa *SA }

func (j job) owner() *SA { return j.sa }

// keyExchange makes our half of a key exchange, unless it was made before, and
// the shared secret, unless the client's half is still to come.
type keyExchange struct {
	job
	group   suite.Group
	peer    []byte // the client's half; nil: still to come
	opening bool   // of a login that just begins: all others go first
	pair    suite.KeyPair
	public  []byte
	shared  suite.Secret
	err     error
}

func (*keyExchange) pool() pool { return poolCrypto }

func (j *keyExchange) Run(_ context.Context, w *works) {
	var err error
	if j.pair == nil {
		if j.pair, err = j.group.Generate(w.rand); err != nil {
			j.err = &GatewayFault{Cause: CauseInternal, Err: fmt.Errorf("key exchange with %s: %w", j.group, err)}
			return
		}
	}
	j.public = j.pair.Public()
	if j.peer == nil {
		return
	}
	if j.shared, err = j.pair.Shared(j.peer); err != nil {
		j.err = &PeerFault{Cause: CausePublicValue, Err: err}
	}
}

// signature makes an AUTH payload with the gateway's certificate.
type signature struct {
	job
	scheme suite.Scheme
	key    crypto.Signer
	octets []byte
	auth   *message.Auth
	err    error
}

func (*signature) pool() pool { return poolCrypto }

func (j *signature) Run(_ context.Context, w *works) {
	var err error
	if j.auth, err = j.scheme.Sign(w.rand, j.key, j.octets); err != nil {
		j.err = &GatewayFault{Cause: CauseInternal, Err: fmt.Errorf("signing with %s: %w", j.scheme, err)}
	}
}

// eapStep moves an EAP conversation on by one packet, beginning it first if
// there is none.
type eapStep struct {
	job
	peer         auth.Peer
	conversation auth.Conversation
	response     []byte        // nil at the beginning
	most         time.Duration // it may take; zero: what any job may
	step         auth.Step
	err          error
}

func (*eapStep) pool() pool { return poolBackend }

func (j *eapStep) Run(ctx context.Context, w *works) {
	if j.most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, j.most)
		defer cancel()
	}
	if j.conversation == nil {
		if j.conversation, j.err = w.backend.Begin(ctx, j.peer); j.err != nil {
			return
		}
		if j.conversation == nil {
			j.err = errors.New("the backend began no conversation")
			return
		}
	}
	j.step, j.err = j.conversation.Next(ctx, j.response)
}

// claimLease gets a session its addresses, if the user may have another
// session, after those that it replaces are gone.
type claimLease struct {
	job
	request        lease.Request
	client         clientID
	unique         Unique
	initialContact bool
	allowed        allowance
	limits         *esp.Limits // nil: none
	lease          lease.Lease
	err            error
}

// superseding is a login that ends former sessions of its client.
type superseding struct {
	client clientID
	login  string   // its session id
	former []string // session ids
	cause  Cause
}

func (*claimLease) pool() pool { return poolHost }

func (j *claimLease) Run(ctx context.Context, w *works) {
	fate, cause := j.unique.fate(j.initialContact)
	// Of two logins of one client at once, the one that enters later ends the
	// other, which the shards know by now though it is not up yet.
	gone, err := w.sessions.enter(j.client, j.request.Holder, j.allowed, fate)
	if err != nil {
		j.err = err
		return
	}
	j.supersede(ctx, w, gone, cause)
	if j.lease, err = w.leases.Acquire(ctx, w.now(), j.request); err != nil {
		w.sessions.leave(j.client.user, j.request.Holder)
		j.err = leaseFault(err)
		return
	}
	if j.limits == nil {
		return
	}
	if err = w.limit(ctx, j.request.Holder, j.lease, j.limits); err != nil {
		w.sessions.leave(j.client.user, j.request.Holder)
		j.err = errors.Join(err, w.leases.Release(ctx, w.now(), j.request.Holder))
	}
}

// supersede ends the sessions that give way to the login.
func (j *claimLease) supersede(ctx context.Context, w *works, gone displaced, cause Cause) {
	if w.supersede == nil {
		return
	}
	if len(gone.former) > 0 {
		w.supersede(ctx, superseding{j.client, j.request.Holder, gone.former, cause})
	}
	for _, e := range gone.others {
		of := clientID{user: j.client.user, identity: e.device.identity, from: e.device.from}
		w.supersede(ctx, superseding{of, j.request.Holder, []string{e.session}, CauseGaveWay})
	}
}

func leaseFault(err error) error {
	var (
		exhausted *lease.ExhaustedError
		unknown   *lease.UnknownPoolError
		inUse     *lease.InUseError
		named     *GatewayFault // by whoever stands before the pools
	)
	switch {
	case errors.As(err, &named):
		return named
	case errors.As(err, &exhausted):
		return &PeerFault{Cause: CausePoolExhausted, Err: err, Evidence: []auth.Evidence{
			{Key: "pool", Value: exhausted.Pool},
			{Key: "family", Value: exhausted.Family.String()},
			{Key: "size", Value: fmt.Sprint(exhausted.Size)},
		}}
	case errors.As(err, &unknown):
		return &GatewayFault{Cause: CauseUnknownPool, Err: err}
	case errors.As(err, &inUse):
		return &GatewayFault{Cause: CauseFixedAddressInUse, Err: err}
	}
	return &GatewayFault{Cause: CauseLeaseStore, Err: err}
}

// installChild puts a Child SA into the data plane, in the place of old
// unless that is zero.
type installChild struct {
	job
	of    *session // the shard's
	child esp.Child
	old   esp.ChildID
	err   error
}

func (*installChild) pool() pool { return poolHost }

func (j *installChild) Run(ctx context.Context, w *works) {
	var err error
	if j.old != 0 {
		// Without the old one, which the client may have deleted meanwhile, the
		// new one stands alone.
		if err = w.plane.Rekey(ctx, j.old, j.child); err != nil && w.plane.Install(ctx, j.child) == nil {
			err = nil
		}
	} else {
		err = w.plane.Install(ctx, j.child)
	}
	switch {
	case errors.Is(err, esp.ErrSPIInUse):
		j.err = &PeerFault{Cause: CauseSPIInUse, Err: err}
	case err != nil:
		j.err = &GatewayFault{Cause: CauseDataPlane, Err: err}
	}
}

// moveChildren gives Child SAs the client's new outer address.
type moveChildren struct {
	job
	ids  []esp.ChildID
	path esp.Path
	err  error
}

func (*moveChildren) pool() pool { return poolHost }

func (j *moveChildren) Run(ctx context.Context, w *works) {
	for _, id := range j.ids {
		j.err = errors.Join(j.err, w.plane.Move(ctx, id, j.path))
	}
}

// expectChildren has Child SAs receive where the client will send from, too,
// where the data plane does not do so anyway.
type expectChildren struct {
	job
	ids  []esp.ChildID
	path esp.Path
	err  error
}

func (*expectChildren) pool() pool { return poolHost }

func (j *expectChildren) Run(ctx context.Context, w *works) {
	plane, ok := w.plane.(esp.Expecter)
	if !ok {
		return
	}
	for _, id := range j.ids {
		j.err = errors.Join(j.err, plane.Expect(ctx, id, j.path))
	}
}

// readUsage asks the data plane what flowed through some Child SAs.
type readUsage struct {
	job
	ids   []esp.ChildID
	usage []esp.Usage
	err   error
}

func (*readUsage) pool() pool { return poolHost }

func (j *readUsage) Run(ctx context.Context, w *works) {
	if len(j.ids) > 0 { // none would be all there are, other clients' too
		j.usage, j.err = w.plane.Usage(ctx, j.ids)
	}
}

// teardown takes back what an SA holds outside of itself, in the order that
// lets no address be given out while a tunnel still uses it. Each part may be
// empty.
type teardown struct {
	job
	of           *session // the shard's; nil without Child SAs
	conversation auth.Conversation
	children     []esp.ChildID
	account      *settlement // nil: none ends
	user         string
	holder       string // of a lease
	usage        []esp.Usage
	err          error
	report       *SessionEvent // to be completed and published; nil for a login
}

func (*teardown) pool() pool { return poolHost }

func (j *teardown) Run(ctx context.Context, w *works) {
	if j.conversation != nil {
		j.conversation.Close()
	}
	if len(j.children) > 0 {
		var err error
		j.usage, err = w.remove(ctx, j.children)
		j.err = errors.Join(j.err, err)
	}
	if j.account != nil { // while the address is still its own
		j.err = errors.Join(j.err, j.account.settle(ctx, w.accounts, j.usage))
	}
	if j.holder != "" {
		w.sessions.leave(j.user, j.holder)
		j.err = errors.Join(j.err, w.unlimit(ctx, j.holder), w.leases.Release(ctx, w.now(), j.holder))
	}
}

// remove takes Child SAs out of the data plane and gives what they carried.
func (w *works) remove(ctx context.Context, ids []esp.ChildID) (usage []esp.Usage, err error) {
	plane, counts := w.plane.(esp.Finisher)
	if !counts { // what flows in between goes uncounted
		if usage, err = w.plane.Usage(ctx, ids); err != nil {
			usage = nil
		}
		for _, id := range ids {
			err = errors.Join(err, w.plane.Remove(ctx, id))
		}
		return usage, err
	}
	for _, id := range ids {
		u, fault := plane.Finish(ctx, id)
		if err = errors.Join(err, fault); fault == nil {
			usage = append(usage, u)
		}
	}
	return usage, err
}
