package ikev2

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/ikev2/esp"
	"bridgehead/ikev2/message"
)

// fakePlane remembers what it was told.
type fakePlane struct {
	mu       sync.Mutex
	children map[esp.ChildID]esp.Child
	usage    map[esp.ChildID]esp.Usage
	moves    int
	reads    int   // of traffic counters
	blind    error // of reading them
	fail     error
	conflict error // two sessions held the same address at one time
}

func newFakePlane() *fakePlane {
	return &fakePlane{children: make(map[esp.ChildID]esp.Child), usage: make(map[esp.ChildID]esp.Usage)}
}

func (p *fakePlane) Install(_ context.Context, c esp.Child) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, twice := p.children[c.ID]; twice {
		return errors.New("a Child SA of this id is there")
	}
	for _, o := range p.children {
		if o.Session != c.Session && slices.ContainsFunc(o.Remote, func(s message.Selector) bool { return slices.Contains(c.Remote, s) }) {
			p.conflict = fmt.Errorf("sessions %s and %s have an address in common", o.Session, c.Session)
		}
	}
	if p.fail == nil {
		p.children[c.ID] = c
	}
	return p.fail
}

func (p *fakePlane) Rekey(ctx context.Context, old esp.ChildID, c esp.Child) error {
	p.mu.Lock()
	_, there := p.children[old]
	p.mu.Unlock()
	if !there {
		return errors.New("no Child SA of this id to rekey")
	}
	return p.Install(ctx, c)
}

func (p *fakePlane) Move(_ context.Context, id esp.ChildID, path esp.Path) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, there := p.children[id]
	if !there {
		return errors.New("no Child SA of this id to move")
	}
	c.Path = path
	p.children[id] = c
	p.moves++
	return nil
}

func (p *fakePlane) Remove(_ context.Context, id esp.ChildID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, there := p.children[id]; !there {
		return errors.New("no Child SA of this id to remove")
	}
	delete(p.children, id)
	return nil
}

func (p *fakePlane) Usage(_ context.Context, ids []esp.ChildID) ([]esp.Usage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reads++; p.blind != nil {
		return nil, p.blind
	}
	var all []esp.Usage
	for id := range p.children {
		if ids == nil || slices.Contains(ids, id) {
			u := p.usage[id]
			u.ID = id
			if u.OutboundRemaining == 0 {
				u.OutboundRemaining = 1 << 32
			}
			all = append(all, u)
		}
	}
	return all, nil
}

// only gives the one Child SA there is.
func (p *fakePlane) only(t testing.TB) esp.Child {
	t.Helper()
	if len(p.children) != 1 {
		t.Fatalf("%d Child SAs are installed, expected one", len(p.children))
	}
	for _, c := range p.children {
		return c
	}
	panic("unreachable")
}

// userFile is a HashStore of the test's users.
type userFile map[string]auth.Account

func (f userFile) Lookup(_ context.Context, name string) (auth.Account, bool, error) {
	a, ok := f[name]
	return a, ok, nil
}

var users = userFile{
	"alice": {Hash: auth.HashPassword([]byte("wonderland")), Grant: auth.Grant{Name: "alice"}},
	"bob": {Hash: auth.HashPassword([]byte("builder")), Grant: auth.Grant{
		Name: "bob", SessionTimeout: time.Hour, IdleTimeout: 10 * time.Minute, MaxSessions: 1,
		Routes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
	}},
}

// authority is the test's own, made once.
var authority = sync.OnceValue(func() (a struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}) {
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"},
		NotBefore: epoch.AddDate(-20, 0, 0), NotAfter: epoch.AddDate(30, 0, 0), IsCA: true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(crand.Reader, root, root, a.key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	a.cert, _ = x509.ParseCertificate(raw)
	return a
})

func roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(authority().cert)
	return p
}

// foreignRoots trust an authority that has not issued the gateway's.
func foreignRoots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ecdsaIdentity().Chain[0])
	return p
}

func issue(key crypto.Signer) Certificate {
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "vpn.example.org"},
		DNSNames: []string{"vpn.example.org"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: epoch.AddDate(-20, 0, 0), NotAfter: epoch.AddDate(30, 0, 0),
	}
	raw, err := x509.CreateCertificate(crand.Reader, leaf, authority().cert, key.Public(), authority().key)
	if err != nil {
		panic(err)
	}
	cert, _ := x509.ParseCertificate(raw)
	return Certificate{Chain: []*x509.Certificate{cert, authority().cert}, Key: key}
}

var rsaIdentity = sync.OnceValue(func() Certificate {
	key, err := rsa.GenerateKey(crand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return issue(key)
})

var ecdsaIdentity = sync.OnceValue(func() Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	return issue(key)
})

func fqdn(name string) *message.ID {
	return &message.ID{Kind: message.IDFQDN, Data: []byte(name)}
}
