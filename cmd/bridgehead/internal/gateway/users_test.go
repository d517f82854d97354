package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"bridgehead/auth"
	"bridgehead/auth/secrets"
	"bridgehead/cmd/bridgehead/internal/config"
	"bridgehead/ikev2/lease"
)

// An address that is fixed for a user while the gateway runs goes to nobody
// else from then on, whichever way the file came to be read again.
func TestFixedAddressesOfNewUsersAreReserved(t *testing.T) {
	t.Chdir(t.TempDir())
	add := func(name, fixed string) {
		t.Helper()
		u := secrets.User{Name: name, Hash: auth.HashPassword([]byte("a good password")), IPv4: netip.MustParseAddr(fixed)}
		if err := secrets.Add("users", u); err != nil {
			t.Fatal(err)
		}
	}
	add("alice", "192.0.2.1")
	c := config.Default()
	c.Auth.File.Path = "users"
	users, err := openUsers(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r, err := lease.ParseRange("192.0.2.1-192.0.2.6")
	if err != nil {
		t.Fatal(err)
	}
	pools, err := lease.NewPools([]lease.PoolConfig{{Name: config.DefaultPool, Ranges: []lease.Range{r}}}, lease.NewMemory())
	if err != nil {
		t.Fatal(err)
	}
	users.reserveIn(func(fixed []netip.Addr) error { return pools.Reserve(context.Background(), fixed) })
	sessions := 0
	expect := func(want string) {
		t.Helper()
		sessions++
		got, err := pools.Acquire(t.Context(), time.Now(), lease.Request{Holder: fmt.Sprint(sessions), WantIPv4: true})
		if err != nil || got.IPv4.String() != want {
			t.Errorf("got %v %v, want %s", got.IPv4, err, want)
		}
	}
	expect("192.0.2.2")

	add("bob", "192.0.2.3")
	if r := users.file.Load().Reload(); r.Err != nil {
		t.Fatal(r.Err)
	}
	expect("192.0.2.4")

	add("carol", "192.0.2.5")
	if err := secrets.Remove("users", "bob"); err != nil {
		t.Fatal(err)
	}
	next, err := users.open(c)
	if err != nil {
		t.Fatal(err)
	}
	users.exchange(next)
	expect("192.0.2.3")
	expect("192.0.2.6")
	if got := pools.Usage()[0]; got.Held != int(got.Size) {
		t.Errorf("%+v", got)
	}
}
