package lease

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Claim is one address as the store keeps it.
type Claim struct {
	Addr     netip.Addr `json:"-"`                // the key
	Identity string     `json:"identity"`         // whom the address is remembered for
	Holder   string     `json:"holder,omitempty"` // the session that has it; empty: none, only remembered
	Until    time.Time  `json:"until"`            // when the memory of a holderless claim ends
}

// Store keeps claims where they survive the process. Methods are safe for
// concurrent use; for one address they take effect in the order of the calls.
type Store interface {
	// Claim writes all of cs or none. What it returned nil for survives a
	// crash. A *HeldError tells that somebody else holds an address.
	Claim(ctx context.Context, cs []Claim) error
	// Release ends the holder's claims: those in keep stay remembered with
	// their new Until, those in forget go. Claims that another session holds
	// are not touched. It doesn't wait for the disk: after a crash a released
	// claim may come back, but then without its holder.
	Release(ctx context.Context, holder string, keep []Claim, forget []netip.Addr) error
	// List gives all claims. Holder is set only where that session may live.
	List(ctx context.Context) ([]Claim, error)
	// Close writes what is pending.
	Close() error
}

// Memory is a Store that forgets everything at the end of the process.
type Memory struct {
	mu     sync.Mutex
	claims map[netip.Addr]Claim
}

// NewMemory gives an empty store.
func NewMemory() *Memory { return &Memory{claims: make(map[netip.Addr]Claim)} }

// Claim implements Store.
func (m *Memory) Claim(ctx context.Context, cs []Claim) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range cs {
		if old := m.claims[c.Addr]; old.Holder != "" && old.Holder != c.Holder {
			return &HeldError{Addr: c.Addr, Holder: old.Holder}
		}
	}
	for _, c := range cs {
		m.claims[c.Addr] = c
	}
	return nil
}

// Release implements Store.
func (m *Memory) Release(_ context.Context, holder string, keep []Claim, forget []netip.Addr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := func(a netip.Addr) bool {
		h := m.claims[a].Holder
		return h == "" || h == holder
	}
	for _, c := range keep {
		if own(c.Addr) {
			m.claims[c.Addr] = c
		}
	}
	for _, a := range forget {
		if own(a) {
			delete(m.claims, a)
		}
	}
	return nil
}

// List implements Store.
func (m *Memory) List(context.Context) ([]Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cs := make([]Claim, 0, len(m.claims))
	for _, c := range m.claims {
		cs = append(cs, c)
	}
	return cs, nil
}

// Close implements Store.
func (m *Memory) Close() error { return nil }
