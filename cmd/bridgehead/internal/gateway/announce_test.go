package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bridgehead/ikev2"
	"bridgehead/ikev2/lease"
)

// segment stands for the neighbours and a store of leases: it writes down what
// comes, in order, and may fail.
type segment struct {
	mu     sync.Mutex
	heard  []string
	addErr error
	// onAdd is called as addresses are announced; may be nil.
	onAdd func()
	// onAcquire is called when a lease is had, before it is given; may be nil.
	onAcquire func()
}

func (s *segment) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, fmt.Sprintf(format, args...))
}

func (s *segment) Add(_ context.Context, addrs []netip.Addr) error {
	s.note("add %v", addrs)
	if s.onAdd != nil {
		s.onAdd()
	}
	return s.addErr
}

func (s *segment) Remove(_ context.Context, addrs []netip.Addr) error {
	s.note("remove %v", addrs)
	return nil
}

func (s *segment) Acquire(_ context.Context, _ time.Time, r lease.Request) (lease.Lease, error) {
	if r.Pool != "" {
		return lease.Lease{}, &lease.UnknownPoolError{Pool: r.Pool}
	}
	s.note("acquire %s", r.Holder)
	if s.onAcquire != nil {
		s.onAcquire()
	}
	return lease.Lease{IPv4: netip.MustParseAddr("192.0.2.1"), IPv6: netip.MustParseAddr("2001:db8::1")}, nil
}

func (s *segment) Release(_ context.Context, _ time.Time, holder string) error {
	s.note("release %s", holder)
	return nil
}

// An address is announced from before it is promised until before it is free,
// whatever comes between.
func TestLeasesAreAnnounced(t *testing.T) {
	const both = "[192.0.2.1 2001:db8::1]"
	broken := errors.New("the link is gone")
	for _, c := range []struct {
		name   string
		script func(l *announcedLeases, s *segment) error
		want   string
		err    error
	}{
		{"login and end", func(l *announcedLeases, s *segment) error {
			_, err := l.Acquire(t.Context(), time.Time{}, lease.Request{Holder: "a"})
			return errors.Join(err, l.Release(t.Context(), time.Time{}, "a"), l.Release(t.Context(), time.Time{}, "a"))
		}, "acquire a; add " + both + "; remove " + both + "; release a; release a", nil},
		{"no lease", func(l *announcedLeases, s *segment) error {
			_, err := l.Acquire(t.Context(), time.Time{}, lease.Request{Holder: "a", Pool: "none"})
			return err
		}, "", new(lease.UnknownPoolError)},
		{"not announced", func(l *announcedLeases, s *segment) error {
			s.addErr = broken
			_, err := l.Acquire(t.Context(), time.Time{}, lease.Request{Holder: "a"})
			var fault *ikev2.GatewayFault
			if !errors.As(err, &fault) || fault.Cause != ikev2.CauseNotAnnounced {
				t.Errorf("%v does not name its cause", err)
			}
			return err
		}, "acquire a; add " + both + "; release a", broken},
		{"ended while it is claimed", func(l *announcedLeases, s *segment) error {
			s.onAcquire = func() { _ = l.Release(t.Context(), time.Time{}, "a") }
			_, err := l.Acquire(t.Context(), time.Time{}, lease.Request{Holder: "a"})
			return err
		}, "acquire a; release a; release a", new(lease.ReleasedError)},
		{"ended while it is announced", func(l *announcedLeases, s *segment) error {
			s.onAdd = func() { _ = l.Release(t.Context(), time.Time{}, "a") }
			_, err := l.Acquire(t.Context(), time.Time{}, lease.Request{Holder: "a"})
			return err
		}, "acquire a; add " + both + "; remove " + both + "; release a", new(lease.ReleasedError)},
		{"never seen", func(l *announcedLeases, s *segment) error {
			return l.Release(t.Context(), time.Time{}, "b")
		}, "release b", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &segment{}
			l := &announcedLeases{Leases: s, announcer: s, held: make(map[string]*announced)}
			err := c.script(l, s)
			if got := strings.Join(s.heard, "; "); got != c.want {
				t.Errorf("order %q, want %q", got, c.want)
			}
			if c.err == nil && err != nil || c.err != nil && (err == nil || !errors.Is(err, c.err) && fmt.Sprintf("%T", unjoin(err)) != fmt.Sprintf("%T", c.err)) {
				t.Errorf("error %v, want %T", err, c.err)
			}
			if len(l.held) > 0 {
				t.Errorf("holds on to %v", l.held)
			}
		})
	}
}

// unjoin gives the first of joined errors.
func unjoin(err error) error {
	for {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			return err
		}
		err = joined.Unwrap()[0]
	}
}

// A second claim of a holder is the pools' to refuse; the first one stays
// announced.
func TestSecondLeaseOfAHolder(t *testing.T) {
	r, err := lease.ParseRange("192.0.2.0/29")
	if err != nil {
		t.Fatal(err)
	}
	pools, err := lease.NewPools([]lease.PoolConfig{{Name: "main", Ranges: []lease.Range{r}}}, lease.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	s := &segment{}
	l := &announcedLeases{Leases: pools, announcer: s, held: make(map[string]*announced)}
	ask := lease.Request{Holder: "a", WantIPv4: true}
	if _, err := l.Acquire(t.Context(), time.Time{}, ask); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Acquire(t.Context(), time.Time{}, ask); !errors.As(err, new(*lease.DuplicateHolderError)) {
		t.Errorf("a second lease: %v", err)
	}
	if err := l.Release(t.Context(), time.Time{}, "a"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"add [192.0.2.1 invalid IP]", "remove [192.0.2.1 invalid IP]"}; !slices.Equal(s.heard, want) {
		t.Errorf("heard %q, want %q", s.heard, want)
	}
}

// TestPlacesAreToldAllOrNone: what failed at the second is taken back at the
// first.
func TestPlacesAreToldAllOrNone(t *testing.T) {
	var first, second segment
	ps := places{&first, &second}
	addrs := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	if err := errors.Join(ps.Add(t.Context(), addrs), ps.Remove(t.Context(), addrs)); err != nil {
		t.Fatal(err)
	}
	second.addErr = errors.New("no such link")
	if err := ps.Add(t.Context(), addrs); !errors.Is(err, second.addErr) {
		t.Errorf("error %v", err)
	}
	const whole, half = "add [192.0.2.1],remove [192.0.2.1]", "add [192.0.2.1]"
	if got := strings.Join(first.heard, ","); got != whole+","+whole {
		t.Errorf("the first heard %s", got)
	}
	if got := strings.Join(second.heard, ","); got != whole+","+half {
		t.Errorf("the second heard %s", got)
	}
}
